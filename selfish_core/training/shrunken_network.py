"""Modules for shrunken networks: as wide as their weights are, and how far apart two networks' logits are.

Shapes: T time, B batch, H units of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from selfish_core.catalogue.sizes.rhn import RHNConfig
from selfish_core.catalogue.sizes.shape import ArchitectureConfig
from selfish_core.errors import InputError
from selfish_core.models.output import LanguageModel, Output, State
from selfish_core.models.rhn import RHN


def check_shrinkable(config: ArchitectureConfig) -> None:
    """Refuse an architecture whose smaller network cannot be built.

    Raises:
        InputError: when it is none of those that can.
    """
    if config.name not in _BUILDERS:
        raise InputError(f"architecture {config.name!r} cannot be shrunk: known are {', '.join(sorted(_BUILDERS))}")


def network(config: ArchitectureConfig, weights: Mapping[str, Tensor]) -> LanguageModel:
    """Build the module that weights belong to, as wide as they are, for evaluation.

    Args:
        config: of the full network.
        weights: every parameter by name, full or smaller.

    Raises:
        InputError: as `check_shrinkable`.
    """
    check_shrinkable(config)
    return _BUILDERS[config.name](config, weights)


def filled(model: LanguageModel, weights: Mapping[str, Tensor]) -> LanguageModel:
    """Put weights into a module and return it."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    return model


class UnevenLSTM(LanguageModel):
    """A stacked LSTM whose layers have widths of their own; without dropout, for it is not trained.

    Args:
        weights: every parameter by its name in `StackedLSTM`; they give the sizes. Without `decoder.weight` the
            decoder is the embedding.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        num_layers = sum(name.endswith(".weight_hh_l0") for name in weights)
        inputs = [weights[f"lstm.{layer}.weight_ih_l0"].shape[1] for layer in range(num_layers)]
        widths = [weights[f"lstm.{layer}.weight_hh_l0"].shape[1] for layer in range(num_layers)]
        self.embedding = nn.Embedding(*weights["embedding.weight"].shape)
        self.lstm = nn.ModuleList(nn.LSTM(size, width) for size, width in zip(inputs, widths, strict=True))
        self.decoder = nn.Linear(widths[-1], self.embedding.num_embeddings)
        if "decoder.weight" not in weights:
            self.decoder.weight = self.embedding.weight
        filled(self, weights)

    @override
    def initial_state(self, batch_size: int) -> State:
        """Return zero hidden and cell states of every layer in turn: h_1BH, c_1BH, h_1BH and so on."""
        widths = [cast(nn.LSTM, lstm).hidden_size for lstm in self.lstm]
        return tuple(self.decoder.bias.new_zeros(1, batch_size, width) for width in widths for _ in "hc")

    @override
    def forward(
        self,
        words_TB: Tensor,
        state: State,
        generator: torch.Generator | None = None,
    ) -> Output:
        x_TBH = self.embedding(words_TB)
        after: list[Tensor] = []
        for layer, lstm in enumerate(self.lstm):
            x_TBH, (h_1BH, c_1BH) = lstm(x_TBH, (state[2 * layer], state[2 * layer + 1]))
            after += [h_1BH, c_1BH]
        return Output(self.decoder(x_TBH), tuple(after), x_TBH, x_TBH)


def largest_difference(full: LanguageModel, small: LanguageModel, words_TB: Tensor) -> float:
    """Return by how much two networks' logits differ at most, over a text and in double precision.

    Args:
        full: one network; it is left in double precision.
        small: the other, likewise.
        words_TB: the text.
    """
    logits = []
    for model in (full.double(), small.double()):
        state = tuple(part.double() for part in model.initial_state(words_TB.shape[1]))
        with torch.no_grad():
            logits.append(model(words_TB, state).scores_TBV)
    return (logits[0] - logits[1]).abs().max().item()


def _uneven_lstm(_: ArchitectureConfig, weights: Mapping[str, Tensor]) -> LanguageModel:
    return UnevenLSTM(weights)


def _rhn(config: ArchitectureConfig, weights: Mapping[str, Tensor]) -> LanguageModel:
    """All depths of a recurrent highway network share their units, so the smaller one is one of another width."""
    vocabulary_size, embedding_size = weights["embedding.weight"].shape
    sizes = {"embedding_size": embedding_size, "hidden_size": weights["recurrent.0.weight"].shape[1]}
    smaller = cast(RHNConfig, config).model_copy(update=sizes)
    return filled(RHN(smaller, vocabulary_size, torch.Generator()), weights)


_BUILDERS: dict[str, Callable[[ArchitectureConfig, Mapping[str, Tensor]], LanguageModel]] = {
    "rhn": _rhn,
    "stacked_lstm": _uneven_lstm,
}
"""Architectures whose smaller network can be built; the layers of a stacked LSTM may end up with unequal widths."""
