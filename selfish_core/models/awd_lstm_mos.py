"""AWD-LSTM with a mixture of softmaxes: embedding, weight-dropped LSTM layers, experts that share one decoder.

Shapes: T time, B batch, N = T·B positions, V vocabulary, E embedding, H units of the last layer, K experts, L = K·E.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from selfish_core.catalogue.sizes.awd_lstm_mos import AWDLSTMMoSConfig
from selfish_core.models.layers import fill_uniform, shared_dropout
from selfish_core.models.mixture import mixture_of_softmaxes
from selfish_core.models.output import Output, State
from selfish_core.models.weight_drop import WeightDropped


class AWDLSTMMoS(WeightDropped):
    """Predict the next word at every position by K softmaxes, mixed.

    From the last layer's h, after its dropout: latent_k = tanh(W_k h + b_k), which is E wide and has a dropout of its
    own; prior = softmax(W_p h); p = sum over k of prior_k · softmax(W latent_k + b), where W is the embedding if tied.
    The scores are log p.

    Args:
        config: sizes and dropout.
        vocabulary_size: V.
        generator: of the initial weights: embedding and decoder U(-0.1, 0.1), each LSTM U(±1/sqrt(its units)), latent
            and prior U(±1/sqrt(H)), decoder bias 0.

    Source: Yang et al., Breaking the Softmax Bottleneck, ICLR 2018. Their code takes log(p + 1e-8); here log p is
    computed from logarithms, which needs no such floor.
    """

    def __init__(self, config: AWDLSTMMoSConfig, vocabulary_size: int, generator: torch.Generator) -> None:
        super().__init__(config, vocabulary_size, generator)
        width, last = config.embedding_size, config.last_hidden_size
        self.output_dropout = config.output_dropout
        self.latent_dropout = config.latent_dropout
        self.latent = nn.Linear(last, config.num_experts * width)
        self.prior = nn.Linear(last, config.num_experts, bias=False)
        self.decoder = nn.Linear(width, vocabulary_size)
        fill_uniform([*self.latent.parameters(), *self.prior.parameters()], 1.0 / math.sqrt(last), generator)
        if config.is_tied:
            self.decoder.weight = self.embedding.weight
        else:
            fill_uniform([self.decoder.weight], 0.1, generator)
        nn.init.zeros_(self.decoder.bias)

    @override
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        raw_TBH, after = self.read(words_TB, state, generator)
        dropped_TBH = shared_dropout(raw_TBH, self.output_dropout, generator)
        latent_TBL = shared_dropout(torch.tanh(self.latent(dropped_TBH)), self.latent_dropout, generator)
        log_prior_NK = functional.log_softmax(self.prior(dropped_TBH), dim=-1).flatten(0, 1)
        latent_NKE = latent_TBL.view(*log_prior_NK.shape, -1)
        scores_NV = mixture_of_softmaxes(latent_NKE, log_prior_NK, self.decoder.weight, self.decoder.bias)
        return Output(scores_NV.view(*words_TB.shape, -1), after, raw_TBH, dropped_TBH)
