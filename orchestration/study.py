"""Optuna's side of a search: a study in memory, made anew from what was asked and told whenever a point is wanted.

Nothing is kept between two points, neither a study nor a sampler: the next point follows from the history, the seed and
its number alone, so that a search which was killed goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfish_core.errors import InputError
from sweeps.axes import Point
from sweeps.scalars import Scalar
from sweeps.sections import SearchPart
from sweeps.space import Axis, Choice, Space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

OWN = "selfish.sweep"
"""Attribute of an exported study that says whose it is."""


@dataclass(frozen=True)
class Told:
    """A point that was asked for, and what is known of it.

    Args:
        options: which option it has of each axis that is there.
        is_over: whether it was told.
        value: what it is worth, finite; None where it failed or is not over.
        attributes: for people who look at an exported study.
    """

    options: Mapping[Axis, Point]
    is_over: bool
    value: float | None
    attributes: Mapping[str, Any]


def proposals(space: Space, part: SearchPart, history: Sequence[Told], number: int) -> Iterator[Point]:
    """Yield points to try next, the first the sampler's choice, each later one in place of those before.

    Args:
        space: what to choose from.
        part: how.
        history: of all points so far, in the order in which they were asked for.
        number: of the new point, from 0.
    """
    study = _study(history)
    count = 0
    while True:
        study.sampler = _sampler(part, _seed(part.seed, number, count))
        trial = study.ask()
        yield space.make(lambda axis, trial=trial: _suggest(trial, axis))  # type: ignore[misc]  # bound at once
        study.tell(trial, state=_state("FAIL"))
        count += 1


def export(name: str, history: Sequence[Told], storage_url: str) -> None:
    """Write a study to an Optuna storage, in place of what was exported there before.

    Args:
        name: of the study.
        history: its points.
        storage_url: a database, as Optuna and SQLAlchemy name it.

    Raises:
        InputError: when it cannot be written, or has a study of this name that is no export.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.get_storage(storage_url)
        if name in optuna.get_all_study_names(storage):
            found = optuna.load_study(study_name=name, storage=storage)
            if found.user_attrs.get(OWN) != name:
                raise InputError(f"{_shown(storage_url)} has another study {name!r}: export to a database of its own")
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(study_name=name, storage=storage, direction="minimize")
        study.set_user_attr(OWN, name)
        study.add_trials([_trial(point) for point in history])
    except InputError:
        raise
    except Exception as error:  # SQLAlchemy, its drivers and Optuna each have their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the study cannot be written to {_shown(storage_url)}: {reason}") from None


def _study(history: Sequence[Told]) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    study.add_trials([_trial(point) for point in history])
    return study


def _sampler(part: SearchPart, seed: int) -> BaseSampler:
    from optuna import samplers

    if part.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    if part.sampler == "gp":
        return samplers.GPSampler(seed=seed)
    return samplers.TPESampler(seed=seed)


def _seed(*parts: int) -> int:
    """Return a seed for one draw, far from those of its neighbours."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4])


def _suggest(trial: Trial, axis: Axis) -> Point:
    """Return the option of an axis that a trial of the study has."""
    if isinstance(axis, Choice):
        labels = list(axis.labels)
        return axis.options[labels.index(trial.suggest_categorical(axis.name, labels))]
    if axis.is_whole:
        low, high, step = int(axis.low), int(axis.high), int(axis.step or 1)
        return axis.at(trial.suggest_int(axis.name, low, high, step=step, log=axis.is_log))
    return axis.at(trial.suggest_float(axis.name, axis.low, axis.high, step=axis.step, log=axis.is_log))


def _trial(point: Told) -> FrozenTrial:
    """Return a point as a trial of a study."""
    from optuna.trial import create_trial

    name = "RUNNING" if not point.is_over else "FAIL" if point.value is None else "COMPLETE"
    return create_trial(
        state=_state(name),
        value=point.value if point.is_over else None,
        params={axis.name: _parameter(axis, option) for axis, option in point.options.items()},
        distributions={axis.name: _distribution(axis) for axis in point.options},
        user_attrs=dict(point.attributes),
    )


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def _parameter(axis: Axis, option: Point) -> Scalar:
    if isinstance(axis, Choice):
        return axis.labels[axis.options.index(option)]
    return option[0].value


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Choice):
        return CategoricalDistribution(axis.labels)
    if axis.is_whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.is_log, step=int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, log=axis.is_log, step=axis.step)


def _shown(url: str) -> str:
    """Return a URL without its password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url
