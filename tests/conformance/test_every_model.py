"""Every architecture: its module has exactly the parameters and gates that the catalogue says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.models.build import build

NO_DROPOUT = dict.fromkeys(("embedding_dropout", "input_dropout", "hidden_dropout", "output_dropout"), 0.0)
SIZES: dict[str, list[dict[str, Any]]] = {
    "stacked_lstm": [
        {"num_layers": 1, "hidden_size": 5, "embedding_size": 7},
        {"num_layers": 3, "hidden_size": 6, "embedding_size": 4, "dropout": 0.0},
        {"num_layers": 2, "hidden_size": 6, "embedding_size": 6, "is_tied": True},
    ],
    "gru": [
        {"num_layers": 1, "hidden_size": 5, "embedding_size": 7},
        {"num_layers": 3, "hidden_size": 6, "embedding_size": 4, "dropout": 0.0},
        {"num_layers": 2, "hidden_size": 6, "embedding_size": 6, "is_tied": True},
    ],
    "awd_lstm": [
        {"hidden_size": 7, "embedding_size": 5},
        {"num_layers": 1, "hidden_size": 5, "embedding_size": 5},
        {"num_layers": 2, "hidden_size": 6, "embedding_size": 4, "is_tied": False},
    ],
    "awd_lstm_mos": [
        {"hidden_size": 7, "last_hidden_size": 6, "embedding_size": 5, "num_experts": 3},
        {"num_layers": 1, "hidden_size": 4, "last_hidden_size": 4, "embedding_size": 5, "num_experts": 1},
        {
            "num_layers": 2,
            "hidden_size": 6,
            "last_hidden_size": 8,
            "embedding_size": 4,
            "num_experts": 2,
            "is_tied": False,
        },
    ],
    "rhn": [
        {"depth": 1, "hidden_size": 5, "embedding_size": 5},
        {
            "depth": 3,
            "hidden_size": 6,
            "embedding_size": 4,
            "is_tied": False,
            "is_coupled": False,
            "transform_bias": -2.0,
        },
        {"depth": 2, "hidden_size": 6, "embedding_size": 6, **NO_DROPOUT},
    ],
    "on_lstm": [
        {"num_layers": 1, "hidden_size": 4, "embedding_size": 6, "chunk_size": 2},
        {"num_layers": 3, "hidden_size": 6, "embedding_size": 4, "chunk_size": 2},
        {"num_layers": 2, "hidden_size": 6, "embedding_size": 5, "chunk_size": 3, "is_tied": False},
    ],
}
CASES = [(name, sizes) for name in ARCHITECTURES for sizes in SIZES.get(name, [{}])]


def make(name: str, sizes: dict[str, Any], seed: int = 1) -> torch.nn.Module:
    config = ARCHITECTURES[name].config(name=name, **sizes)
    return build(config, 11, torch.Generator().manual_seed(seed))


def test_every_architecture_has_sizes_here() -> None:
    assert ARCHITECTURES.keys() == SIZES.keys()


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_parameters_are_those_of_the_catalogue(name: str, sizes: dict[str, Any]) -> None:
    config = ARCHITECTURES[name].config(name=name, **sizes)
    told = [(shape.name, shape.shape) for shape in ARCHITECTURES[name].shapes(config, 11)]
    built = [(key, tuple(weight.shape)) for key, weight in make(name, sizes).named_parameters()]
    assert sorted(told) == sorted(built)
    for shape in ARCHITECTURES[name].shapes(config, 11):
        assert shape.gate_slices[-1][1].stop == shape.shape[0]
        assert shape.is_maskable == ("bias" not in shape.name)


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_a_text_in_two_segments_gives_the_same_logits_as_in_one(name: str, sizes: dict[str, Any]) -> None:
    model = make(name, sizes)
    words = torch.randint(0, 11, (9, 3), generator=torch.Generator().manual_seed(2))
    whole = model(words, model.initial_state(3)).scores_TBV
    first = model(words[:4], model.initial_state(3))
    second = model(words[4:], first.state).scores_TBV
    assert whole.shape == (9, 3, 11)
    torch.testing.assert_close(torch.cat([first.scores_TBV, second]), whole)


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_dropout_comes_from_the_generator_that_is_passed_in(name: str, sizes: dict[str, Any]) -> None:
    model = make(name, sizes)
    words = torch.zeros(4, 2, dtype=torch.long)

    def logits(seed: int | None) -> torch.Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return model(words, model.initial_state(2), generator).scores_TBV

    torch.manual_seed(0)
    one = logits(1)
    torch.manual_seed(9)
    assert torch.equal(one, logits(1))
    assert torch.equal(logits(None), logits(None))
    has_dropout = sizes.get("dropout") != 0.0 and sizes.get("output_dropout") != 0.0
    assert torch.equal(one, logits(2)) != has_dropout


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_same_seed_same_weights(name: str, sizes: dict[str, Any]) -> None:
    one, same, other = make(name, sizes, 1), make(name, sizes, 1), make(name, sizes, 2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
