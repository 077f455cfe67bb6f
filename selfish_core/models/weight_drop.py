"""Embedding and weight-dropped LSTM layers, which AWD-LSTM and its mixture of softmaxes share.

Shapes: T time, B batch, V vocabulary, E embedding, I inputs of a layer, H its units.
"""

from __future__ import annotations

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.awd_lstm import AWDLSTMConfig
from selfish_core.catalogue.sizes.awd_lstm_mos import AWDLSTMMoSConfig
from selfish_core.models.layers import dropout, embed, fill_uniform, shared_dropout
from selfish_core.models.output import LanguageModel, State


class WeightDropped(LanguageModel):
    """Abstract: what a word goes through before the decoder.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding U(-0.1, 0.1), then each LSTM U(±1/sqrt(H)).

    Source: Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018.
    """

    def __init__(
        self, config: AWDLSTMConfig | AWDLSTMMoSConfig, vocabulary_size: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        widths = itertools.pairwise((config.embedding_size, *config.layer_widths))
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.lstm = nn.ModuleList(nn.LSTM(inputs, hidden) for inputs, hidden in widths)
        self.layer_widths = config.layer_widths
        self.embedding_dropout = config.embedding_dropout
        self.input_dropout = config.input_dropout
        self.hidden_dropout = config.hidden_dropout
        self.recurrent_weight_dropout = config.recurrent_weight_dropout
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        for lstm, hidden in zip(self.lstm, self.layer_widths, strict=True):
            fill_uniform(lstm.parameters(), 1.0 / math.sqrt(hidden), generator)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return zero hidden and cell states of every layer in turn: h_1BH, c_1BH, h_1BH and so on."""
        like = self.embedding.weight
        return tuple(like.new_zeros(1, batch_size, width) for width in self.layer_widths for _ in "hc")

    def read(self, words_TB: Tensor, state: State, generator: torch.Generator | None) -> tuple[Tensor, State]:
        """Run one segment up to the last layer's output, before its dropout.

        Returns:
            raw_TBH of the last layer, and the state after the segment.
        """
        x_TBE = embed(words_TB, self.embedding.weight, self.embedding_dropout, generator)
        raw_TBH, rate = x_TBE, self.input_dropout
        after: list[Tensor] = []
        for lstm, h_1BH, c_1BH in zip(self.lstm, state[::2], state[1::2], strict=True):
            x_TBI = shared_dropout(raw_TBH, rate, generator)
            weight_rate = self.recurrent_weight_dropout
            raw_TBH, *end = weight_dropped(cast(nn.LSTM, lstm), x_TBI, h_1BH, c_1BH, weight_rate, generator)
            after += end
            rate = self.hidden_dropout
        return raw_TBH, tuple(after)


def weight_dropped(
    lstm: nn.LSTM, x_TBI: Tensor, h_1BH: Tensor, c_1BH: Tensor, rate: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Run torch's fused LSTM over a segment with some of its hidden-to-hidden weights left out (DropConnect).

    A weight is left out of the whole segment with probability `rate`; the others are scaled by 1 / (1 - rate). The
    parameter itself is only read: masks may be applied to it in place between two calls.

    Args:
        lstm: of one layer.
        x_TBI: what it reads.
        h_1BH: state before the segment.
        c_1BH: cell before the segment.
        rate: in [0, 1).
        generator: of the draw; None leaves nothing out.

    Returns:
        h_TBH of every step, h_1BH and c_1BH after the last.

    Source: Wan et al., Regularization of Neural Networks using DropConnect, ICML 2013; Merity et al., ICLR 2018.
    """
    weight_ih, weight_hh, *biases = lstm.all_weights[0]
    return torch.lstm(
        x_TBI,
        (h_1BH, c_1BH),
        [weight_ih, dropout(weight_hh, rate, generator), *biases],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=lstm.training,
        bidirectional=False,
        batch_first=False,
    )
