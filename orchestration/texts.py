"""Which texts a sweep reads and this machine does not have; only their names are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestration.settings import Settings
from selfish_core.catalogue.corpora import CORPORA, SPLITS, FolderCorpusConfig
from selfish_core.config import TrialConfig
from selfish_core.places import user_folder


def missing(configs: Iterable[TrialConfig], settings: Settings) -> Iterator[str]:
    """Yield a line for each corpus of which a file is not there.

    Args:
        configs: of the trials that read them.
        settings: of the command.
    """
    root = settings.data if settings.data is not None else user_folder() / "corpora"
    remedy = "a run would be refused: put it there" if settings.data is not None else "a run would download it"
    corpora = {config.corpus.model_copy(update={"train_fraction": 1.0}) for config in configs}
    for corpus in sorted(corpora, key=lambda corpus: corpus.name):
        if isinstance(corpus, FolderCorpusConfig):
            yield from _told(corpus.path, Path(corpus.path), "a run would be refused: put it there")
        elif CORPORA[corpus.name].files["train"].urls or CORPORA[corpus.name].archive_urls:
            yield from _told(corpus.name, root / corpus.name, remedy)


def _told(name: str, folder: Path, remedy: str) -> Iterator[str]:
    absent = [f"{split}.txt" for split in SPLITS if not (folder / f"{split}.txt").is_file()]
    if absent:
        yield f"corpus {name}: {', '.join(absent)} not in {folder}: {remedy}"
