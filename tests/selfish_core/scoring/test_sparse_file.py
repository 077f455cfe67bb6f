"""Weights in a file: the same values come back, and zeros take little room."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from selfish_core.errors import CorruptFileError
from selfish_core.scoring.sparse_file import decode, encode


def sparse(fraction: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(40, 25, generator=generator)
    return weight * (torch.rand(40, 25, generator=generator) < fraction)


def bits(weight: torch.Tensor) -> list[int]:
    return weight.flatten().view(torch.int32).tolist()


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_the_same_values_come_back(fraction: float, tmp_path: Path) -> None:
    weights = {"lstm.weight": sparse(fraction), "bias": torch.tensor([0.0, -0.0, 1e-45, -3.5])}
    weights["lstm.weight"][0, :4] = torch.tensor([-0.0, torch.nan, torch.inf, 1e-40])
    path = tmp_path / "weights.safetensors"
    path.write_bytes(encode(weights))
    found = decode(str(path))
    assert found.keys() == weights.keys()
    assert all(found[name].shape == weight.shape for name, weight in weights.items())
    for name, weight in weights.items():
        assert bits(found[name] + 0.0) == bits(weight + 0.0), "a zero may lose its sign, no more"


def test_zeros_take_one_bit(tmp_path: Path) -> None:
    weight = sparse(0.1)
    num_active = int((weight != 0).sum())
    overhead = len(encode({"weight": torch.zeros(0)})) + 250
    assert len(encode({"weight": weight})) < 4 * num_active + weight.numel() / 8 + overhead < 4 * weight.numel()


def test_the_same_weights_give_the_same_bytes() -> None:
    weights = {"b": sparse(0.1), "a": sparse(1.0), "c": sparse(0.3)}
    assert len({encode(dict(sorted(weights.items(), reverse=number % 2 == 0))) for number in range(8)}) == 1


@pytest.mark.parametrize(
    "about",
    [
        None,
        {"selfish": '{"format": 2, "sparse": {}}'},
        {"selfish": "1"},
        {"selfish": '{"format": 1, "sparse": {"a": [2]}}'},
    ],
)
def test_another_file_is_refused(about: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path, about)
    with pytest.raises(CorruptFileError, match="not weights of format 1"):
        decode(str(path))


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(encode({"weight": sparse(0.1)})[:-3])
    with pytest.raises(CorruptFileError, match="not weights of format 1"):
        decode(str(path))
