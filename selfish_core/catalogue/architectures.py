"""Architectures: their configs and, without building a model, the name, shape and gates of every parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, kw_only=True)
class ParameterShape:
    """One parameter of a model.

    Args:
        name: as in the torch module's `named_parameters`.
        shape: its size in every dimension.
        layer: the layer it belongs to, for grouping: `embedding`, `lstm0`, …, `decoder`.
        gates: names of the equal blocks of rows it is stacked from; one block where it has no gates.
        is_maskable: whether sparse methods mask it; biases are dense.
        is_multiplied: whether a forward step multiplies by it; an embedding is looked up and costs nothing.
    """

    name: str
    shape: tuple[int, ...]
    layer: str
    gates: tuple[str, ...] = ("all",)
    is_maskable: bool = True
    is_multiplied: bool = True

    @property
    def size(self) -> int:
        """Number of entries."""
        size = 1
        for length in self.shape:
            size *= length
        return size


LSTM_GATES = ("input", "forget", "cell", "output")
"""Order in which torch stacks an LSTM's gates."""


class StackedLSTMConfig(BaseModel):
    """Embedding, stacked LSTM, decoder, with element-wise dropout between."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Literal["stacked_lstm"]
    num_layers: int = Field(default=2, ge=1, le=64)
    hidden_size: int = Field(default=1500, ge=1, le=65536, description="width of each LSTM layer")
    embedding_size: int = Field(default=1500, ge=1, le=65536, description="width of the embedding")
    is_tied: bool = Field(
        default=False,
        json_schema_extra={"neutral": False},
        description="embedding and decoder share one tensor, one mask",
    )
    dropout: float = Field(
        default=0.65,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="on the embedding, between layers and before the decoder",
    )


def stacked_lstm_problem(config: StackedLSTMConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    if config.is_tied and config.embedding_size != config.hidden_size:
        return (
            "is_tied",
            f"is_tied needs embedding_size {config.embedding_size} equal to hidden_size {config.hidden_size}",
        )
    return None


def stacked_lstm_shapes(config: StackedLSTMConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters of a stacked LSTM in the order of `named_parameters`."""
    hidden = config.hidden_size
    shapes = [
        ParameterShape(
            name="embedding.weight",
            shape=(vocabulary_size, config.embedding_size),
            layer="embedding",
            is_multiplied=config.is_tied,
        )
    ]
    for layer in range(config.num_layers):
        inputs = config.embedding_size if layer == 0 else hidden
        where = f"lstm{layer}"
        for kind, width in (("ih", inputs), ("hh", hidden)):
            name = f"lstm.{layer}.weight_{kind}_l0"
            shapes.append(ParameterShape(name=name, shape=(4 * hidden, width), layer=where, gates=LSTM_GATES))
        for kind in ("ih", "hh"):
            shapes.append(_bias(f"lstm.{layer}.bias_{kind}_l0", 4 * hidden, where))
    if not config.is_tied:
        shapes.append(ParameterShape(name="decoder.weight", shape=(vocabulary_size, hidden), layer="decoder"))
    shapes.append(_bias("decoder.bias", vocabulary_size, "decoder"))
    return tuple(shapes)


def _bias(name: str, length: int, layer: str) -> ParameterShape:
    return ParameterShape(name=name, shape=(length,), layer=layer, is_maskable=False, is_multiplied=False)


ArchitectureConfig = StackedLSTMConfig


@dataclass(frozen=True, kw_only=True)
class ArchitectureRow:
    """One architecture.

    Args:
        name: as it stands in specs.
        config: the class of its sizes.
        shapes: `(config, vocabulary_size)` to its parameters.
        problem: `config` to (field, reason) where the sizes contradict each other, else None.
        source: where it was published.
    """

    name: str
    config: type[ArchitectureConfig]
    shapes: Callable[[Any, int], tuple[ParameterShape, ...]]
    problem: Callable[[Any], tuple[str, str] | None]
    source: str


ARCHITECTURES: dict[str, ArchitectureRow] = {
    row.name: row
    for row in (
        ArchitectureRow(
            name="stacked_lstm",
            config=StackedLSTMConfig,
            shapes=stacked_lstm_shapes,
            problem=stacked_lstm_problem,
            source="Zaremba et al., Recurrent Neural Network Regularization, 2014; sizes of Liu et al., ICML 2021",
        ),
    )
}
