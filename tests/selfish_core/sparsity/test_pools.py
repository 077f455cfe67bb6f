"""Within what weights compete: tensors, gates, layers, all; and how many each group is to have."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.pools import Block, choose_in_pool, counts_of_pools, gate_blocks, pools, tensor_blocks

SHAPES = (
    ParameterShape(name="embedding", shape=(3, 2), layer="embedding"),
    ParameterShape(name="ih", shape=(4, 2), layer="lstm0", gates=("input", "forget")),
    ParameterShape(name="hh", shape=(5, 2), layer="lstm0", gates=("master", "input", "forget"), gate_rows=(1, 2, 2)),
)


def labels(granularity: str) -> list[list[str]]:
    return [[block.label for block in pool] for pool in pools(granularity, SHAPES)]


def test_every_tensor_is_a_pool() -> None:
    assert labels("tensor") == [["embedding"], ["ih"], ["hh"]]
    assert [block.rows for block in tensor_blocks(SHAPES)] == [slice(None)] * 3


def test_every_gate_is_a_pool_and_has_its_own_rows() -> None:
    assert labels("gate") == [
        ["embedding/all"],
        ["ih/input"],
        ["ih/forget"],
        ["hh/master"],
        ["hh/input"],
        ["hh/forget"],
    ]
    rows = [block.rows for block in gate_blocks(SHAPES)]
    assert rows == [slice(0, 3), slice(0, 2), slice(2, 4), slice(0, 1), slice(1, 3), slice(3, 5)]


def test_the_matrices_of_a_layer_are_a_pool() -> None:
    assert labels("layer") == [["embedding"], ["ih", "hh"]]


def test_all_tensors_are_one_pool() -> None:
    assert labels("global") == [["embedding", "ih", "hh"]]


@pytest.mark.parametrize("granularity", ["tensor", "gate", "layer", "global"])
def test_no_tensors_make_no_pools(granularity: str) -> None:
    assert pools(granularity, ()) == []


def test_the_lowest_of_a_pool_are_chosen_over_its_tensors() -> None:
    # lowest of the candidates: b's 1, a's 2, b's 3; a's 0 is no candidate
    scores = {"a": torch.tensor([[0.0, 2.0], [5.0, 9.0]]), "b": torch.tensor([1.0, 8.0, 3.0])}
    candidates = {"a": torch.tensor([[False, True], [True, True]]), "b": torch.tensor([True, True, True])}
    pool = (Block("a", slice(None), "a"), Block("b", slice(None), "b"))
    chosen = choose_in_pool(pool, scores, candidates, 3)
    assert [part.int().tolist() for part in chosen] == [[[0, 1], [0, 0]], [1, 0, 1]]


def test_a_gate_chooses_among_its_own_rows() -> None:
    scores = {"a": torch.tensor([[1.0], [2.0], [3.0], [4.0]])}
    (chosen,) = choose_in_pool((Block("a", slice(2, 4), "a/x"),), scores, {"a": torch.ones(4, 1, dtype=torch.bool)}, 1)
    assert chosen.tolist() == [[True], [False]]


def test_ties_of_a_pool_go_to_its_first_positions() -> None:
    scores = {name: torch.ones(2) for name in "ab"}
    candidates = {name: torch.ones(2, dtype=torch.bool) for name in "ab"}
    pool = tuple(Block(name, slice(None), name) for name in "ab")
    assert [part.tolist() for part in choose_in_pool(pool, scores, candidates, 3)] == [[True, True], [True, False]]


def test_the_number_of_a_tensor_is_shared_out_to_its_gates_by_their_size() -> None:
    tensors = {shape.name: torch.zeros(shape.shape) for shape in SHAPES}
    counts = {"embedding": 5, "ih": 3, "hh": 5}
    # ih: 1.5 each, the first of equals has one more; hh: 1, 2, 2 of 5
    assert counts_of_pools(pools("gate", SHAPES), counts, tensors) == [5, 2, 1, 1, 2, 2]
    assert counts_of_pools(pools("tensor", SHAPES), counts, tensors) == [5, 3, 5]
    assert counts_of_pools(pools("layer", SHAPES), counts, tensors) == [5, 8]
    assert counts_of_pools(pools("global", SHAPES), counts, tensors) == [13]


@settings(deadline=None)
@given(st.sampled_from(["tensor", "gate", "layer", "global"]), st.integers(0, 6), st.integers(0, 8), st.integers(0, 10))
def test_pools_have_together_what_the_tensors_have(granularity: str, embedding: int, ih: int, hh: int) -> None:
    tensors = {shape.name: torch.zeros(shape.shape) for shape in SHAPES}
    found = counts_of_pools(pools(granularity, SHAPES), {"embedding": embedding, "ih": ih, "hh": hh}, tensors)
    assert sum(found) == embedding + ih + hh
    assert min(found) >= 0
