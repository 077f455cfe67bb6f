"""What some rules of removal and regrowth remember from one mask update to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REMOVAL_SCORES
from selfish_core.sparsity.removal import Signs, Thresholds


@dataclass
class Memory:
    """What is remembered; most methods remember nothing.

    Args:
        thresholds: of removal below a threshold.
        signs: of removal at a change of sign.
        gradients: sums since the last update, where regrowth reads a mean.
        num_gradients: how many were summed.
    """

    thresholds: Thresholds | None
    signs: Signs | None
    gradients: dict[str, Tensor]
    num_gradients: int = 0

    @classmethod
    def of(
        cls, parts: SparsityConfig, num_pools: int, weights: Mapping[str, Tensor], generator: torch.Generator
    ) -> Memory:
        """Start with what the parts of a method need."""
        rule = REMOVAL_SCORES[parts.removal].rule if parts.removal != "none" else "count"
        first, tolerance = parts.initial_threshold or 0.0, parts.threshold_tolerance or 0.0
        reads_mean = parts.gradient_steps is not None
        return cls(
            thresholds=Thresholds([first] * num_pools, tolerance) if rule == "threshold" else None,
            signs=Signs(weights, generator) if rule == "sign" else None,
            gradients={name: torch.zeros_like(weight) for name, weight in weights.items()} if reads_mean else {},
        )

    def add_gradients(self, gradients: Mapping[str, Tensor | None]) -> None:
        """Take in one minibatch's dense gradients."""
        for name, total in self.gradients.items():
            gradient = gradients[name]
            if gradient is not None:
                total += gradient
        self.num_gradients += 1

    def mean_gradients(self) -> dict[str, Tensor | None]:
        """Mean of what was summed; empty where nothing is summed."""
        return {name: total / max(1, self.num_gradients) for name, total in self.gradients.items()}

    def forget_gradients(self) -> None:
        """Begin a new mean."""
        for total in self.gradients.values():
            total.zero_()
        self.num_gradients = 0

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what the next update depends on: tensors, and JSON-able data."""
        tensors = {f"gradients/{name}": total for name, total in self.gradients.items()}
        if self.signs is not None:
            tensors |= {f"signs/{name}": signs for name, signs in self.signs.is_positive.items()}
        values: dict[str, Any] = {"num_gradients": self.num_gradients}
        if self.thresholds is not None:
            values["thresholds"] = list(self.thresholds.values)
        return tensors, values

    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for full_name, tensor in tensors.items():
            kind, _, name = full_name.partition("/")
            if kind == "gradients":
                self.gradients[name].copy_(tensor)
            elif self.signs is not None:
                self.signs.is_positive[name].copy_(tensor)
        self.num_gradients = int(values.get("num_gradients", 0))
        if self.thresholds is not None:
            self.thresholds.values = [float(value) for value in values["thresholds"]]
