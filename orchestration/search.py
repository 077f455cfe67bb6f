"""A sweep's search: which points were asked for, what they were told to be worth, and which comes next.

It knows nothing but the decisions `asked` and `told` in their order, and makes new ones; whoever starts it again with
the decisions of a killed run gets the same next point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from orchestration import study
from orchestration.decisions import AnyDecision, Asked, Entry, Told
from selfish_core.catalogue.corpora import facts
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError, ProblemsError
from selfish_core.records import Record
from sweeps.axes import Point
from sweeps.expand import PointExpander, Trial
from sweeps.scalars import Scalar
from sweeps.space import Axis
from sweeps.spec import Spec

MAX_TRIES = 100
"""Points in a row that may be no trials, before the search gives up."""


@dataclass
class AskedPoint:
    """A point of the search.

    Args:
        number: from 0, in the order in which they were asked for.
        point: its fields, as the spec names them, and their values.
        trials: one for each seed.
        options: the same as options of the space's axes.
        is_told: whether its trials are over.
        value: what it is worth, finite; None where all of its trials failed, or it is not told.
    """

    number: int
    point: Mapping[str, Scalar]
    trials: tuple[Trial, ...]
    options: Mapping[Axis, Point] = field(repr=False)
    is_told: bool = False
    value: float | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Content keys of its trials."""
        return tuple(trial.key for trial in self.trials)


class Search:
    """Ask for points and tell what they are worth.

    Args:
        spec: with a search.
        entries: the sweep's decisions so far, of which those of other kinds are passed over.
        decide: takes every new decision, to be kept.
    """

    def __init__(self, spec: Spec, entries: Iterable[Entry], decide: Callable[[AnyDecision], object]) -> None:
        if spec.search is None or spec.space is None:
            raise InputError(f"sweep {spec.name!r} has no search")
        self._part, self._space = spec.search, spec.space
        self._name = spec.name
        self._expander = PointExpander(spec)
        self._decide = decide
        self._values: dict[str, float | None] = {}
        self._points: list[AskedPoint] = []
        self._next_number = 0
        self._replay(entry.decision for entry in entries)

    @property
    def points(self) -> tuple[AskedPoint, ...]:
        """Return what was asked for, of the points that the spec still has, with the trials that it has now."""
        return tuple(self._points)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Return the trials of all points, each once: what the sweep wants, so far."""
        return tuple({trial.key: trial for point in self._points for trial in point.trials}.values())

    @property
    def is_done(self) -> bool:
        """Whether every point has been asked for and told."""
        return len(self._points) >= self._part.num_trials and all(point.is_told for point in self._points)

    def ask(self) -> AskedPoint | None:
        """Return the next point that is not the same as one before; None while, or since, none is to come.

        Raises:
            InputError: when hardly any point of the space is a trial.
        """
        self._tell_twins()
        while len(self._points) < self._part.num_trials and not self._is_busy():
            asked = self._new_point()
            self._points.append(asked)
            self._next_number += 1
            self._decide(Asked(number=asked.number, point=asked.point, trials=asked.keys))
            if self._twin(asked) is None:
                return asked
            self._tell_twins()
        return None

    def over(self, key: str, value: float | None) -> None:
        """Take note that a trial is over, and tell the points whose trials all are.

        Args:
            key: content key; one of no point is passed over.
            value: what `value_of` makes of its records; None where it failed for good.
        """
        self._values[key] = value
        for point in self._points:
            if key in point.keys and all(other in self._values for other in point.keys):
                self.tell(point.number, [self._values[other] for other in point.keys])

    def tell(self, number: int, values: Sequence[float | None]) -> None:
        """Say what a point is worth; the last word counts.

        A value that is not finite, or beyond that of a model which knows nothing, counts as the latter.

        Args:
            number: of the point.
            values: of its trials, one a seed; those that failed have None and are left out of the mean.
        """
        point = next(point for point in self._points if point.number == number)
        worst = worst_value(point.trials[0].config, self._part.metric)
        found = [worst if math.isnan(value) else min(value, worst) for value in values if value is not None]
        self._set(point, fmean(found) if found else None)
        self._tell_twins()

    def export_to(self, storage_url: str) -> None:
        """Write the study to an Optuna storage, for optuna-dashboard and Optuna's own plots.

        Args:
            storage_url: a database, e.g. `sqlite:///study.db`.

        Raises:
            InputError: when it cannot be written, or has another study of this name.
        """
        study.export(self._name, self._history(), storage_url)

    def _replay(self, decisions: Iterable[AnyDecision]) -> None:
        known: dict[int, AskedPoint] = {}
        for decision in decisions:
            if isinstance(decision, Asked):
                self._next_number = max(self._next_number, decision.number + 1)
                point = self._known_point(decision)
                if point is not None:
                    known[decision.number] = point
            elif isinstance(decision, Told) and decision.number in known:
                known[decision.number].is_told, known[decision.number].value = True, decision.value
        self._points = list(known.values())

    def _known_point(self, asked: Asked) -> AskedPoint | None:
        """Return a point that was asked for before; None where the spec does not have it any more."""
        options = self._space.find(asked.point)
        if options is None:
            return None
        try:
            trials = self._expander.trials(asked.point)
        except ProblemsError:
            return None
        return AskedPoint(asked.number, asked.point, trials, options) if trials else None

    def _set(self, point: AskedPoint, value: float | None) -> None:
        if not point.is_told or point.value != value:
            point.is_told, point.value = True, value
            self._decide(Told(number=point.number, value=value))

    def _is_busy(self) -> bool:
        running = {point.keys for point in self._points if not point.is_told}
        return self._part.num_at_once is not None and len(running) >= self._part.num_at_once

    def _twin(self, asked: AskedPoint) -> AskedPoint | None:
        """Return the first point with the same trials, if it is another one."""
        first = next(point for point in self._points if point.keys == asked.keys)
        return None if first is asked else first

    def _tell_twins(self) -> None:
        """Tell every point what is known of one with the same trials."""
        told = {point.keys: point.value for point in reversed(self._points) if point.is_told}
        for point in self._points:
            if point.keys in told:
                self._set(point, told[point.keys])

    def _new_point(self) -> AskedPoint:
        problem = "they are left out by exclude"
        proposals = study.proposals(self._space, self._part, self._history(), self._next_number)
        for _, proposed in zip(range(MAX_TRIES), proposals, strict=False):
            values = _values(proposed)
            try:
                trials = self._expander.trials(values)
            except ProblemsError as error:
                problem = error.problems[0].message
                continue
            if trials:
                return AskedPoint(self._next_number, values, trials, self._space.find(values) or {})
        raise InputError(f"{MAX_TRIES} points in a row that the search chose are no trials: {problem}")

    def _history(self) -> list[study.Told]:
        return [
            study.Told(point.options, point.is_told, point.value, {"number": point.number, "trials": list(point.keys)})
            for point in self._points
        ]


def value_of(records: Sequence[Record], metric: str) -> float | None:
    """Return what a trial's records say of it, infinite where it diverged; None where no epoch may be selected.

    Args:
        records: up to the sweep's epochs, or to where it was stopped.
        metric: the search's; taken at the epoch of lowest validation perplexity, the first of equals.
    """
    if records and records[-1].outcome == "diverged":
        return math.inf
    selectable = [record.metrics for record in records if record.metrics.get("is_selectable", 1.0)]
    if not selectable:
        return None
    return min(selectable, key=lambda metrics: _rank(metrics["val_perplexity"]))[metric]


def worst_value(config: TrialConfig, metric: str) -> float:
    """Return what a model that knows nothing scores: every word of the vocabulary as likely as the others."""
    size = facts(config.corpus).vocabulary_size
    return math.log(size) if metric == "val_loss_nats" else float(size)


def _rank(perplexity: float) -> float:
    return math.inf if math.isnan(perplexity) else perplexity


def _values(point: Point) -> dict[str, Scalar]:
    return {setting.name: setting.value for setting in point}
