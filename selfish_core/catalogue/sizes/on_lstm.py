"""Sizes of the ordered-neurons LSTM."""

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

ON_LSTM_GATES = ("master_input", "master_forget", "output", "cell", "input", "forget")
"""Order in which the gates are stacked: the first two have a row for each chunk, the rest one for each unit."""


class ONLSTMConfig(ArchitectureConfig):
    """Embedding, ordered-neurons LSTM layers, decoder; the last layer is as wide as a tied embedding."""

    name: Literal["on_lstm"]
    num_layers: Depth = 3
    hidden_size: Width = Field(default=1150, description="width of each layer but the last of a tied model")
    embedding_size: Width = Field(default=400, description="width of the embedding; of the last layer too where tied")
    chunk_size: Width = Field(default=10, description="neighbouring units that share a master gate")
    is_tied: bool = Field(default=True, description="embedding and decoder share one tensor, one mask")
    embedding_dropout: DropoutRate = Field(default=0.1, description="of whole words of the vocabulary")
    input_dropout: DropoutRate = Field(default=0.5, description="on the embedded words, shared over time")
    hidden_dropout: DropoutRate = Field(default=0.3, description="between layers, shared over time")
    output_dropout: DropoutRate = Field(default=0.45, description="before the decoder, shared over time")
    recurrent_weight_dropout: DropoutRate = Field(
        default=0.45, description="of single hidden-to-hidden weights, for a segment"
    )

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Units of each layer.

        >>> ONLSTMConfig(name="on_lstm").layer_widths
        (1150, 1150, 400)
        """
        last = self.embedding_size if self.is_tied else self.hidden_size
        return (self.hidden_size,) * (self.num_layers - 1) + (last,)


def problem(config: ONLSTMConfig) -> tuple[str, str] | None:
    """Name the field and the reason why these sizes cannot be built, or None."""
    chunk = config.chunk_size
    if config.hidden_size % chunk:
        return ("hidden_size", f"hidden_size {config.hidden_size} is not a multiple of chunk_size {chunk}")
    if config.is_tied and config.embedding_size % chunk:
        return (
            "embedding_size",
            f"embedding_size {config.embedding_size}, the last layer's width where tied, "
            f"is not a multiple of chunk_size {chunk}",
        )
    return None


def shapes(config: ONLSTMConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    """List the parameters in the order of `named_parameters`."""
    found = [embedding(vocabulary_size, config.embedding_size, num_products=int(config.is_tied))]
    reads, inputs = "embedding", config.embedding_size
    for index, hidden in enumerate(config.layer_widths):
        layer = f"on_lstm{index}"
        chunks = hidden // config.chunk_size
        gate_rows = (chunks, chunks, hidden, hidden, hidden, hidden)
        for kind, width, units in (("ih", inputs, reads), ("hh", hidden, layer)):
            weight = ParameterShape(
                name=f"on_lstm.{index}.{kind}.weight",
                shape=(sum(gate_rows), width),
                layer=layer,
                gates=ON_LSTM_GATES,
                gate_rows=gate_rows,
                row_units=layer,
                column_units=units,
            )
            found += [weight, bias(f"on_lstm.{index}.{kind}.bias", sum(gate_rows), layer)]
        reads, inputs = layer, hidden
    return (*found, *decoder(vocabulary_size, inputs, reads, is_tied=config.is_tied))


def with_width(config: ONLSTMConfig, width: int) -> ONLSTMConfig:
    """Return the same architecture about `width` wide: whole chunks, the embedding in proportion.

    >>> narrow = with_width(ONLSTMConfig(name="on_lstm"), 573)
    >>> narrow.hidden_size, narrow.embedding_size
    (570, 200)
    """
    hidden_size = _whole_chunks(width, config.chunk_size)
    embedding_size = _whole_chunks(config.embedding_size * hidden_size / config.hidden_size, config.chunk_size)
    return config.model_copy(update={"hidden_size": hidden_size, "embedding_size": embedding_size})


def _whole_chunks(width: float, chunk_size: int) -> int:
    return max(1, round(width / chunk_size)) * chunk_size
