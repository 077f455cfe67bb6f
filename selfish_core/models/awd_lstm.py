"""AWD-LSTM language model: embedding, weight-dropped LSTM layers with dropout between, decoder.

Shapes: T time, B batch, V vocabulary, H units of the last layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.awd_lstm import AWDLSTMConfig
from selfish_core.models.layers import fill_uniform, shared_dropout
from selfish_core.models.output import Output, State
from selfish_core.models.weight_drop import WeightDropped


class AWDLSTM(WeightDropped):
    """Predict the next word at every position.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), each LSTM U(±1/sqrt(its units)), decoder
            bias 0.

    Source: Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018. An untied model's last layer is
    hidden_size wide; in the published code it stays as wide as the embedding, and its untied decoder does not fit.
    """

    def __init__(self, config: AWDLSTMConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__(config, vocabulary_size, generator)
        self.output_dropout = config.output_dropout
        self.decoder = nn.Linear(self.layer_widths[-1], vocabulary_size)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        else:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        raw_TBH, after = self.read(words_TB, state, generator)
        dropped_TBH = shared_dropout(raw_TBH, self.output_dropout, generator)
        return Output(self.decoder(dropped_TBH), after, raw_TBH, dropped_TBH)
