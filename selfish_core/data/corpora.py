"""Where corpora come from: verify that a config's corpus is there and is the one it names, and load it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import platformdirs
from pydantic import TypeAdapter

from selfish_core.catalogue.corpora import (
    CORPORA,
    SPLITS,
    CorpusConfig,
    CorpusRow,
    FolderCorpusConfig,
    PublishedCorpusConfig,
    Split,
    SyntheticCorpusConfig,
    facts,
)
from selfish_core.data import folder, synthetic
from selfish_core.data.download import Report, download_corpus
from selfish_core.data.folder import describe_folder
from selfish_core.data.markov import Floats
from selfish_core.data.reading import read_file
from selfish_core.data.text import Ints, encode
from selfish_core.errors import CorpusError

__all__ = ["Corpus", "default_data_dir", "describe_folder", "load", "load_once", "verify"]

AnyCorpusConfig = PublishedCorpusConfig | SyntheticCorpusConfig | FolderCorpusConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """A corpus in memory.

    Args:
        name: as in its config.
        vocabulary: the token of each id, in order of first appearance in the whole of train.
        train: ids, int64, [num_tokens], already cut to the config's `train_fraction`.
        valid: ids, likewise, whole.
        test: ids, likewise, whole.
    """

    name: str
    vocabulary: tuple[str, ...]
    train: Ints
    valid: Ints
    test: Ints

    def best_log_probabilities(self, split: Split, batch_size: int) -> Floats | None:
        """Return the log probability of each scored token under the process that generated it, where that is known.

        No model that sees the same tokens can expect a lower mean loss than their negative mean.

        Args:
            split: which split is read.
            batch_size: in how many streams, ≥ 1, as in `data.batching.batchify`: same rows, same remainder dropped.

        Returns:
            Nats, ≤ 0, float64, [num_rows - 1, batch_size], in the order of the targets; None where it is not known.
        """
        if self.name != "synthetic":
            return None
        tokens: Ints = getattr(self, split)
        num_rows = len(tokens) // batch_size
        streams_BT = tokens[: num_rows * batch_size].reshape(batch_size, num_rows)
        return synthetic.log_probabilities(streams_BT, self.vocabulary).T


def default_data_dir() -> Path:
    """Return where corpora are kept when no data folder is named."""
    return Path(platformdirs.user_data_dir("selfish", appauthor=False)) / "corpora"


def verify(config: AnyCorpusConfig, data_dir: Path | None, *, download: bool, report: Report | None = None) -> None:
    """Check that a corpus is there and that every file has the checksum it should have.

    Args:
        config: which corpus.
        data_dir: folder that holds a folder for each published corpus; None for `default_data_dir()`.
        download: whether files that are missing may be downloaded into it; a wrong file is never replaced.
        report: called with (what, bytes so far, bytes in all or None) while downloading.

    Raises:
        CorpusError: one line: which file is missing or wrong, what it is and what it should be.
    """
    _read(config, data_dir, download, report)


def load(config: AnyCorpusConfig, data_dir: Path | None, *, download: bool, report: Report | None = None) -> Corpus:
    """Verify a corpus and read it into memory; arguments as for `verify`.

    Raises:
        CorpusError: as for `verify`, or the text does not have the tokens and the vocabulary that it should have.
    """
    encoded = encode(_read(config, data_dir, download, report), _file_names(config, data_dir))
    whole = facts(config.model_copy(update={"train_fraction": 1.0}))
    _check_count(f"corpus {config.name}: different tokens in train", len(encoded.vocabulary), whole.vocabulary_size)
    for split in SPLITS:
        _check_count(f"corpus {config.name}: tokens in {split}", len(encoded.tokens[split]), whole.num_tokens[split])
    return Corpus(
        name=config.name,
        vocabulary=encoded.vocabulary,
        train=encoded.tokens["train"][: facts(config).num_tokens["train"]].copy(),
        valid=encoded.tokens["valid"],
        test=encoded.tokens["test"],
    )


def load_once(config: AnyCorpusConfig, data_dir: Path | None) -> Corpus:
    """Load a corpus that is there already, once for all trials of a process that read it; nothing is downloaded.

    Args:
        config: which corpus.
        data_dir: as for `verify`.

    Raises:
        CorpusError: as for `load`.
    """
    return _load_once(config.model_dump_json(), data_dir)


@lru_cache(maxsize=2)
def _load_once(config_json: str, data_dir: Path | None) -> Corpus:
    config = TypeAdapter[CorpusConfig](CorpusConfig).validate_json(config_json)
    return load(config, data_dir, download=False)


def _read(config: AnyCorpusConfig, data_dir: Path | None, download: bool, report: Report | None) -> dict[Split, bytes]:
    expected = facts(config).sha256
    texts: dict[Split, bytes]
    if isinstance(config, FolderCorpusConfig):
        texts = folder.read_folder(Path(config.path))
    elif isinstance(config, SyntheticCorpusConfig):
        texts = synthetic.texts()
    else:
        texts = _read_published(CORPORA[config.name], data_dir or default_data_dir(), download, report)
    for split in SPLITS:
        found = sha256(texts[split]).hexdigest()
        if found != expected[split]:
            says = "spec says" if isinstance(config, FolderCorpusConfig) else "must be"
            where = _file_names(config, data_dir)[split]
            raise CorpusError(f"corpus {config.name}/{split}.txt: sha256 {found}, {says} {expected[split]}: {where}")
    return texts


def _read_published(row: CorpusRow, root: Path, download: bool, report: Report | None) -> dict[Split, bytes]:
    texts: dict[Split, bytes] = {}
    missing: list[Split] = []
    for split in SPLITS:
        try:
            texts[split] = read_file(root, f"{row.name}/{split}.txt")
        except FileNotFoundError:
            missing.append(split)
    if not missing:
        return texts
    if not download:
        names = ", ".join(f"{split}.txt" for split in missing)
        raise CorpusError(
            f"corpus {row.name}: {names} missing in {root / row.name}; put it there, name the data folder that has "
            f"{row.name}/{missing[0]}.txt, or allow the download"
        )
    download_corpus(row, root, missing, report)
    return texts | {split: read_file(root, f"{row.name}/{split}.txt") for split in missing}


def _file_names(config: AnyCorpusConfig, data_dir: Path | None) -> dict[Split, str]:
    if isinstance(config, FolderCorpusConfig):
        return folder.file_names(Path(config.path))
    if isinstance(config, SyntheticCorpusConfig):
        return {split: f"the generated {split} text" for split in SPLITS}
    return folder.file_names((data_dir or default_data_dir()) / config.name)


def _check_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise CorpusError(f"{what}: {found:,}, must be {expected:,}")
