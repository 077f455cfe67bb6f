"""Sizes of the recurrent highway network."""

from __future__ import annotations

from typing import Annotated, Literal

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

COUPLED_GATES = ("candidate", "transform")
"""Order of the row blocks where the carry gate is one minus the transform gate; h and t of Zilly et al."""

FREE_GATES = (*COUPLED_GATES, "carry")
"""Order of the row blocks where the carry gate has weights of its own; h, t and c of Zilly et al."""


class RHNConfig(ArchitectureConfig):
    """Embedding, one recurrent layer of highway steps, decoder; each of the four dropouts is shared over time."""

    name: Literal["rhn"]
    depth: Depth = Field(default=10, description="highway steps for each token")
    hidden_size: Width = Field(default=830, description="width of the state")
    embedding_size: Width = Field(default=830, description="width of the embedding")
    is_tied: bool = Field(default=True, description="embedding and decoder share one tensor, one mask")
    is_coupled: bool = Field(default=True, description="the carry gate is one minus the transform gate")
    embedding_dropout: DropoutRate = Field(default=0.2, description="whole words of the vocabulary")
    input_dropout: DropoutRate = Field(default=0.65, description="on the embedded words")
    hidden_dropout: DropoutRate = Field(default=0.25, description="on the state that the gates read, at every depth")
    output_dropout: DropoutRate = Field(default=0.65, description="before the decoder")
    transform_bias: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] | None = Field(
        default=None,
        description="initial bias of the transform gate at every depth, e.g. -2; null draws it like the other biases",
    )


def problem(config: RHNConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    if config.is_tied and config.embedding_size != config.hidden_size:
        return (
            "is_tied",
            f"is_tied needs embedding_size {config.embedding_size} equal to hidden_size {config.hidden_size}",
        )
    return None


def gates(config: RHNConfig) -> tuple[str, ...]:
    """Name the blocks of rows of the input matrix and of every recurrent matrix."""
    return COUPLED_GATES if config.is_coupled else FREE_GATES


def shapes(config: RHNConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`.

    The layers are `rhn_input`, which reads the word, and `rhn1`, `rhn2` and so on, one for each depth.
    """
    hidden = config.hidden_size
    found = [embedding(vocabulary_size, config.embedding_size, num_products=int(config.is_tied))]
    found += _linear("input", "rhn_input", config, config.embedding_size, "embedding")
    for index in range(config.depth):
        found += _linear(f"recurrent.{index}", f"rhn{index + 1}", config, hidden, "rhn")
    return (*found, *decoder(vocabulary_size, hidden, "rhn", is_tied=config.is_tied))


def with_width(config: RHNConfig, width: int) -> RHNConfig:
    """Return the same architecture with another hidden size, the embedding in proportion."""
    embedding_size = max(1, round(config.embedding_size * width / config.hidden_size))
    return config.model_copy(update={"hidden_size": width, "embedding_size": embedding_size})


def _linear(module: str, layer: str, config: RHNConfig, width: int, reads: str) -> list[ParameterShape]:
    rows = len(gates(config)) * config.hidden_size
    weight = ParameterShape(
        name=f"{module}.weight",
        shape=(rows, width),
        layer=layer,
        gates=gates(config),
        row_units="rhn",
        column_units=reads,
    )
    return [weight, bias(f"{module}.bias", rows, layer)]
