"""From an architecture's config to its module: the one table of model classes."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from selfish_core.models.stacked_lstm import StackedLSTM


class LanguageModel(Protocol):
    """What training asks of a model; `nn.Module` beside it gives the parameters."""

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Return the state before the first word."""

    def __call__(
        self, words_TB: Tensor, state: tuple[Tensor, ...], generator: torch.Generator | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits_TBV and the state after the segment."""


MODELS: dict[str, type[nn.Module]] = {"stacked_lstm": StackedLSTM}
"""One class for each row of the catalogue's architectures (a conformance test)."""


def build(config: Any, vocabulary_size: int, generator: torch.Generator) -> nn.Module:
    """Build the model that an architecture config describes, its weights drawn from `generator`."""
    return MODELS[config.name](config, vocabulary_size, generator)
