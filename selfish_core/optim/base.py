"""What training asks of an optimizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Parameters = Mapping[str, Tensor]
"""Parameters of a model by name; they keep their storage for ever."""


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
    """One optimizer over all parameters of a model.

    Inactive weights are zero after every `step`: the masks are part of it.
    """

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """Step size of the last step."""

    @abstractmethod
    def step(self) -> None:
        """Take one step from the parameters' gradients."""

    @abstractmethod
    def state(self) -> OptimizerState:
        """Return everything that the next step depends on."""

    @abstractmethod
    def load(self, state: OptimizerState) -> None:
        """Go on from a state."""

    @property
    def is_averaging(self) -> bool:
        """Whether the weights to evaluate are averages."""
        return False

    def momentum(self, name: str) -> Tensor | None:  # noqa: ARG002 - most optimizers have none
        """Return the momentum of one parameter, or None."""
        return None

    def start_over(self, name: str, left: Tensor, started: Tensor) -> None:  # noqa: B027 - nothing to forget by default
        """Forget the history of weights of one parameter that left or started at a mask update.

        Args:
            name: the parameter.
            left: bool, now inactive.
            started: bool, now active and new.
        """

    def end_epoch(self, val_loss: float) -> bool:  # noqa: ARG002 - most optimizers do not look
        """Take note of an epoch's validation loss; return whether averaging starts now."""
        return False

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Hold the weights to evaluate in the parameters for as long as the context lasts."""
        yield
