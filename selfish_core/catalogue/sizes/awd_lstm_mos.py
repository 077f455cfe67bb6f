"""Sizes of AWD-LSTM with a mixture of softmaxes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from selfish_core.catalogue.sizes.awd_lstm import stack_shapes
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

NumExperts = Annotated[int, Field(ge=1, le=1024)]


class AWDLSTMMoSConfig(ArchitectureConfig):
    """Embedding, weight-dropped LSTM layers, a mixture of softmaxes; the WikiText-2 recipe by default.

    On Penn Treebank the published command has embedding_size 280, hidden_size 960, last_hidden_size 620,
    input_dropout 0.4 and hidden_dropout 0.225.

    Source: Yang et al., Breaking the Softmax Bottleneck, ICLR 2018, and its code.
    """

    name: Literal["awd_lstm_mos"]
    num_layers: Depth = Field(default=3, description="LSTM layers")
    hidden_size: Width = Field(default=1150, description="width of each layer but the last")
    last_hidden_size: Width = Field(default=650, description="width of the last layer")
    embedding_size: Width = Field(default=300, description="width of the embedding and of each expert")
    num_experts: NumExperts = Field(default=15, description="softmaxes that are mixed")
    is_tied: bool = Field(default=True, description="embedding and decoder share one tensor, one mask")
    embedding_dropout: DropoutRate = Field(default=0.1, description="of whole words of the vocabulary")
    input_dropout: DropoutRate = Field(default=0.55, description="on the embedded words, shared over time")
    hidden_dropout: DropoutRate = Field(default=0.2, description="between layers, shared over time")
    output_dropout: DropoutRate = Field(default=0.4, description="on the last layer's output, shared over time")
    latent_dropout: DropoutRate = Field(default=0.29, description="on what the experts decode, shared over time")
    recurrent_weight_dropout: DropoutRate = Field(
        default=0.5, description="of single hidden-to-hidden weights, for a segment"
    )

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Units of each layer.

        >>> AWDLSTMMoSConfig(name="awd_lstm_mos").layer_widths
        (1150, 1150, 650)
        """
        return (self.hidden_size,) * (self.num_layers - 1) + (self.last_hidden_size,)


def problem(config: AWDLSTMMoSConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    if config.hidden_size not in config.layer_widths:
        reason = f"the only layer is last_hidden_size {config.last_hidden_size} wide"
        return ("hidden_size", f"hidden_size {config.hidden_size} is no layer's: {reason}")
    return None


def shapes(config: AWDLSTMMoSConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`.

    A token is multiplied by the decoder, or by the embedding that is tied to it, once for each expert. The columns of
    the decoder read the embedding-wide latent vector of one expert after the other: `expert` units, where the rows of
    `latent.weight` give the vectors of all experts.
    """
    experts, width, last = config.num_experts, config.embedding_size, config.last_hidden_size
    reads = f"lstm{config.num_layers - 1}"
    latent = ParameterShape(
        name="latent.weight",
        shape=(experts * width, last),
        layer="latent",
        row_units="latent",
        column_units=reads,
    )
    prior = ParameterShape(
        name="prior.weight",
        shape=(experts, last),
        layer="prior",
        row_units="experts",
        column_units=reads,
    )
    decoders = decoder(vocabulary_size, width, "expert", is_tied=config.is_tied)
    return (
        embedding(vocabulary_size, width, num_products=experts if config.is_tied else 0),
        *stack_shapes(width, config.layer_widths),
        latent,
        bias("latent.bias", experts * width, "latent"),
        prior,
        *(part.model_copy(update={"num_products": part.num_products * experts}) for part in decoders),
    )


def with_width(config: AWDLSTMMoSConfig, width: int) -> AWDLSTMMoSConfig:
    """Return the same architecture with another hidden size, the last layer and the embedding in proportion.

    >>> narrow = with_width(AWDLSTMMoSConfig(name="awd_lstm_mos"), 575)
    >>> narrow.layer_widths, narrow.embedding_size
    ((575, 575, 325), 150)
    """
    scaled = {
        name: max(1, round(getattr(config, name) * width / config.hidden_size))
        for name in ("last_hidden_size", "embedding_size")
    }
    return config.model_copy(update={"hidden_size": width, **scaled})
