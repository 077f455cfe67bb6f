"""What training asks of an optimizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from selfish_core.optim.state import Parameters, WarmUp


@dataclass
class OptimizerState:
    """What an optimizer must remember to go on with the same bits.

    Args:
        tensors: by a name that is unique in the optimizer.
        scalars: JSON-able.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)


class Optimizer(ABC):
    """One optimizer over all parameters of a model: torch's own step, then the masks.

    Inactive weights are zero after every `step`.

    Args:
        torch_optimizer: takes the step; its groups' learning rate is the trial's.
        parameters: by name; they keep their storage.
        multipliers: masks as floats, by the name of the parameter they belong to; read anew at every step.
        warm_up: of weights that start anew, where they are to have one.
    """

    def __init__(
        self,
        torch_optimizer: torch.optim.Optimizer,
        parameters: Parameters,
        multipliers: Parameters,
        warm_up: WarmUp | None = None,
    ) -> None:
        self._torch = torch_optimizer
        self._parameters = parameters
        self._multipliers = multipliers
        self._warm_up = warm_up
        self._rate = float(torch_optimizer.param_groups[0]["lr"])

    @property
    def learning_rate(self) -> float:
        """Step size of a step of the usual length."""
        return self._rate

    def step(self, factor: float = 1.0) -> None:
        """Take one step from the parameters' gradients.

        Args:
            factor: of the learning rate, for all tensors, in this step.
        """
        for group in self._torch.param_groups:
            group["lr"] = self._rate * factor
        held = {} if self._warm_up is None else self._warm_up.hold(self._parameters)
        self._torch.step()
        if self._warm_up is not None:
            self._warm_up.ease_(self._parameters, held)
        apply_masks(self._parameters, self._multipliers)
        self._after_step()

    def state(self) -> OptimizerState:
        """Return everything that the next step depends on."""
        state = OptimizerState()
        if self._warm_up is not None:
            state.tensors |= {f"ages/{name}": ages for name, ages in self._warm_up.ages.items()}
        return state

    def load(self, state: OptimizerState) -> None:
        """Go on from a state."""
        if self._warm_up is not None:
            for name, ages in self._warm_up.ages.items():
                ages.copy_(state.tensors[f"ages/{name}"])

    def start_over(self, name: str, left: Tensor, started: Tensor) -> None:
        """Forget the history of weights of one parameter that left or started at a mask update.

        Args:
            name: the parameter.
            left: bool, now inactive.
            started: bool, now active and new.
        """
        if self._warm_up is not None:
            self._warm_up.start(name, started)
        self._forget(name, left, started)

    @property
    def is_averaging(self) -> bool:
        """Whether the weights to evaluate are averages."""
        return False

    def momentum(self, name: str) -> Tensor | None:  # noqa: ARG002 - most optimizers have none
        """Return the momentum of one parameter, or None."""
        return None

    def end_epoch(self, val_loss: float) -> bool:  # noqa: ARG002 - most optimizers do not look
        """Take note of an epoch's validation loss; return whether averaging starts now."""
        return False

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Hold the weights to evaluate in the parameters for as long as the context lasts."""
        yield

    def _after_step(self) -> None:  # noqa: B027 - nothing by default
        """Do what follows a step."""

    @abstractmethod
    def _forget(self, name: str, left: Tensor, started: Tensor) -> None:
        """Forget what the optimizer itself remembers of such weights."""


def apply_masks(parameters: Parameters, multipliers: Parameters) -> None:
    """Multiply parameters by their masks in place; one that has no mask is left alone."""
    if multipliers:
        with torch.no_grad():
            torch._foreach_mul_([parameters[name] for name in multipliers], list(multipliers.values()))
