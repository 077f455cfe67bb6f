"""Ordered-neurons LSTM language model: embedding, ON-LSTM layers with dropout between, decoder.

Shapes: T time, B batch, V vocabulary, E embedding, I what a layer reads, H units of a layer, G rows of its gates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from selfish_core.catalogue.sizes.on_lstm import ONLSTMConfig
from selfish_core.models.layers import embed, fill_uniform, shared_dropout
from selfish_core.models.on_lstm_scan import scan
from selfish_core.models.output import LanguageModel, Output, State


class ONLSTMLayer(nn.Module):
    """One layer over a segment.

    Args:
        inputs: width of what it reads.
        hidden: H, its units.
        chunk_size: neighbouring units that share a master gate.
        weight_dropout: chance of a hidden-to-hidden weight to be left out of a training segment.
    """

    def __init__(self, inputs: int, hidden: int, chunk_size: int, weight_dropout: float) -> None:
        super().__init__()
        rows = 2 * (hidden // chunk_size) + 4 * hidden
        self.chunk_size = chunk_size
        self.weight_dropout = weight_dropout
        self.ih = nn.Linear(inputs, rows)
        self.hh = nn.Linear(hidden, rows)

    @override
    def forward(
        self, x_TBI: Tensor, h_BH: Tensor, c_BH: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Return h_TBH of every step, and c_BH after the last."""
        pre_TBG = functional.linear(x_TBI, self.ih.weight, self.ih.bias + self.hh.bias)
        return scan(pre_TBG, h_BH, c_BH, self.recurrent_weight(generator), self.chunk_size)

    def recurrent_weight(self, generator: torch.Generator | None) -> Tensor:
        """Return the hidden-to-hidden weight of one segment (DropConnect).

        In training each weight is zero with probability p and else as it is, not scaled by 1 / (1 - p); in evaluation
        every weight is multiplied by 1 - p. So it stands in the official ON-LSTM code; AWD-LSTM scales in training.

        Source: Wan et al., Regularization of Neural Networks using DropConnect, ICML 2013; Shen et al., ICLR 2019.
        """
        weight_GH = self.hh.weight
        if self.weight_dropout == 0.0:
            return weight_GH
        keep = 1.0 - self.weight_dropout
        if generator is None:
            return weight_GH * keep
        return weight_GH * torch.empty_like(weight_GH).bernoulli_(keep, generator=generator)


class ONLSTM(LanguageModel):
    """Predict the next word at every position.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), decoder bias 0, weights and biases of
            the layers U(±1/sqrt(inputs of their product)).

    By its definition the master input gate is 0 at the last chunk, so that chunk of every layer stays at its initial
    zero, up to rounding; the published sizes count its weights all the same.

    Source: Shen et al., Ordered Neurons, ICLR 2019; sizes and dropout as in the official code of Liu et al. 2021.
    """

    def __init__(self, config: ONLSTMConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        widths = config.layer_widths
        reads = (config.embedding_size, *widths[:-1])
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.on_lstm = nn.ModuleList(
            ONLSTMLayer(inputs, hidden, config.chunk_size, config.recurrent_weight_dropout)
            for inputs, hidden in zip(reads, widths, strict=True)
        )
        self.decoder = nn.Linear(widths[-1], vocabulary_size)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        fill_uniform(self.embedding.parameters(), 0.1, generator)
        for linear in self.on_lstm.modules():
            if isinstance(linear, nn.Linear):
                fill_uniform(linear.parameters(), 1.0 / math.sqrt(linear.in_features), generator)
        if not config.is_tied:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return zero hidden and cell states of every layer in turn: h_BH, c_BH, h_BH and so on."""
        like = self.decoder.bias
        return tuple(like.new_zeros(batch_size, width) for width in self.config.layer_widths for _ in range(2))

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        config = self.config
        x_TBE = embed(words_TB, self.embedding.weight, config.embedding_dropout, generator)
        x_TBH = shared_dropout(x_TBE, config.input_dropout, generator)
        after: list[Tensor] = []
        for index, layer in enumerate(self.on_lstm):
            is_last = index == config.num_layers - 1
            raw_TBH, c_BH = layer(x_TBH, state[2 * index], state[2 * index + 1], generator)
            x_TBH = shared_dropout(raw_TBH, config.output_dropout if is_last else config.hidden_dropout, generator)
            after += [raw_TBH[-1], c_BH]
        return Output(self.decoder(x_TBH), tuple(after), raw_TBH, x_TBH)
