"""Minimal gated unit language model: embedding, one recurrent layer, decoder.

Shapes: T time, B batch, V vocabulary, E embedding, H hidden, G both gates (2H).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from selfish_core.models.layers import dropout, fill_uniform
from selfish_core.models.output import LanguageModel, Output, State
from selfish_example.architecture_rows import MGUConfig


class MGULayer(nn.Module):
    """One layer: f = σ(W_f x + U_f h + b_f), c = tanh(W_c x + U_c (f ⊙ h) + b_c), h' = (1 - f) ⊙ h + f ⊙ c.

    Args:
        inputs: E.
        hidden: H.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(2 * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(2 * hidden))

    @override
    def forward(self, x_TBE: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of every step, [T, B, H], and the last one."""
        from_input_TBG = functional.linear(x_TBE, self.weight_ih, self.bias)
        forget_HH, candidate_HH = self.weight_hh.chunk(2)
        steps = []
        for input_BG in from_input_TBG:
            to_forget_BH, to_candidate_BH = input_BG.chunk(2, dim=-1)
            f_BH = torch.sigmoid(to_forget_BH + functional.linear(h_BH, forget_HH))
            c_BH = torch.tanh(to_candidate_BH + functional.linear(f_BH * h_BH, candidate_HH))
            h_BH = (1 - f_BH) * h_BH + f_BH * c_BH
            steps.append(h_BH)
        return torch.stack(steps), h_BH


class MGU(LanguageModel):
    """Predict the next word at every position.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), the layer U(±1/sqrt(H)).
    """

    def __init__(self, config: MGUConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dropout_rate = config.dropout
        self.hidden_size = config.hidden_size
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.mgu = MGULayer(config.embedding_size, config.hidden_size)
        self.decoder = nn.Linear(config.hidden_size, vocabulary_size)
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        fill_uniform(self.mgu.parameters(), 1.0 / math.sqrt(config.hidden_size), generator)
        fill_uniform(self.decoder.parameters(), 0.1, generator)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return zero units, [B, H]."""
        return (torch.zeros(batch_size, self.hidden_size, device=self.decoder.weight.device),)

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        x_TBE = dropout(self.embedding(words_TB), self.dropout_rate, generator)
        raw_TBH, h_BH = self.mgu(x_TBE, state[0])
        dropped_TBH = dropout(raw_TBH, self.dropout_rate, generator)
        return Output(self.decoder(dropped_TBH), (h_BH,), raw_TBH, dropped_TBH)
