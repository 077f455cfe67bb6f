"""Making sure that the right texts are there before anything starts; with progress where one is fetched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from orchestration.settings import Settings
from orchestration.terminal import amount, clean, say
from selfish_core.config import TrialConfig
from selfish_core.data import corpora

Report = Callable[[str, int, int | None], None]


def verify(configs: Mapping[str, TrialConfig], settings: Settings) -> None:
    """Check every corpus that trials read; fetch what is missing unless the user named the data folder.

    Raises:
        CorpusError: when one is missing, damaged or not what its checksum says.
    """
    different = {
        config.corpus.model_dump_json(exclude={"train_fraction"}): config.corpus for config in configs.values()
    }
    for corpus in different.values():
        with download_progress() as report:
            corpora.verify(corpus, settings.data, download=settings.data is None, report=report)


@contextmanager
def download_progress() -> Iterator[Report]:
    """Show downloads: a bar each on a terminal, a line each elsewhere."""
    if not sys.stderr.isatty():
        yield _plain_report(set())
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(escape(clean(what)), total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


def _plain_report(told: set[str]) -> Report:
    def report(what: str, _done: int, total: int | None) -> None:
        if what not in told:
            told.add(what)
            say(f"downloading {what}" + (f" ({amount(total)} bytes)" if total else ""))

    return report
