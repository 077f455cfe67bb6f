"""Sizes of the stacked GRU."""

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

GRU_GATES = ("reset", "update", "new")
"""Order in which torch stacks a GRU's gates."""


class GRUConfig(ArchitectureConfig):
    """Embedding, stacked GRU, decoder, with element-wise dropout between; widths of the stacked LSTM by default."""

    name: Literal["gru"]
    num_layers: Depth = Field(default=2, description="GRU layers")
    hidden_size: Width = Field(default=1500, description="width of each GRU layer")
    embedding_size: Width = Field(default=1500, description="width of the embedding")
    is_tied: bool = Field(default=False, description="embedding and decoder share one tensor, one mask")
    dropout: DropoutRate = Field(default=0.65, description="on the embedding, between layers and before the decoder")


def problem(config: GRUConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    embedding_size, hidden_size = config.embedding_size, config.hidden_size
    if config.is_tied and embedding_size != hidden_size:
        return ("is_tied", f"is_tied needs embedding_size {embedding_size} equal to hidden_size {hidden_size}")
    return None


def shapes(config: GRUConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`."""
    hidden = config.hidden_size
    found = [embedding(vocabulary_size, config.embedding_size, num_products=int(config.is_tied))]
    reads, inputs = "embedding", config.embedding_size
    for index in range(config.num_layers):
        layer = f"gru{index}"
        found += [
            ParameterShape(
                name=f"gru.{index}.weight_{kind}_l0",
                shape=(3 * hidden, width),
                layer=layer,
                gates=GRU_GATES,
                row_units=layer,
                column_units=units,
            )
            for kind, width, units in (("ih", inputs, reads), ("hh", hidden, layer))
        ]
        found += [bias(f"gru.{index}.bias_{kind}_l0", 3 * hidden, layer) for kind in ("ih", "hh")]
        reads, inputs = layer, hidden
    return (*found, *decoder(vocabulary_size, hidden, reads, is_tied=config.is_tied))


def with_width(config: GRUConfig, width: int) -> GRUConfig:
    """Return the same architecture with another hidden size, the embedding in proportion.

    >>> narrow = with_width(GRUConfig(name="gru", hidden_size=600, embedding_size=300), 200)
    >>> narrow.hidden_size, narrow.embedding_size
    (200, 100)
    """
    embedding_size = max(1, round(config.embedding_size * width / config.hidden_size))
    return config.model_copy(update={"hidden_size": width, "embedding_size": embedding_size})
