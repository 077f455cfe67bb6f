"""How long an epoch takes: as measured in the records of a trial store, else assumed from FLOPs, which is said."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import median_low
from typing import Literal

from selfish_core.accounting import forward_flops_per_token, steps_of_epoch
from selfish_core.catalogue.corpora import facts
from selfish_core.config import TrialConfig
from selfish_core.records import Record
from sweeps.spec import Resources

Device = Literal["cpu", "cuda"]

CPU_FLOPS_PER_SECOND = 1e10
"""What one CPU is taken to do where nothing was measured; masks are simulated, so dense FLOPs are what it does."""

GPU_FLOPS_PER_SECOND = 2e12
"""The same of one GPU: far below its peak, for the steps of a recurrence follow one another."""


def device_of(resources: Resources) -> Device:
    """Return the kind of device that trials run on."""
    return "cuda" if resources.gpu else "cpu"


def alike(config: TrialConfig) -> Hashable:
    """Return what trials have in common that take as long for a token: architecture, batches and corpus."""
    return config.architecture, config.training, config.corpus.name, facts(config.corpus).vocabulary_size


class Speeds:
    """Training tokens per second of a kind of device, by what trials have in common.

    Args:
        device: the kind; what another one did is not counted.
        measured: (config, a record of it) of earlier epochs.
    """

    def __init__(self, device: Device, measured: Iterable[tuple[TrialConfig, Record]] = ()) -> None:
        found: dict[Hashable, list[float]] = {}
        for config, record in measured:
            if record.provenance.fingerprint.get("device", "cpu") == device:
                found.setdefault(alike(config), []).append(record.timing.tokens_per_second)
        self._tokens_per_second: Mapping[Hashable, float] = {kind: median_low(each) for kind, each in found.items()}

    def knows(self, config: TrialConfig) -> bool:
        """Whether epochs like the trial's were measured."""
        return alike(config) in self._tokens_per_second

    def seconds_per_epoch(self, config: TrialConfig, *, cpu: float, gpu: float) -> float:
        """Return the time of one epoch.

        Args:
            config: the trial's.
            cpu: CPUs that it has; only counts where nothing was measured.
            gpu: GPUs that it has; a share of one is assumed to be as much slower.
        """
        num_tokens = steps_of_epoch(config).num_scored_tokens
        measured = self._tokens_per_second.get(alike(config))
        if measured is not None:
            return num_tokens / measured
        flops = 3 * forward_flops_per_token(config, dense=True) * num_tokens
        return flops / (GPU_FLOPS_PER_SECOND * min(gpu, 1) if gpu else CPU_FLOPS_PER_SECOND * max(cpu, 1))


def told(device: Device, is_measured: Sequence[bool]) -> str:
    """Say in one line where estimates come from.

    Args:
        device: the kind that trials run on.
        is_measured: of each trial that is to run.
    """
    name = "GPU" if device == "cuda" else "CPU"
    flops = GPU_FLOPS_PER_SECOND if device == "cuda" else CPU_FLOPS_PER_SECOND
    if all(is_measured):
        return f"measured on a {name} in earlier epochs of the same architecture, corpus and batches"
    assumed = f"assuming {flops / 1e9:g} GFLOP/s a {name} on dense FLOPs (masks are simulated)"
    return f"partly measured, else {assumed}" if any(is_measured) else f"nothing measured yet: {assumed}"
