"""How large trials are, each counted once: those that differ in seed or in their optimizer's values are as large."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from orchestration.speeds import Speeds
from selfish_core.accounting import count_parameters, training_flops
from selfish_core.config import TrialConfig
from sweeps.spec import Resources


@dataclass(frozen=True)
class Size:
    """How large a trial is.

    Args:
        num_parameters: all, biases too.
        num_active: active maskable weights.
        training_flops: by the method's rule, of all epochs.
        epoch_seconds: time of one epoch.
        is_measured: whether that rests on measured epochs.
    """

    num_parameters: int
    num_active: int
    training_flops: float
    epoch_seconds: float
    is_measured: bool


class Sizes:
    """Count, and remember.

    Args:
        speeds: of earlier epochs.
        resources: of one trial.
        epochs: that each is to have.
    """

    def __init__(self, speeds: Speeds, resources: Resources, epochs: int) -> None:
        self._speeds = speeds
        self._resources = resources
        self._epochs = epochs
        self._known: dict[Hashable, Size] = {}

    def of(self, config: TrialConfig) -> Size:
        """Return a trial's size."""
        parts = (config.architecture, config.corpus, config.sparsity, config.training)
        if parts not in self._known:
            counts, resources = count_parameters(config), self._resources
            self._known[parts] = Size(
                num_parameters=counts.num_parameters,
                num_active=counts.num_active,
                training_flops=training_flops(config, self._epochs),
                epoch_seconds=self._speeds.seconds_per_epoch(config, cpu=resources.cpu, gpu=resources.gpu),
                is_measured=self._speeds.knows(config),
            )
        return self._known[parts]
