"""Architectures: one row each, with its config, its parameters without building a model, and where its module is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selfish_core.catalogue.sizes import stacked_lstm
from selfish_core.catalogue.sizes.shape import ArchitectureConfig, ParameterShape


@dataclass(frozen=True, kw_only=True)
class ArchitectureRow:
    """One architecture.

    Args:
        name: as it stands in specs.
        config: the class of its sizes.
        shapes: `(config, vocabulary_size)` to its parameters.
        problem: `config` to (field, reason) where the sizes contradict each other, else None.
        with_width: `(config, hidden_size)` to the same architecture narrower or wider.
        model: `module:class` of its torch module, built as `class(config, vocabulary_size, generator)`.
        source: where it was published.
    """

    name: str
    config: type[ArchitectureConfig]
    shapes: Callable[[Any, int], tuple[ParameterShape, ...]]
    problem: Callable[[Any], tuple[str, str] | None]
    with_width: Callable[[Any, int], Any]
    model: str
    source: str


ARCHITECTURES: dict[str, ArchitectureRow] = {
    row.name: row
    for row in (
        ArchitectureRow(
            name="stacked_lstm",
            config=stacked_lstm.StackedLSTMConfig,
            shapes=stacked_lstm.shapes,
            problem=stacked_lstm.problem,
            with_width=stacked_lstm.with_width,
            model="selfish_core.models.stacked_lstm:StackedLSTM",
            source="Zaremba et al., Recurrent Neural Network Regularization, 2014; sizes of Liu et al., ICML 2021",
        ),
    )
}
