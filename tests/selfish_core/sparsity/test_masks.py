"""Masks: packed and back, applied in place, densities by gate."""

from __future__ import annotations

import pytest
import torch

from selfish_core.accounting import TensorTarget
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.catalogue.sizes.stacked_lstm import LSTM_GATES
from selfish_core.sparsity.diagnostics import active_in_tensors, gate_densities
from selfish_core.sparsity.masks import Masks, pack, unpack


@pytest.mark.parametrize("shape", [(1,), (7, 3), (8, 8), (5, 13)])
def test_packed_masks_come_back(shape: tuple[int, ...]) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.4
    packed = pack(mask)
    assert packed.numel() == -(-mask.numel() // 8)
    assert torch.equal(unpack(packed, shape), mask)


def test_a_packed_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 4\) needs 2 bytes, got 3"):
        unpack(torch.zeros(3, dtype=torch.uint8), (4, 4))


def test_masks_are_applied_in_place_and_seen_through_their_multipliers() -> None:
    masks = Masks({"w": torch.tensor([True, False, True])})
    multiplier = masks.multipliers["w"]
    weight = torch.tensor([1.0, 2.0, 3.0])
    address = weight.data_ptr()
    masks.apply_({"w": weight, "bias": torch.ones(1)})
    assert weight.tolist() == [1.0, 0.0, 3.0]
    masks.set("w", torch.tensor([False, True, True]))
    assert multiplier.tolist() == [0.0, 1.0, 1.0]
    masks.apply_({"w": weight})
    assert weight.tolist() == [0.0, 0.0, 3.0]
    assert weight.data_ptr() == address


def test_gate_densities_join_the_matrices_of_a_layer_and_count_what_has_no_mask() -> None:
    shapes = [
        ParameterShape(name=name, shape=(8, width), layer="lstm0", gates=LSTM_GATES)
        for name, width in (("ih", 1), ("hh", 2))
    ]
    targets = [TensorTarget(shape, 0.5) for shape in shapes]
    mask = torch.tensor([[1], [1], [1], [0], [0], [0], [0], [1]], dtype=torch.bool)
    masks = Masks({"ih": mask})
    # two rows a gate: ih has 2, 1, 0 and 1 active of 2; hh has no mask and is wholly active, 4 of 4
    assert gate_densities(masks.tensors, targets) == {
        "lstm0.input": 6 / 6,
        "lstm0.forget": 5 / 6,
        "lstm0.cell": 4 / 6,
        "lstm0.output": 5 / 6,
    }
    assert sum(active_in_tensors(masks.tensors, targets).values()) == 20
