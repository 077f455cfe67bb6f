"""What a sweep's search has tried, for its figures: points and importances, from the study that Optuna would see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestration.decisions import Entry
from orchestration.search import Search
from results.figures.options import Parameter, Searched
from sweeps.spec import Spec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

EVALUATOR = "fANOVA, Hutter et al. 2014, as Optuna computes it"
SEED = 0
"""Of the forest that fANOVA grows, so that the same points give the same importances."""


def searched(spec: Spec, entries: Iterable[Entry]) -> Searched | None:
    """Return the points of a sweep's search that are over and worth something; None where the sweep has no search.

    Args:
        spec: of the sweep.
        entries: its decisions.
    """
    if spec.search is None or spec.space is None:
        return None
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with TemporaryDirectory(prefix="selfish-") as folder:
        url = f"sqlite:///{Path(folder) / 'study.db'}"
        Search(spec, entries, lambda _decision: None).export_to(url)
        study = optuna.load_study(study_name=spec.name, storage=url)
        over = [trial for trial in study.trials if trial.value is not None and trial.state.name == "COMPLETE"]
        importances = _importances(study, over)
    return Searched(
        parameters=tuple(
            Parameter(
                name=axis.name,
                values=tuple(_value(axis.name, trial) for trial in over),
                is_log=any(getattr(trial.distributions.get(axis.name), "log", False) for trial in over),
                importance=importances.get(axis.name),
            )
            for axis in spec.space.axes
        ),
        metric=spec.search.metric,
        values=tuple(float(trial.value) for trial in over if trial.value is not None),
        numbers=tuple(int(trial.user_attrs.get("number", trial.number)) for trial in over),
        evaluator=EVALUATOR,
    )


def _value(name: str, trial: FrozenTrial) -> float | str | None:
    """Return what a point has along an axis; of a choice of one field, its value alone."""
    value = trial.params.get(name)
    return value.removeprefix(f"{name}=") if isinstance(value, str) else value


def _importances(study: Study, over: Iterable[FrozenTrial]) -> Mapping[str, float]:
    """Return the importance of each parameter that every point has; none where the points are all worth the same."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if len({trial.value for trial in over}) < 2:
        return {}
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=SEED))
