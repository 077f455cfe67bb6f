"""Sizes of the stacked LSTM."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfish_core.catalogue.sizes.shape import (
    ArchitectureConfig,
    Depth,
    DropoutRate,
    ParameterShape,
    Width,
    bias,
    decoder,
    embedding,
)

LSTM_GATES = ("input", "forget", "cell", "output")
"""Order in which torch stacks an LSTM's gates."""


class StackedLSTMConfig(ArchitectureConfig):
    """Embedding, stacked LSTM, decoder, with element-wise dropout between."""

    name: Literal["stacked_lstm"]
    num_layers: Depth = 2
    hidden_size: Width = Field(default=1500, description="width of each LSTM layer")
    embedding_size: Width = Field(default=1500, description="width of the embedding")
    is_tied: bool = Field(
        default=False,
        json_schema_extra={"neutral": False},
        description="embedding and decoder share one tensor, one mask",
    )
    dropout: DropoutRate = Field(default=0.65, description="on the embedding, between layers and before the decoder")


def problem(config: StackedLSTMConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    if config.is_tied and config.embedding_size != config.hidden_size:
        return (
            "is_tied",
            f"is_tied needs embedding_size {config.embedding_size} equal to hidden_size {config.hidden_size}",
        )
    return None


def shapes(config: StackedLSTMConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`."""
    hidden = config.hidden_size
    found = [embedding(vocabulary_size, config.embedding_size, num_products=int(config.is_tied))]
    reads, inputs = "embedding", config.embedding_size
    for layer in range(config.num_layers):
        found += lstm_shapes(f"lstm.{layer}", f"lstm{layer}", hidden, inputs, reads)
        reads, inputs = f"lstm{layer}", hidden
    return (*found, *decoder(vocabulary_size, hidden, reads, is_tied=config.is_tied))


def with_width(config: StackedLSTMConfig, width: int) -> StackedLSTMConfig:
    """Return the same architecture with another hidden size, the embedding in proportion."""
    embedding_size = max(1, round(config.embedding_size * width / config.hidden_size))
    return config.model_copy(update={"hidden_size": width, "embedding_size": embedding_size})


def lstm_shapes(prefix: str, layer: str, hidden: int, inputs: int, reads: str) -> list[ParameterShape]:
    """List the parameters of one `torch.nn.LSTM` layer.

    Args:
        prefix: the module's name.
        layer: the layer's, which is also the name of its units.
        hidden: number of its units.
        inputs: width of what it reads.
        reads: the units that it reads.
    """
    weights = [
        ParameterShape(
            name=f"{prefix}.weight_{kind}_l0",
            shape=(4 * hidden, width),
            layer=layer,
            gates=LSTM_GATES,
            row_units=layer,
            column_units=units,
        )
        for kind, width, units in (("ih", inputs, reads), ("hh", hidden, layer))
    ]
    return weights + [bias(f"{prefix}.bias_{kind}_l0", 4 * hidden, layer) for kind in ("ih", "hh")]
