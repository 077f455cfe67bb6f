"""Recurrent highway network language model: embedding, one recurrent layer of highway steps, decoder.

Shapes: T time, B batch, V vocabulary, E embedding, H hidden, G rows of all gates, D depth.
The word enters at the first depth of a step only; that half is computed for all steps at once, the rest is in
`rhn_scan`.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.rhn import RHNConfig, gates
from selfish_core.models.layers import dropout_mask, embed, fill_uniform, shared_dropout
from selfish_core.models.output import LanguageModel, Output, State
from selfish_core.models.rhn_scan import highway_scan


class RHN(LanguageModel):
    """Predict the next word at every position.

    Args:
        config: sizes, dropouts and the transform gate's bias.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), decoder bias 0, weights and biases of
            the input U(±1/sqrt(E)) and of every depth U(±1/sqrt(H)). Where `transform_bias` is a number, the
            transform rows of the input's bias are 0 and those of every depth are that number, so the sum that acts
            is that number at the first depth too.

    Source: Zilly et al., Recurrent Highway Networks, ICML 2017; initial values as in the official code of
    Liu et al. 2021.
    """

    def __init__(self, config: RHNConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__()
        hidden = config.hidden_size
        rows = len(gates(config)) * hidden
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.input = nn.Linear(config.embedding_size, rows)
        self.recurrent = nn.ModuleList(nn.Linear(hidden, rows) for _ in range(config.depth))
        self.decoder = nn.Linear(hidden, vocabulary_size)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        fill_uniform(self.input.parameters(), 1.0 / math.sqrt(config.embedding_size), generator)
        fill_uniform(self.recurrent.parameters(), 1.0 / math.sqrt(hidden), generator)
        if not config.is_tied:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)
        if config.transform_bias is not None:
            self._fill_transform_bias(config.transform_bias)

    def _fill_transform_bias(self, value: float) -> None:
        rows = slice(self.config.hidden_size, 2 * self.config.hidden_size)
        with torch.no_grad():
            self.input.bias[rows] = 0.0
            for linear in self._depths():
                linear.bias[rows] = value

    def _depths(self) -> list[nn.Linear]:
        return [cast(nn.Linear, linear) for linear in self.recurrent]

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return the zero state, BH."""
        return (self.decoder.weight.new_zeros(batch_size, self.config.hidden_size),)

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        config = self.config
        (state_BH,) = state
        x_TBE = embed(words_TB, self.embedding.weight, config.embedding_dropout, generator)
        x_TBE = shared_dropout(x_TBE, config.input_dropout, generator)
        mask_BH = None
        if config.hidden_dropout > 0.0 and generator is not None:
            mask_BH = dropout_mask(state_BH.shape, config.hidden_dropout, state_BH, generator)
        depths = self._depths()
        bias_DG = torch.stack([linear.bias for linear in depths])
        weights_GH = [linear.weight for linear in depths]
        raw_TBH = highway_scan(self.input(x_TBE), state_BH, mask_BH, bias_DG, weights_GH)
        dropped_TBH = shared_dropout(raw_TBH, config.output_dropout, generator)
        return Output(self.decoder(dropped_TBH), (raw_TBH[-1],), raw_TBH, dropped_TBH)
