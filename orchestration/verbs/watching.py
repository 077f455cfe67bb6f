"""`selfish status` and `logs`: where sweeps stand and what happened, from any machine that sees the trial store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from orchestration.options import JsonOption, StoreOption, read_settings

SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's name, as `selfish list` shows it.")]
TrialArgument = Annotated[
    str | None, typer.Argument(metavar="TRIAL", help="Only this trial: its content key, or how it starts.")
]
FOLLOW_SECONDS = 1.0


def status(
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="A sweep's name; without one, all sweeps in short.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print it once, on a terminal too.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a sweep and its trials stand: on a terminal live while it runs (Ctrl-C leaves), elsewhere once."""
    import sys

    from orchestration import listing, status_view, wanted
    from orchestration.status import SweepWatch, overview
    from orchestration.terminal import answer, answer_json

    found = wanted.require_store(read_settings(store=store))
    if sweep is None:
        all_of_them = overview(found)
        if as_json:
            answer_json([status_view.to_dict(one) for one in all_of_them])
        else:
            answer(status_view.overview_text(all_of_them, found.place))
        return
    listing.find_sweep(found, sweep)
    watch = SweepWatch(found, sweep)
    if as_json:
        answer_json(status_view.to_dict(watch.look()))
    elif once or not sys.stdout.isatty():
        answer(status_view.sweep_text(watch.look()))
    else:
        with _left_by_interrupt():
            status_view.follow(watch.look)


def logs(
    sweep: SweepArgument,
    trial: TrialArgument = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the sweep's run ends; Ctrl-C leaves.")
    ] = False,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, one object a line.")] = False,
) -> None:
    """Print a sweep's story: decisions and epochs; of one trial with its tracebacks and stack dumps."""
    import time

    from orchestration import listing, wanted
    from orchestration.logs import Log, as_lines
    from orchestration.story import all_labels
    from orchestration.terminal import answer

    found = wanted.require_store(read_settings(store=store))
    stored = listing.find_sweep(found, sweep)
    key = None if trial is None else listing.find_member(sweep, all_labels(found, sweep), trial)
    log = Log(found, sweep, key)
    with _left_by_interrupt():
        while True:
            is_last = not (follow and stored.is_owned())
            lines = log.read_on()
            if lines:
                answer(as_lines(lines, is_json=as_json, has_details=key is not None))
            if is_last:
                return
            time.sleep(FOLLOW_SECONDS)


@contextmanager
def _left_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end what only watches, in peace."""
    import signal

    from orchestration.processes import Stopped

    try:
        yield
    except Stopped as stopped:
        if stopped.exit_code != 128 + signal.SIGINT:
            raise
