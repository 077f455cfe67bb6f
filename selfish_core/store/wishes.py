"""What people ask of a sweep, and what follows from all of it: should it, and each of its trials, run, stop, pause …?

A request for the whole sweep is the same as one for each of its trials. What holds for a trial follows from the
requests that cover it, its own and the sweep's, in the order in which they came:

request    of what runs  is paused  is stopped  is cancelled
`pause`    paused        paused     stopped     cancelled
`stop`     stopped       stopped    stopped     cancelled
`cancel`   cancelled     cancelled  cancelled   cancelled
`resume`   runs          runs       stopped     runs
`retry`    runs          paused     runs        runs

So a weaker request never takes back a stronger one, and `resume X` after `pause` lets one trial of a paused sweep go
on. A run of the sweep that begins voids the stops and pauses that came before it; cancels stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

RequestKind = Literal["stop", "cancel", "pause", "resume", "retry"]
Wish = Literal["run", "pause", "stop", "cancel"]

REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)

_VOID_IN_A_NEW_RUN = ("stop", "pause")
_WEAKER: Mapping[Wish, tuple[Wish, ...]] = {
    "run": (),
    "pause": ("run",),
    "stop": ("run", "pause"),
    "cancel": ("run", "pause", "stop"),
}
_LIFTED: Mapping[RequestKind, tuple[Wish, ...]] = {"resume": ("pause", "cancel"), "retry": ("stop", "cancel")}


class Request(NamedTuple):
    """What was asked once.

    Args:
        number: its place among all that was asked of the sweep, from 1.
        kind: what to do.
        trial: content key; None for the whole sweep.
    """

    number: int
    kind: RequestKind
    trial: str | None = None

    def covers(self, key: str) -> bool:
        """Whether it is about this trial."""
        return self.trial is None or self.trial == key


@dataclass(frozen=True)
class Wishes:
    """What is wished now.

    Args:
        sweep: of the sweep, and of each trial that is not named.
        trials: content key -> of a trial that was asked for by itself.
    """

    sweep: Wish = "run"
    trials: Mapping[str, Wish] = field(default_factory=dict)

    def of(self, key: str) -> Wish:
        """Return what is wished of a trial."""
        return self.trials.get(key, self.sweep)


def fold(requests: Iterable[Request], num_void: int = 0) -> Wishes:
    """Return what follows from requests.

    Args:
        requests: all that was asked of a sweep, in order.
        num_void: stops and pauses up to this number are void: the newest when the last run began.

    >>> fold([Request(1, "pause"), Request(2, "resume", "x")])
    Wishes(sweep='pause', trials={'x': 'run'})
    """
    sweep: Wish = "run"
    trials: dict[str, Wish] = {}
    for number, kind, trial in requests:
        if number <= num_void and kind in _VOID_IN_A_NEW_RUN:
            continue
        if trial is None:
            sweep = _after(kind, sweep)
            trials = {key: _after(kind, wish) for key, wish in trials.items()}
        else:
            trials[trial] = _after(kind, trials.get(trial, sweep))
    return Wishes(sweep, trials)


def _after(kind: RequestKind, wish: Wish) -> Wish:
    """Return the wish that a request makes of another."""
    if kind == "resume" or kind == "retry":
        return "run" if wish in _LIFTED[kind] else wish
    return kind if wish in _WEAKER[kind] else wish
