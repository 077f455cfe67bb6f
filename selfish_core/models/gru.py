"""Stacked GRU language model: embedding, single-layer GRUs with dropout between, decoder.

Shapes: T time, B batch, V vocabulary, E embedding, H hidden.
Each layer is torch's own fused GRU; the layers are separate modules only so that the dropout between them draws from
the generator that is passed in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.gru import GRUConfig
from selfish_core.models.layers import dropout, fill_uniform
from selfish_core.models.output import LanguageModel, Output, State


class GRU(LanguageModel):
    """Predict the next word at every position.

    Each layer, for a word's x and the state h of the word before:

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)          z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))         h' = (1 - z) n + z h

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), GRU U(±1/sqrt(H)), decoder bias 0.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014; the reset gate is applied
    after the product with h, as in torch, where Cho et al. apply it before. Dropout and initial values are those of the
    stacked LSTM.
    """

    def __init__(self, config: GRUConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__()
        hidden = config.hidden_size
        widths = [config.embedding_size] + [hidden] * (config.num_layers - 1)
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.gru = nn.ModuleList(nn.GRU(width, hidden) for width in widths)
        self.decoder = nn.Linear(hidden, vocabulary_size)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        fill_uniform(self.gru.parameters(), 1.0 / math.sqrt(hidden), generator)
        if not config.is_tied:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return the zero hidden state h_1BH of every layer."""
        config = self.config
        return tuple(self.decoder.bias.new_zeros(1, batch_size, config.hidden_size) for _ in range(config.num_layers))

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        rate = self.config.dropout
        x_TBH = dropout(self.embedding(words_TB), rate, generator)
        after: list[Tensor] = []
        for gru, before_1BH in zip(self.gru, state, strict=True):
            raw_TBH, h_1BH = gru(x_TBH, before_1BH)
            x_TBH = dropout(raw_TBH, rate, generator)
            after.append(h_1BH)
        return Output(self.decoder(x_TBH), tuple(after), raw_TBH, x_TBH)
