"""Hidden units: which rows and columns are theirs, and which of them are dead, against plain loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.sizes import awd_lstm_mos, gru, on_lstm, rhn, stacked_lstm
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.units import hidden_units, num_dead_units, num_hidden_units

VOCABULARY_SIZE = 11
STACKED = stacked_lstm.StackedLSTMConfig(name="stacked_lstm", hidden_size=5, embedding_size=4)
RHN = rhn.RHNConfig(name="rhn", depth=3, hidden_size=4, embedding_size=4)
SHAPES = {
    "stacked_lstm": stacked_lstm.shapes(STACKED, VOCABULARY_SIZE),
    "tied": stacked_lstm.shapes(STACKED.model_copy(update={"embedding_size": 5, "is_tied": True}), VOCABULARY_SIZE),
    "gru": gru.shapes(gru.GRUConfig(name="gru", hidden_size=5, embedding_size=4), VOCABULARY_SIZE),
    "rhn": rhn.shapes(RHN, VOCABULARY_SIZE),
    "rhn, untied": rhn.shapes(RHN.model_copy(update={"is_tied": False, "embedding_size": 3}), VOCABULARY_SIZE),
    "rhn, uncoupled": rhn.shapes(RHN.model_copy(update={"is_coupled": False}), VOCABULARY_SIZE),
    "on_lstm": on_lstm.shapes(
        on_lstm.ONLSTMConfig(name="on_lstm", hidden_size=6, embedding_size=4, chunk_size=2), VOCABULARY_SIZE
    ),
    "awd_lstm_mos": awd_lstm_mos.shapes(
        awd_lstm_mos.AWDLSTMMoSConfig(
            name="awd_lstm_mos", hidden_size=6, last_hidden_size=5, embedding_size=4, num_experts=3
        ),
        VOCABULARY_SIZE,
    ),
}


def random_masks(shapes: Sequence[ParameterShape], density: float, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {shape.name: torch.rand(shape.shape, generator=generator) < density for shape in shapes if shape.is_maskable}


def dead_by_loops(masks: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> int:
    """Count dead units from the definition, one weight at a time; a tied embedding reads the last set."""
    dead = 0
    sizes = {units.name: units.size for units in hidden_units(shapes)}
    for name, size in sizes.items():
        for unit in range(size):
            comes_in = goes_out = False
            for shape in shapes:
                is_decoder = shape.name == "embedding.weight" and shape.num_products > 0 and name == list(sizes)[-1]
                mask = masks.get(shape.name, torch.ones(shape.shape, dtype=torch.bool))
                for _, rows in shape.gate_slices if shape.row_units else ():
                    for row, column in mask[rows].nonzero().tolist():
                        has_row_each = rows.stop - rows.start == size
                        is_into = shape.row_units == name and has_row_each and row == unit
                        is_out_of = (shape.column_units == name or is_decoder) and column == unit
                        comes_in |= is_into and not is_out_of
                        goes_out |= is_out_of and not is_into
            dead += not (comes_in and goes_out)
    return dead


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("stacked_lstm", {"lstm0": 5, "lstm1": 5}),
        ("tied", {"lstm0": 5, "lstm1": 5}),
        ("gru", {"gru0": 5, "gru1": 5}),
        ("rhn", {"rhn": 4}),
        ("on_lstm", {"on_lstm0": 6, "on_lstm1": 6, "on_lstm2": 4}),
    ],
)
def test_hidden_units_are_made_by_rows_and_read_by_columns(name: str, sizes: dict[str, int]) -> None:
    assert {units.name: units.size for units in hidden_units(SHAPES[name])} == sizes
    assert num_hidden_units(SHAPES[name]) == sum(sizes.values())


def test_neither_words_nor_a_mixtures_components_are_hidden_units() -> None:
    names = {units.name for units in hidden_units(SHAPES["awd_lstm_mos"])}
    assert not names & {"words", "embedding", "experts"}
    assert {"lstm0", "lstm1", "lstm2"} <= names


def test_a_tied_embedding_reads_the_last_units_and_its_dimensions_go_with_them() -> None:
    (units,) = hidden_units(SHAPES["rhn"])
    assert units.readers == ("embedding.weight", "recurrent.0.weight", "recurrent.1.weight", "recurrent.2.weight")
    assert units.tied == ("input.weight",)
    assert [block.rows for block in units.blocks_of("input.weight")] == [slice(0, 4), slice(4, 8)]
    first, last = hidden_units(SHAPES["tied"])
    assert first.tied == ()
    assert last.readers == ("embedding.weight", "lstm.1.weight_hh_l0")
    assert last.tied == ("lstm.0.weight_ih_l0",)


def test_gates_without_a_row_for_each_unit_are_left_out() -> None:
    first = hidden_units(SHAPES["on_lstm"])[0]
    assert [block.rows.start for block in first.blocks_of("on_lstm.0.ih.weight")] == [6, 12, 18, 24]


@pytest.mark.parametrize("density", [0.02, 0.1, 0.3, 0.9])
@pytest.mark.parametrize("name", SHAPES)
def test_dead_units_are_those_that_loops_over_all_weights_find(name: str, density: float) -> None:
    shapes = SHAPES[name]
    masks = random_masks(shapes, density)
    assert num_dead_units(masks, shapes) == dead_by_loops(masks, shapes)


@pytest.mark.parametrize("name", SHAPES)
def test_no_unit_of_a_dense_network_is_dead(name: str) -> None:
    assert num_dead_units({}, SHAPES[name]) == 0


@pytest.mark.parametrize("name", SHAPES)
def test_every_unit_of_an_empty_network_is_dead(name: str) -> None:
    assert num_dead_units(random_masks(SHAPES[name], 0.0), SHAPES[name]) == num_hidden_units(SHAPES[name])


def test_a_tensor_without_a_mask_is_wholly_active() -> None:
    shapes = SHAPES["stacked_lstm"]
    masks = random_masks(shapes, 0.0)
    del masks["lstm.0.weight_ih_l0"], masks["lstm.1.weight_ih_l0"]
    assert num_dead_units(masks, shapes) == 5, "only the second layer lacks a way out"


def test_a_weight_from_a_unit_to_itself_is_neither_input_nor_output() -> None:
    shapes = SHAPES["stacked_lstm"]
    masks = random_masks(shapes, 1.0)
    masks["lstm.0.weight_ih_l0"][:] = False
    recurrent = masks["lstm.0.weight_hh_l0"]
    recurrent[:] = False
    recurrent.view(4, 5, 5).diagonal(dim1=1, dim2=2)[:] = True
    assert num_dead_units(masks, shapes) == 5
    recurrent[5 + 2, 3] = True
    assert num_dead_units(masks, shapes) == 4, "unit 2 hears unit 3 through its forget gate"
