"""Sizes of AWD-LSTM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from selfish_core.catalogue.sizes.shape import (
    ArchitectureConfig,
    Depth,
    DropoutRate,
    ParameterShape,
    Width,
    decoder,
    embedding,
)
from selfish_core.catalogue.sizes.stacked_lstm import lstm_shapes


class AWDLSTMConfig(ArchitectureConfig):
    """Embedding, weight-dropped LSTM layers, decoder; sizes and dropout of the Penn Treebank recipe by default.

    Source: Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018. Dropout is that of the command
    its code gives for Penn Treebank; without being told, that code takes 0.3 between layers and 0.65 on the input.
    """

    name: Literal["awd_lstm"]
    num_layers: Depth = Field(default=3, description="LSTM layers")
    hidden_size: Width = Field(default=1150, description="width of each layer but the last of a tied model")
    embedding_size: Width = Field(default=400, description="width of the embedding; of the last layer too where tied")
    is_tied: bool = Field(default=True, description="embedding and decoder share one tensor, one mask")
    embedding_dropout: DropoutRate = Field(default=0.1, description="of whole words of the vocabulary")
    input_dropout: DropoutRate = Field(default=0.4, description="on the embedded words, shared over time")
    hidden_dropout: DropoutRate = Field(default=0.25, description="between layers, shared over time")
    output_dropout: DropoutRate = Field(default=0.4, description="before the decoder, shared over time")
    recurrent_weight_dropout: DropoutRate = Field(
        default=0.5, description="of single hidden-to-hidden weights, for a segment"
    )

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Units of each layer.

        >>> AWDLSTMConfig(name="awd_lstm").layer_widths
        (1150, 1150, 400)
        """
        last = self.embedding_size if self.is_tied else self.hidden_size
        return (self.hidden_size,) * (self.num_layers - 1) + (last,)


def problem(config: AWDLSTMConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    if config.hidden_size not in config.layer_widths:
        width = config.embedding_size
        reason = f"the only layer of a tied model is as wide as the embedding, {width}"
        return ("hidden_size", f"hidden_size {config.hidden_size} is no layer's: {reason}")
    return None


def shapes(config: AWDLSTMConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`."""
    widths = config.layer_widths
    last = f"lstm{config.num_layers - 1}"
    return (
        embedding(vocabulary_size, config.embedding_size, num_products=int(config.is_tied)),
        *stack_shapes(config.embedding_size, widths),
        *decoder(vocabulary_size, widths[-1], last, is_tied=config.is_tied),
    )


def with_width(config: AWDLSTMConfig, width: int) -> AWDLSTMConfig:
    """Return the same architecture with another hidden size, the embedding in proportion.

    >>> with_width(AWDLSTMConfig(name="awd_lstm"), 575).layer_widths
    (575, 575, 200)
    """
    embedding_size = max(1, round(config.embedding_size * width / config.hidden_size))
    return config.model_copy(update={"hidden_size": width, "embedding_size": embedding_size})


def stack_shapes(inputs: int, widths: Iterable[int]) -> list[ParameterShape]:
    """List the parameters of LSTM layers `lstm.0`, `lstm.1`, … on top of each other.

    Args:
        inputs: width of the embedding, which the first one reads.
        widths: units of each layer.
    """
    found: list[ParameterShape] = []
    reads = "embedding"
    for index, hidden in enumerate(widths):
        layer = f"lstm{index}"
        found += lstm_shapes(f"lstm.{index}", layer, hidden, inputs, reads)
        reads, inputs = layer, hidden
    return found
