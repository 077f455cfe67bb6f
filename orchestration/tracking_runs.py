"""MLflow's runs as the projector knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from results import names


@dataclass
class KnownRun:
    """One run as MLflow last showed it, kept up to date by what is written.

    Args:
        run_id: MLflow's name of it.
        status: RUNNING, FINISHED, FAILED or KILLED.
        start_ms: when it started, milliseconds since 1970.
        tags: name to value.
        params: names of the params that are there.
        last_step: the highest step of any metric, 0 without.
        has_written: steps 1 to this one are all there.
        datasets: names of the datasets that it has as inputs.
    """

    run_id: str
    status: str = "RUNNING"
    start_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    last_step: int = 0
    has_written: int = 0
    datasets: set[str] = field(default_factory=set)

    @property
    def num_shown(self) -> int:
        """How many epochs the run says that it shows."""
        text = self.tags.get(names.TAG_EPOCHS, "")
        return int(text) if text.isascii() and text.isdigit() else 0


def known_run(run: Any) -> KnownRun:
    """Read what MLflow says of a run."""
    tags = dict(run.data.tags)
    steps = [metric.step for metric in getattr(run.data, "_metric_objs", [])]
    unknown = names.MAX_STEP if run.data.metrics and not steps else 0
    known = KnownRun(
        run_id=run.info.run_id,
        status=run.info.status,
        start_ms=run.info.start_time or 0,
        tags=tags,
        params=set(run.data.params),
        last_step=max([unknown, *steps]),
        datasets={read.dataset.name for read in getattr(run.inputs, "dataset_inputs", [])},
    )
    known.has_written = known.num_shown
    return known
