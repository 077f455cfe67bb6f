"""Topology distance: worked by hand, against a search through all permutations, and its properties."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.sizes import awd_lstm_mos, gru, on_lstm, rhn, stacked_lstm
from selfish_core.catalogue.sizes.shape import ParameterShape, decoder, embedding
from selfish_core.sparsity.topology import layer_distances, topology_distance
from selfish_core.sparsity.units import hidden_units

Masks = dict[str, Tensor]
Names = Sequence[int]
Inputs = set[tuple[str, int, int]]
VOCABULARY_SIZE = 41
STACKED = stacked_lstm.StackedLSTMConfig(name="stacked_lstm", hidden_size=5, embedding_size=4)
RHN = rhn.RHNConfig(name="rhn", depth=3, hidden_size=5, embedding_size=5)
ON_LSTM = on_lstm.ONLSTMConfig(name="on_lstm", hidden_size=6, embedding_size=4, chunk_size=2)
MIXTURE = awd_lstm_mos.AWDLSTMMoSConfig(
    name="awd_lstm_mos", hidden_size=6, last_hidden_size=5, embedding_size=4, num_experts=3
)
SHAPES = {
    "stacked_lstm": stacked_lstm.shapes(STACKED, VOCABULARY_SIZE),
    "tied": stacked_lstm.shapes(STACKED.model_copy(update={"embedding_size": 5, "is_tied": True}), VOCABULARY_SIZE),
    "gru": gru.shapes(gru.GRUConfig(name="gru", hidden_size=5, embedding_size=4), VOCABULARY_SIZE),
    "rhn": rhn.shapes(RHN, VOCABULARY_SIZE),
    "rhn, untied": rhn.shapes(RHN.model_copy(update={"is_tied": False, "embedding_size": 4}), VOCABULARY_SIZE),
    "on_lstm": on_lstm.shapes(ON_LSTM, VOCABULARY_SIZE),
    "awd_lstm_mos": awd_lstm_mos.shapes(MIXTURE, VOCABULARY_SIZE),
}


def random_masks(shapes: Sequence[ParameterShape], seed: int, density: float = 0.5) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return {shape.name: torch.rand(shape.shape, generator=generator) < density for shape in shapes if shape.is_maskable}


def permuted(masks: Masks, shapes: Sequence[ParameterShape], seed: int) -> Masks:
    """The same network with its hidden units, and the embedding's dimensions where it has readers, in another order."""
    generator = torch.Generator().manual_seed(seed)
    orders = {units.name: torch.randperm(units.size, generator=generator) for units in hidden_units(shapes)}
    tied = next((units.name for units in hidden_units(shapes) if units.tied), None)
    width = shapes[0].shape[1]
    orders["embedding"] = torch.randperm(width, generator=generator) if tied is None else orders[tied]
    if any(shape.row_units == "experts" for shape in shapes):
        orders["embedding"] = torch.arange(width)
    found = {}
    for shape in shapes:
        if not shape.is_maskable:
            continue
        mask = masks[shape.name].clone()
        if shape.column_units in orders:
            mask = mask[:, orders[shape.column_units]]
        for _, rows in shape.gate_slices:
            order = orders.get(shape.row_units, torch.arange(0))
            if rows.stop - rows.start == len(order):
                mask[rows] = mask[rows][order]
        found[shape.name] = mask
    return found


def layer(name: str, columns: str) -> ParameterShape:
    return ParameterShape(name=name, shape=(2, 2), layer="layer", row_units="unit", column_units=columns)


PLAIN = (
    embedding(3, 2, num_products=0),
    layer("in", "embedding"),
    layer("recurrent", "unit"),
    *decoder(3, 2, "unit", is_tied=False),
)
"""Three words, two dimensions, two recurrent units with one gate."""


def masks_of(embedding: object, inputs: object, recurrent: object, decoder: object) -> Masks:
    names = ("embedding.weight", "in", "recurrent", "decoder.weight")
    rows = (embedding, inputs, recurrent, decoder)
    return {name: torch.tensor(mask, dtype=torch.bool) for name, mask in zip(names, rows, strict=True)}


def test_worked_by_hand() -> None:
    a = masks_of([[1, 0], [1, 0], [0, 1]], [[1, 0], [1, 1]], [[0, 1], [0, 0]], [[1, 0], [0, 0], [0, 1]])
    b = masks_of([[0, 1], [0, 0], [1, 0]], [[1, 1], [0, 1]], [[1, 0], [1, 0]], [[0, 1], [0, 0], [0, 1]])
    # Dimensions: 0 of a is {word 0, word 1}, nearest to 1 of b, {word 0}: 1/2; 1 of a and 0 of b are both {word 2}: 0.
    # Units by dimensions, those of b renamed: a has {0}, {0, 1}; b has {0, 1}, {0}. So they are matched crosswise.
    # Whole units: {0, unit 1} and the same: 0; {0, 1} and {0, 1, unit 1}: 1/3.
    # Words by units, those of b renamed: {0} and {0}: 0; none and none: 0; {1} and {0}: 1.
    expected = {"embedding": 1 / 4, "layer": 1 / 6, "decoder": 1 / 3}
    assert layer_distances(a, b, PLAIN) == pytest.approx(expected)
    assert topology_distance(a, b, PLAIN) == pytest.approx(1 / 4)


def jaccard(a: Inputs, b: Inputs) -> float:
    return len(a ^ b) / len(a | b) if a | b else 0.0


def input_sets(masks: Masks, tensors: Sequence[ParameterShape], size: int, names: Mapping[str, Names]) -> list[Inputs]:
    """The inputs of every neuron of a layer; those of units that have no names yet are left out."""
    sets: list[Inputs] = [set() for _ in range(size)]
    for shape in tensors:
        is_table = shape.name == "embedding.weight"
        reads = "words" if is_table else shape.column_units
        for row, column in masks[shape.name].nonzero().tolist() if reads in names else ():
            neuron, gate, source = (column, 0, row) if is_table else (row % size, row // size, column)
            sets[neuron].add((shape.name, gate, names[reads][source]))
    return sets


def distances_by_search(masks_a: Masks, masks_b: Masks, shapes: Sequence[ParameterShape]) -> dict[str, float]:
    """NNSTD with sets, loops and a search through every permutation; of untied networks, gates of one size."""
    names_a: dict[str, Names] = {"words": range(VOCABULARY_SIZE)}
    names_b: dict[str, Names] = {"words": range(VOCABULARY_SIZE)}
    distances = {}
    for name in dict.fromkeys(shape.layer for shape in shapes if shape.row_units):
        tensors = [shape for shape in shapes if shape.layer == name and shape.row_units]
        is_table = name == "embedding"
        made = name if is_table else tensors[0].row_units
        size = tensors[0].shape[1] if is_table else tensors[0].shape[0] // len(tensors[0].gates)
        if made not in names_a:
            sets_a, sets_b = input_sets(masks_a, tensors, size, names_a), input_sets(masks_b, tensors, size, names_b)
            totals = {
                order: sum(jaccard(a, sets_b[unit]) for a, unit in zip(sets_a, order, strict=True))
                for order in itertools.permutations(range(size))
            }
            first, second = sorted(totals.values())[:2]
            assert second - first > 1e-6, "two matches are equally good: take another seed"
            best = min(totals, key=lambda order: totals[order])
            names_a[made], names_b[made] = range(size), [best.index(unit) for unit in range(size)]
        sets_a, sets_b = input_sets(masks_a, tensors, size, names_a), input_sets(masks_b, tensors, size, names_b)
        distances[name] = sum(jaccard(a, sets_b[names_b[made].index(i)]) for i, a in enumerate(sets_a)) / size
    return distances


@pytest.mark.parametrize("seed", [2, 5, 7, 12, 17])
@pytest.mark.parametrize("name", ["stacked_lstm", "gru", "rhn, untied"])
def test_it_is_what_a_search_through_all_permutations_finds(name: str, seed: int) -> None:
    a, b = random_masks(SHAPES[name], 10 + seed), random_masks(SHAPES[name], 50 + seed)
    assert layer_distances(a, b, SHAPES[name]) == pytest.approx(distances_by_search(a, b, SHAPES[name]))


@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("name", SHAPES)
def test_equal_masks_have_distance_zero_even_where_many_matches_are_equally_good(name: str, density: float) -> None:
    masks = random_masks(SHAPES[name], 1, density)
    assert topology_distance(masks, masks, SHAPES[name]) == 0.0


@pytest.mark.parametrize("name", SHAPES)
def test_the_order_of_hidden_units_does_not_matter(name: str) -> None:
    masks = random_masks(SHAPES[name], 4)
    other = permuted(masks, SHAPES[name], 5)
    assert any(not torch.equal(masks[tensor], other[tensor]) for tensor in masks)
    assert topology_distance(masks, other, SHAPES[name]) == 0.0


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_symmetric_and_between_zero_and_one(name: str) -> None:
    a, b = random_masks(SHAPES[name], 6), random_masks(SHAPES[name], 7)
    there, back = (layer_distances(*pair, SHAPES[name]) for pair in ((a, b), (b, a)))
    assert there == pytest.approx(back)
    assert all(0.0 < distance < 1.0 for distance in there.values())


def test_networks_that_share_no_input_are_as_far_apart_as_can_be() -> None:
    shapes = SHAPES["stacked_lstm"]
    a = {name: torch.zeros_like(mask) for name, mask in random_masks(shapes, 8).items()}
    b = {name: mask.clone() for name, mask in a.items()}
    for name, mask in a.items():
        half = len(mask) // 2
        mask[:half] = True
        b[name][half:] = True
    assert topology_distance(a, b, shapes) == 1.0


def test_without_masks_networks_are_equal() -> None:
    assert layer_distances({}, {}, SHAPES["rhn"]) == {}
    assert topology_distance({}, {}, SHAPES["rhn"]) == 0.0


def test_a_tensor_without_a_mask_is_wholly_active_and_a_layer_without_one_is_not_counted() -> None:
    shapes = SHAPES["stacked_lstm"]
    sparse = {"lstm.1.weight_hh_l0": random_masks(shapes, 9)["lstm.1.weight_hh_l0"]}
    active = sparse["lstm.1.weight_hh_l0"].double().mean().item()
    share = 5 / (5 + 5)
    assert topology_distance(sparse, {}, shapes) == pytest.approx((1.0 - active) * share)
    assert list(layer_distances(sparse, {}, shapes)) == ["lstm1"]


def test_a_tied_embedding_and_the_units_it_decodes_are_matched_together() -> None:
    shapes = SHAPES["rhn"]
    masks = random_masks(shapes, 10)
    order = torch.tensor([1, 0, 2, 3, 4])
    swapped = {**masks, "embedding.weight": masks["embedding.weight"][:, order]}
    distances = layer_distances(masks, swapped, shapes)
    assert distances["embedding"] == 0.0
    assert min(distance for name, distance in distances.items() if name != "embedding") > 0.0


def test_large_layers_are_counted_exactly() -> None:
    shapes = (
        embedding(9000, 3, num_products=0),
        ParameterShape(name="w", shape=(2, 3), layer="w", row_units="unit", column_units="embedding"),
        *decoder(9000, 2, "unit", is_tied=False),
    )
    a, b = random_masks(shapes, 11), random_masks(shapes, 12, 0.9)
    common = [
        (x & y).sum().item() / (x | y).sum().item() for x in a["embedding.weight"].T for y in b["embedding.weight"].T
    ]
    costs = 1.0 - torch.tensor(common, dtype=torch.float64).reshape(3, 3)
    best = min(sum(costs[i, j].item() for i, j in enumerate(order)) for order in itertools.permutations(range(3)))
    assert layer_distances(a, b, shapes)["embedding"] == pytest.approx(best / 3, abs=1e-12)
