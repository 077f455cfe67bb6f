"""The trials of a searched sweep as a plan sees them: those of points already chosen, and stand-ins for the others."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice

from orchestration.decisions import Asked, Entry
from sweeps import expand
from sweeps.expand import Trial, corner_trials
from sweeps.spec import Spec


def chosen_trials(spec: Spec, entries: Iterable[Entry]) -> tuple[Trial, ...]:
    """Return the trials of the points that earlier runs have chosen; a point that the spec refuses now is left out.

    Args:
        spec: with a search.
        entries: the sweep's decisions.
    """
    return expand.chosen_trials(spec, (decision.point for _, decision in entries if isinstance(decision, Asked)))


def stand_ins(spec: Spec, num_chosen: int) -> tuple[Trial, ...]:
    """Return a trial for each that is still to be chosen: the corners of the space in turn.

    Args:
        spec: with a search.
        num_chosen: trials of the points that were chosen.
    """
    num_wanted = spec.search.num_trials * len(spec.seeds) if spec.search is not None else 0
    return tuple(islice(cycle(corner_trials(spec)), max(0, num_wanted - num_chosen)))
