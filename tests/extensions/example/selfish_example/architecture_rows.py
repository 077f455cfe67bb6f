"""The minimal gated unit without torch: its sizes, its parameters, its row."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfish_core.catalogue.rows import ArchitectureRow
from selfish_core.catalogue.sizes.shape import (
    ArchitectureConfig,
    DropoutRate,
    ParameterShape,
    Width,
    bias,
    decoder,
    embedding,
)

GATES = ("forget", "candidate")
"""Order in which the blocks of rows are stacked."""


class MGUConfig(ArchitectureConfig):
    """Embedding, one layer of minimal gated units, decoder, with dropout between."""

    name: Literal["mgu"]
    hidden_size: Width = Field(default=200, description="units of the layer")
    embedding_size: Width = Field(default=200, description="width of the embedding")
    dropout: DropoutRate = Field(default=0.2, description="on the embedding and before the decoder")


def shapes(config: MGUConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters by the names and in the order of the module's `named_parameters`."""
    hidden = config.hidden_size
    weights = [
        ParameterShape(
            name=f"mgu.weight_{kind}",
            shape=(2 * hidden, width),
            layer="mgu",
            gates=GATES,
            row_units="mgu",
            column_units=units,
        )
        for kind, width, units in (("ih", config.embedding_size, "embedding"), ("hh", hidden, "mgu"))
    ]
    return (
        embedding(vocabulary_size, config.embedding_size, num_products=0),
        *weights,
        bias("mgu.bias", 2 * hidden, "mgu"),
        *decoder(vocabulary_size, hidden, "mgu", is_tied=False),
    )


def problem(config: MGUConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built: all of them can."""
    return None


def with_width(config: MGUConfig, width: int) -> MGUConfig:
    """Return the same architecture with another hidden size, the embedding in proportion."""
    embedding_size = max(1, round(config.embedding_size * width / config.hidden_size))
    return config.model_copy(update={"hidden_size": width, "embedding_size": embedding_size})


MGU = ArchitectureRow(
    name="mgu",
    config=MGUConfig,
    shapes=shapes,
    problem=problem,
    with_width=with_width,
    model="selfish_example.mgu:MGU",
    source="Zhou et al., Minimal Gated Unit for Recurrent Neural Networks, 2016",
)
