"""Stacked LSTM language model: embedding, single-layer LSTMs with dropout between, decoder.

Shapes: T time, B batch, V vocabulary, E embedding, H hidden, L layer.
Each layer is torch's own fused LSTM; the layers are separate modules only so that the dropout between them
draws from the generator that is passed in.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.stacked_lstm import StackedLSTMConfig
from selfish_core.models.layers import dropout, fill_uniform
from selfish_core.models.output import LanguageModel, Output, State


class StackedLSTM(LanguageModel):
    """Predict the next word at every position.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), LSTM U(±1/sqrt(H)), decoder bias 0.

    Source: Zaremba et al. 2014; initial values as in the official code of Liu et al. 2021.
    """

    def __init__(self, config: StackedLSTMConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__()
        hidden = config.hidden_size
        widths = [config.embedding_size] + [hidden] * (config.num_layers - 1)
        self.dropout_rate = config.dropout
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.lstm = nn.ModuleList(nn.LSTM(width, hidden) for width in widths)
        self.decoder = nn.Linear(hidden, vocabulary_size)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        fill_uniform(self.lstm.parameters(), 1.0 / math.sqrt(hidden), generator)
        if not config.is_tied:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return zero hidden and cell states of every layer in turn: h_1BH, c_1BH, h_1BH and so on."""
        first = cast(nn.LSTM, self.lstm[0])
        zeros = torch.zeros(1, batch_size, first.hidden_size, device=self.decoder.weight.device)
        return tuple(zeros.clone() for _ in range(2 * len(self.lstm)))

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        rate = self.dropout_rate
        x_TBH = dropout(self.embedding(words_TB), rate, generator)
        after: list[Tensor] = []
        for layer, lstm in enumerate(self.lstm):
            raw_TBH, (h_1BH, c_1BH) = lstm(x_TBH, (state[2 * layer], state[2 * layer + 1]))
            x_TBH = dropout(raw_TBH, rate, generator)
            after += [h_1BH, c_1BH]
        return Output(self.decoder(x_TBH), tuple(after), raw_TBH, x_TBH)
