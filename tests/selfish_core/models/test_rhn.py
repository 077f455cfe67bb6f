"""The recurrent highway network: initial values, widths, and what its hand-written recurrence promises."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.sizes.rhn import RHNConfig, problem, shapes, with_width
from selfish_core.models import rhn_scan
from selfish_core.models.rhn import RHN

V, H, T, B = 11, 8, 5, 3


def make(**sizes: Any) -> RHN:
    config = RHNConfig(name="rhn", **{"depth": 3, "hidden_size": H, "embedding_size": H, **sizes})
    return RHN(config, V, torch.Generator().manual_seed(1))


def words(length: int = T) -> Tensor:
    return torch.randint(0, V, (length, B), generator=torch.Generator().manual_seed(2))


def num_nodes(output: Tensor) -> int:
    """Operations that autograd recorded behind a tensor."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)


def scores_and_gradients(model: RHN) -> list[Tensor]:
    scores = model(words(), model.initial_state(B), torch.Generator().manual_seed(3)).scores_TBV
    return [scores, *torch.autograd.grad(scores.square().sum(), list(model.parameters()))]


def test_autograd_records_no_more_for_a_longer_segment() -> None:
    model = make()
    assert num_nodes(model(words(2), model.initial_state(B)).scores_TBV) == num_nodes(
        model(words(20), model.initial_state(B)).scores_TBV
    )


def test_without_gradients_the_scores_are_the_same() -> None:
    model = make()
    with torch.no_grad():
        quiet = model(words(), model.initial_state(B))
    assert not quiet.scores_TBV.requires_grad
    assert torch.equal(quiet.scores_TBV, model(words(), model.initial_state(B)).scores_TBV)


@pytest.mark.parametrize("sizes", [{"depth": 2}, {"depth": 1, "is_coupled": False, "hidden_dropout": 0.0}])
def test_compiled_steps_give_what_plain_ones_give(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, Any]) -> None:
    plain = scores_and_gradients(make(**sizes))

    @functools.cache
    def compiled(step: Callable[..., Any], device_type: str) -> Callable[..., Any]:
        return torch.compile(step, dynamic=False, backend="aot_eager", fullgraph=True)

    monkeypatch.setattr(rhn_scan, "for_device", compiled)
    for one, other in zip(scores_and_gradients(make(**sizes)), plain, strict=True):
        torch.testing.assert_close(one, other)


def test_on_the_cpu_steps_are_not_compiled() -> None:
    assert rhn_scan.for_device(rhn_scan.forward_step, "cpu") is rhn_scan.forward_step


def test_weights_changed_in_place_count_at_the_next_forward_pass() -> None:
    model = make()
    before = model(words(), model.initial_state(B)).scores_TBV
    with torch.no_grad():
        model.recurrent[1].weight.mul_(0.0)
    assert not torch.equal(model(words(), model.initial_state(B)).scores_TBV, before)


def test_weights_changed_between_forward_and_backward_are_refused() -> None:
    model = make()
    scores = model(words(), model.initial_state(B)).scores_TBV
    with torch.no_grad():
        model.recurrent[1].weight.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        scores.sum().backward()


def test_initial_values_are_those_of_the_official_code() -> None:
    model = make(embedding_size=16, is_tied=False)
    bounds = {"embedding": 0.1, "decoder": 0.1, "input": 1 / 4, "recurrent": 1 / math.sqrt(H)}
    for name, weight in model.named_parameters():
        if name == "decoder.bias":
            assert not weight.any()
        else:
            bound = bounds[name.partition(".")[0]]
            assert 0.5 * bound < weight.abs().max() <= bound


@pytest.mark.parametrize("is_coupled", [True, False])
def test_transform_bias_acts_alike_at_every_depth_and_leaves_the_rest(is_coupled: bool) -> None:
    drawn, filled = make(is_coupled=is_coupled), make(is_coupled=is_coupled, transform_bias=-2.0)
    transform = slice(H, 2 * H)
    first = filled.input.bias[transform] + filled.recurrent[0].bias[transform]
    for acting in (first, filled.recurrent[1].bias[transform], filled.recurrent[2].bias[transform]):
        assert (acting == -2.0).all()
    for (name, one), other in zip(drawn.named_parameters(), filled.parameters(), strict=True):
        changed = one != other
        expected = torch.zeros_like(changed)
        if "bias" in name and "decoder" not in name:
            expected[transform] = True
        assert torch.equal(changed, expected)


def test_gates_are_told_for_every_depth_on_its_own() -> None:
    told = shapes(RHNConfig(name="rhn", depth=2, hidden_size=3, embedding_size=3, is_coupled=False), V)
    matrices = [shape for shape in told if shape.row_units == "rhn"]
    assert [shape.layer for shape in matrices] == ["rhn_input", "rhn1", "rhn2"]
    assert [shape.column_units for shape in matrices] == ["embedding", "rhn", "rhn"]
    for shape in matrices:
        assert [(name, rows.start) for name, rows in shape.gate_slices] == [
            ("candidate", 0),
            ("transform", 3),
            ("carry", 6),
        ]


@pytest.mark.parametrize(("embedding_size", "is_tied", "expected"), [(830, True, 517), (415, False, 258)])
def test_a_narrower_network_keeps_its_embedding_in_proportion(
    embedding_size: int, is_tied: bool, expected: int
) -> None:
    narrower = with_width(RHNConfig(name="rhn", embedding_size=embedding_size, is_tied=is_tied), 517)
    assert (narrower.hidden_size, narrower.embedding_size) == (517, expected)
    assert problem(narrower) is None


def test_a_tied_embedding_of_another_width_is_refused() -> None:
    assert problem(RHNConfig(name="rhn", embedding_size=400)) == (
        "is_tied",
        "is_tied needs embedding_size 400 equal to hidden_size 830",
    )
