"""What is recorded of a sweep, for a command: read with a line of progress where that takes long."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.evidence import Evidence
    from selfish_core.trial_store import TrialStore
    from sweeps.expand import Trial
    from sweeps.spec import Spec


def gather(
    spec: Spec,
    trials: Sequence[Trial],
    store: TrialStore,
    tracking_uri: str | None,
    *,
    metrics: Collection[str] | None = None,
) -> Evidence:
    """Do what `results.evidence.gather` does, and tell on a terminal how far a server or MLflow's client is."""
    from results import evidence

    if tracking_uri is None or not sys.stderr.isatty():
        return evidence.gather(spec, trials, store, tracking_uri, metrics=metrics)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("MLflow", total=None)

        def tell(what: str, num_done: int, num_parts: int) -> None:
            bar.update(task, description=f"MLflow: {what}", completed=num_done, total=num_parts)

        return evidence.gather(spec, trials, store, tracking_uri, metrics=metrics, progress=tell)
