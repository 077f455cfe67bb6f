"""Group lasso: its gradient is that of the penalty written out in loops, in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.sizes import awd_lstm, gru, rhn, stacked_lstm
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.group_lasso import GroupLasso, zero_small_

VOCABULARY_SIZE = 7
STACKED = stacked_lstm.StackedLSTMConfig(name="stacked_lstm", hidden_size=4, embedding_size=3)
RHN = rhn.RHNConfig(name="rhn", depth=2, hidden_size=4, embedding_size=4)
SHAPES = {
    "stacked_lstm": stacked_lstm.shapes(STACKED, VOCABULARY_SIZE),
    "tied": stacked_lstm.shapes(STACKED.model_copy(update={"embedding_size": 4, "is_tied": True}), VOCABULARY_SIZE),
    "gru": gru.shapes(gru.GRUConfig(name="gru", hidden_size=4, embedding_size=3), VOCABULARY_SIZE),
    "awd_lstm": awd_lstm.shapes(
        awd_lstm.AWDLSTMConfig(name="awd_lstm", hidden_size=5, embedding_size=3), VOCABULARY_SIZE
    ),
    "rhn": rhn.shapes(RHN, VOCABULARY_SIZE),
    "rhn, untied": rhn.shapes(RHN.model_copy(update={"is_tied": False, "embedding_size": 3}), VOCABULARY_SIZE),
}
STRENGTH = 0.3


def random_weights(shapes: Sequence[ParameterShape]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {shape.name: torch.randn(shape.shape, generator=generator, dtype=torch.float64) for shape in shapes}


def gradient_of(weights: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> dict[str, Tensor]:
    gradients = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    GroupLasso(shapes, STRENGTH).add_gradient_(weights, gradients)
    return gradients


def groups_by_loops(shapes: Sequence[ParameterShape]) -> dict[tuple[str, int], set[tuple[str, int, int]]]:
    """The weights of every unit, as (tensor, row, column)."""
    is_tied = any(shape.name == "embedding.weight" and shape.num_products for shape in shapes)
    last = [shape.row_units for shape in shapes if shape.row_units][-1]
    groups: dict[tuple[str, int], set[tuple[str, int, int]]] = {}
    for shape in shapes:
        for _, rows in shape.gate_slices if shape.row_units else ():
            for row in range(rows.start, rows.stop):
                for column in range(shape.shape[1]):
                    reads = last if is_tied and shape.column_units == "embedding" else shape.column_units
                    for units, index in ((shape.row_units, row - rows.start), (reads, column)):
                        if units not in ("words", "embedding"):
                            groups.setdefault((units, index), set()).add((shape.name, row, column))
    return groups


def penalty_by_loops(weights: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> Tensor:
    norms = []
    for group in groups_by_loops(shapes).values():
        values = torch.stack([weights[name][row, column] for name, row, column in sorted(group)])
        if bool((values != 0).any()):
            norms.append(values.square().sum().sqrt())
    return STRENGTH * torch.stack(norms).sum()


@pytest.mark.parametrize("name", SHAPES)
def test_the_gradient_is_that_of_the_sum_of_norms(name: str) -> None:
    weights = random_weights(SHAPES[name])
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    penalty = penalty_by_loops(leaves, SHAPES[name])
    penalty.backward()
    torch.testing.assert_close(GroupLasso(SHAPES[name], STRENGTH).penalty(weights), penalty.detach())
    for tensor, gradient in gradient_of(weights, SHAPES[name]).items():
        expected = leaves[tensor].grad
        torch.testing.assert_close(gradient, torch.zeros_like(gradient) if expected is None else expected)


def test_a_group_that_is_zero_stays_zero_and_harms_no_other() -> None:
    shapes = SHAPES["stacked_lstm"]
    weights = random_weights(shapes)
    for name, row, column in groups_by_loops(shapes)["lstm1", 2]:
        weights[name][row, column] = 0.0
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    penalty_by_loops(leaves, shapes).backward()
    gradients = gradient_of(weights, shapes)
    for name, gradient in gradients.items():
        expected = leaves[name].grad
        if expected is not None:
            torch.testing.assert_close(gradient, expected)
    assert all(gradients[name][row, column] == 0.0 for name, row, column in groups_by_loops(shapes)["lstm1", 2])


def test_biases_and_an_untied_embedding_are_in_no_group() -> None:
    gradients = gradient_of(random_weights(SHAPES["rhn, untied"]), SHAPES["rhn, untied"])
    untouched = {name for name, gradient in gradients.items() if not gradient.any()}
    assert untouched == {"embedding.weight", *(name for name in gradients if name.endswith("bias"))}


def test_it_adds_to_the_gradient_of_the_loss() -> None:
    shapes = SHAPES["gru"]
    weights = random_weights(shapes)
    alone = gradient_of(weights, shapes)
    gradients = {name: torch.ones_like(weight) for name, weight in weights.items()}
    GroupLasso(shapes, STRENGTH).add_gradient_(weights, gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, alone[name] + 1.0)


def test_descent_and_the_threshold_take_whole_units_out_at_once() -> None:
    shapes = SHAPES["stacked_lstm"]
    weights = {name: 0.1 * weight.float() for name, weight in random_weights(shapes).items()}
    lasso = GroupLasso(shapes, 1.0)
    for _ in range(200):
        gradients = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        lasso.add_gradient_(weights, gradients)
        for name, weight in weights.items():
            weight.sub_(gradients[name], alpha=0.01)
        zero_small_({name: weight for name, weight in weights.items() if weight.dim() == 2}, 0.005)
    assert all(not norm.any() for norm in lasso.norms(weights).values())
    assert all(weight.any() for name, weight in weights.items() if name.endswith("bias"))


def test_small_weights_become_zero_in_place_in_parameters_too() -> None:
    parameter = torch.nn.Parameter(torch.tensor([[0.01, -0.02], [-0.005, 1.0]]))
    storage = parameter.data_ptr()
    zero_small_({"w": parameter}, 0.01)
    assert parameter.tolist() == [[0.0, pytest.approx(-0.02)], [0.0, 1.0]]
    assert parameter.data_ptr() == storage
    assert parameter.requires_grad


def test_a_weight_that_is_no_number_is_not_hidden() -> None:
    weight = torch.tensor([float("nan"), float("inf")])
    zero_small_({"w": weight}, 0.1)
    assert weight.isnan()[0]
    assert weight.isinf()[1]
