"""What is recorded of a sweep's trials: the one thing that tables, figures and the report are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from results import aggregate
from sweeps.expand import Trial
from sweeps.spec import Spec


@dataclass(frozen=True)
class Evidence:
    """A sweep, its trials, and what is recorded of them so far.

    Args:
        spec: as it was read.
        trials: in the spec's order; of a search those that it has chosen so far.
        frame: tidy, one row per (key, epoch), also of epochs beyond the spec's (`results.frames`).
        warnings: what a reader should know of where the frame came from, one line each.
    """

    spec: Spec
    trials: Sequence[Trial]
    frame: pd.DataFrame
    warnings: tuple[str, ...] = ()

    @cached_property
    def concluded(self) -> pd.DataFrame:
        """One row per trial: its state and the metrics of its selected epoch (`results.aggregate.conclude`)."""
        return aggregate.conclude(self.frame, self.trials, self.spec.epochs)
