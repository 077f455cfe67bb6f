"""From a spec to its trials: every point of its axes, or those that a search asks for.

Nothing is built or started and no corpus is read (a folder of the user's own is described). What is wrong with a trial
is told at the line of the value that causes it, once, however many trials share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from selfish_core.errors import ProblemsError
from selfish_core.resolve import field_path
from sweeps.axes import Point, Setting
from sweeps.expander import Expander, Trial
from sweeps.scalars import Scalar
from sweeps.spec import MAX_TRIALS, Spec
from sweeps.yaml_reader import Findings

__all__ = ["MAX_TRIALS", "Expansion", "PointExpander", "Trial", "corner_trials", "expand", "point_trials"]


@dataclass(frozen=True)
class Expansion(Sequence[Trial]):
    """The trials of a sweep in the spec's order, no two with one key.

    Args:
        trials: at least one; none of a searched sweep, whose trials are those of the points that its search asks for.
        notes: what a user should know that is no error, one line each.
    """

    trials: tuple[Trial, ...]
    notes: tuple[str, ...]

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trial, ...]: ...
    def __getitem__(self, index: int | slice) -> Trial | tuple[Trial, ...]:
        return self.trials[index]

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)


def expand(spec: Spec) -> Expansion:
    """Return every trial that a spec asks for.

    Of a searched sweep, the corners of its space are checked, and no trial is returned.

    Args:
        spec: from `sweeps.spec.load`.

    Raises:
        ProblemsError: with one line, `file:line: …`, for each thing that is wrong.
    """
    findings = Findings(spec.document)
    if spec.space is not None:
        _check_corners(spec, findings)
        return Expansion((), (*spec.notes, *_notes_of_search(spec)))
    _refuse_too_many(spec, findings)
    expander = Expander(spec, findings)
    for point in _points(spec):
        expander.take(point)
    expander.refuse_none_left()
    findings.raise_if_any()
    return Expansion(tuple(expander.trials.values()), (*spec.notes, *expander.notes()))


class PointExpander:
    """Turn points of a searched sweep into their trials, one point after another.

    Args:
        spec: with a search.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._folders: dict[str, Mapping[str, Any] | str] = {}

    def trials(self, point: Mapping[str, Scalar]) -> tuple[Trial, ...]:
        """Return the trials of a point, one for each seed; none where it is left out by `exclude`.

        Args:
            point: fields, as the spec names them, and their values.

        Raises:
            ProblemsError: with one line, `file:line: …`, for each thing that is wrong with them.
        """
        findings = Findings(self._spec.document)
        expander = Expander(self._spec, findings, self._folders)
        lines = {axis.name: axis.line for axis in self._spec.space.axes} if self._spec.space is not None else {}
        line = self._spec.document.line(("axes",))
        expander.take(
            tuple(Setting(name, field_path(name), value, lines.get(name, line)) for name, value in point.items())
        )
        findings.raise_if_any()
        return tuple(expander.trials.values())


def point_trials(spec: Spec, point: Mapping[str, Scalar]) -> tuple[Trial, ...]:
    """Return the trials of one point of a searched sweep: see `PointExpander.trials`."""
    return PointExpander(spec).trials(point)


def chosen_trials(spec: Spec, points: Iterable[Mapping[str, Scalar]]) -> tuple[Trial, ...]:
    """Return the trials of the points that a search has chosen; a point that the spec refuses now is left out.

    Args:
        spec: with a search.
        points: in the order in which they were chosen.
    """
    expander = PointExpander(spec)
    found: dict[str, Trial] = {}
    for point in points:
        if spec.space is None or spec.space.find(point) is None:
            continue
        try:
            found |= {trial.key: trial for trial in expander.trials(point)}
        except ProblemsError:
            continue
    return tuple(found.values())


def corner_trials(spec: Spec) -> tuple[Trial, ...]:
    """Return the trials of a searched sweep's corners: the ends of its ranges and its choices, in pairs.

    Raises:
        ProblemsError: with one line, `file:line: …`, for each thing that is wrong with them.
    """
    return _check_corners(spec, Findings(spec.document))


def _check_corners(spec: Spec, findings: Findings) -> tuple[Trial, ...]:
    expander = Expander(spec, findings)
    for point in spec.space.corners() if spec.space is not None else ():
        expander.take(point)
    expander.refuse_none_left()
    findings.raise_if_any()
    return tuple(expander.trials.values())


def _notes_of_search(spec: Spec) -> Iterator[str]:
    num_points = spec.space.num_points if spec.space is not None else None
    if spec.search is not None and num_points is not None and num_points <= spec.search.num_trials:
        where = f"{spec.document.where}:{spec.document.line(('search', 'num_trials'))}"
        yield f"{where}: the axes have {num_points} points: without the search, each would run once"


def _points(spec: Spec) -> Iterator[Point]:
    if not spec.axes:
        yield ()
    for block in spec.axes:
        yield from block.points()


def _refuse_too_many(spec: Spec, findings: Findings) -> None:
    """Refuse before anything is made of it; exclusions are not counted."""
    num_points = sum(block.num_points for block in spec.axes) if spec.axes else 1
    num_trials = num_points * len(spec.seeds)
    if num_trials > MAX_TRIALS:
        counts = f"points × seeds: {num_points:,} × {len(spec.seeds):,}"
        findings.add(
            ("axes",), f"{num_trials:,} trials ({counts}) before exclusions: at most {MAX_TRIALS:,} are allowed"
        )
        findings.raise_if_any()
