"""Where sweeps stand, for people: plain text, or a live table on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestration.status import STATES, FailureCount, State, SweepStatus, TrialStatus
from orchestration.terminal import clean, columns, count, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH_SECONDS = 2.0
_HEAD = ("key", "trial", "state", "epoch", "val perplexity", "tokens/s", "time left")
_RIGHT = frozenset({3, 4, 5, 6})
_COLORS: Mapping[State, str] = {
    "running": "cyan",
    "failed": "red",
    "paused": "yellow",
    "cancelled": "yellow",
    "stopped": "yellow",
    "diverged": "magenta",
    "answered": "green",
}
_NUM_OTHER_LINES = 8
"""Lines of a terminal that the heading, the frame and the prompt take."""


def to_dict(status: SweepStatus) -> dict[str, Any]:
    """Return a status, JSON-able."""
    return {**asdict(status), "counts": status.counts}


def overview_text(found: Sequence[SweepStatus], place: str) -> str:
    """Return one line for each sweep of a trial store."""
    if not found:
        return f"{place}: no sweeps"
    rows = [[status.name, _counts(status), status.run_text] for status in found]
    return columns([["sweep", "trials", ""], *rows])


def sweep_text(status: SweepStatus) -> str:
    """Return all of a sweep: its trials, its failures by class and its last decisions."""
    lines = [_heading(status), ""]
    lines += [columns([_HEAD, *(_row(trial, status.epochs) for trial in status.trials)], right=_RIGHT)]
    if status.failures:
        lines += ["", "failures in its newest run:", *(f"  {_failure(one)}" for one in status.failures)]
    if status.news:
        lines += ["", "last decisions:", *(f"  {clean(line)}" for line in status.news)]
    return "\n".join(lines)


def follow(look: Callable[[], SweepStatus]) -> None:
    """Show a sweep on the terminal, anew every two seconds, until its run ends.

    Args:
        look: returns where the sweep stands.
    """
    from rich.console import Console
    from rich.live import Live

    status = look()
    console = Console(file=sys.stdout)
    with Live(_live(status, console.height), console=console, auto_refresh=False) as live:
        while status.run == "running":
            time.sleep(REFRESH_SECONDS)
            status = look()
            live.update(_live(status, console.height), refresh=True)


def _live(status: SweepStatus, height: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(_HEAD):
        table.add_column(name, justify="right" if place in _RIGHT else "left", no_wrap=True)
    below = [Text(_failure(one), style="red") for one in status.failures]
    below += [Text(clean(line), style="dim", no_wrap=True, overflow="ellipsis") for line in status.news]
    num_rows = max(3, height - len(below) - _NUM_OTHER_LINES)
    urgent = sorted(status.trials, key=lambda trial: STATES.index(trial.state))
    for trial in urgent[:num_rows]:
        table.add_row(*map(Text, map(clean, _row(trial, status.epochs))), style=_COLORS.get(trial.state))
    more = [Text(f"… and {len(urgent) - num_rows} more", style="dim")] if len(urgent) > num_rows else []
    num_over = sum(trial.state in ("answered", "diverged", "stopped early") for trial in status.trials)
    bar = ProgressBar(total=max(1, len(status.trials)), completed=num_over, width=60)
    return Group(Text(_heading(status)), bar, Text(""), table, *more, Text(""), *below)


def _heading(status: SweepStatus) -> str:
    eta = f"; about {duration(status.eta_seconds)} left" if status.eta_seconds is not None else ""
    return f"{clean(f'{status.name}: {status.run_text}')}\n{_counts(status)}{eta}"


def _counts(status: SweepStatus) -> str:
    parts = [f"{number} {state}" for state, number in status.counts.items()]
    return f"{count(len(status.trials), 'trial')}: {', '.join(parts)}" if parts else "no trials yet"


def _row(trial: TrialStatus, epochs: int) -> list[str]:
    return [
        trial.key[:8],
        trial.label,
        _state(trial),
        f"{trial.num_epochs}/{epochs}",
        "–" if trial.val_perplexity is None else f"{trial.val_perplexity:.2f}",
        "–" if trial.tokens_per_second is None else f"{trial.tokens_per_second:,.0f}",
        "–" if trial.eta_seconds is None else duration(trial.eta_seconds),
    ]


def _state(trial: TrialStatus) -> str:
    if trial.state == "held":
        return f"held by sweep {trial.detail}"
    return f"{trial.state} ({trial.detail.replace('_', ' ')})" if trial.detail else trial.state


def _failure(failures: FailureCount) -> str:
    where = f" on {failures.node}" if failures.node else ""
    return clean(f"{failures.number}× {failures.failure.replace('_', ' ')}{where}")
