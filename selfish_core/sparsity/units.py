"""Hidden units: which rows and columns of which tensors belong to each of them, and which of them are dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.catalogue.sizes.shape import ParameterShape

WORDS, EMBEDDING, EXPERTS = "words", "embedding", "experts"
"""Units of the catalogue that are not hidden: the vocabulary, the embedding's dimensions, a mixture's components."""


@dataclass(frozen=True)
class RowBlock:
    """Rows of one tensor that belong to a set of units, one row for each unit, in the units' order.

    Args:
        name: the tensor.
        rows: as many as there are units; one gate.
    """

    name: str
    rows: slice


@dataclass(frozen=True)
class HiddenUnits:
    """A set of hidden units, e.g. those of one LSTM layer.

    Args:
        name: as in `ParameterShape.row_units`.
        size: how many units.
        blocks: rows into the units. A gate that has no row of its own for each unit, as the master gates of an
            ON-LSTM, is left out.
        readers: tensors whose columns read the units: recurrent ones, the next layer's, the decoder.
        tied: tensors whose columns read the embedding, where it is tied to these units. Column u tells nothing of
            unit u, but has no meaning without it: the embedding has as many dimensions as there are units.
    """

    name: str
    size: int
    blocks: tuple[RowBlock, ...]
    readers: tuple[str, ...]
    tied: tuple[str, ...]

    def blocks_of(self, tensor: str) -> tuple[RowBlock, ...]:
        """Return the rows into the units that a tensor has; of one that reads them too, its diagonal is to itself."""
        return tuple(block for block in self.blocks if block.name == tensor)


def embedding_table(shapes: Sequence[ParameterShape]) -> ParameterShape | None:
    """Return the tensor that turns words into the embedding's dimensions."""
    return next((shape for shape in shapes if (shape.row_units, shape.column_units) == (WORDS, EMBEDDING)), None)


def hidden_units(shapes: Sequence[ParameterShape]) -> tuple[HiddenUnits, ...]:
    """Return every set of units that is both made by rows and read by columns, in the order in which they are made.

    Units of which no tensor has a row each, as the vectors that a mixture of softmaxes makes of all its components in
    one go, are in none.
    """
    table, tied_name = embedding_table(shapes), _tied_name(shapes)
    found = []
    for name in dict.fromkeys(shape.row_units for shape in shapes):
        is_tied = name == tied_name
        readers = [shape for shape in shapes if shape.column_units == name or (is_tied and shape == table)]
        if name in ("", WORDS, EMBEDDING, EXPERTS) or not readers:
            continue
        size = readers[0].shape[1]
        blocks = [block for shape in shapes if shape.row_units == name for block in unit_blocks(shape, size)]
        tied = [shape.name for shape in shapes if is_tied and shape.column_units == EMBEDDING and shape != table]
        if blocks:
            names = tuple(shape.name for shape in readers)
            found.append(HiddenUnits(name, size, tuple(blocks), names, tuple(tied)))
    return tuple(found)


def _tied_name(shapes: Sequence[ParameterShape]) -> str | None:
    """Return the units that the embedding reads as the decoder: those made last, where a model multiplies by it."""
    table = embedding_table(shapes)
    made = [shape.row_units for shape in shapes if shape.row_units not in ("", WORDS, EXPERTS)]
    return made[-1] if table is not None and table.num_products > 0 and made else None


def unit_blocks(shape: ParameterShape, size: int) -> list[RowBlock]:
    """Return the gates of a tensor that have one row for each of `size` units."""
    return [RowBlock(shape.name, rows) for _, rows in shape.gate_slices if rows.stop - rows.start == size]


def num_hidden_units(shapes: Sequence[ParameterShape]) -> int:
    """Count the hidden units of a model."""
    return sum(units.size for units in hidden_units(shapes))


def num_dead_units(masks: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> int:
    """Count the hidden units that nothing goes into, or that nothing comes out of.

    A weight from a unit to itself counts for neither: a unit that hears only itself knows nothing of the text, and one
    that only it hears tells nobody. Biases do not count.

    Args:
        masks: bool, by the parameter's name; a tensor without one is wholly active.
        shapes: of all parameters.
    """
    every = whole_masks(masks, shapes)
    dead = (~(hearing(units, every) & heard(units, every)) for units in hidden_units(shapes))
    return sum(int(units.sum()) for units in dead)


def hearing(units: HiddenUnits, masks: Mapping[str, Tensor]) -> Tensor:
    """Tell for each unit whether an active weight goes into it from another one; bool, [size]."""
    counts = torch.zeros(units.size, dtype=torch.int64, device=masks[units.blocks[0].name].device)
    for block in units.blocks:
        mask = masks[block.name][block.rows]
        counts += mask.sum(dim=1)
        if block.name in units.readers:
            counts -= mask.diagonal().long()
    return counts > 0


def heard(units: HiddenUnits, masks: Mapping[str, Tensor]) -> Tensor:
    """Tell for each unit whether an active weight goes out of it to another one; bool, [size]."""
    counts = torch.zeros(units.size, dtype=torch.int64, device=masks[units.readers[0]].device)
    for name in units.readers:
        counts += masks[name].sum(dim=0)
        for block in units.blocks_of(name):
            counts -= masks[name][block.rows].diagonal().long()
    return counts > 0


def whole_masks(masks: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> dict[str, Tensor]:
    """Return a mask for every tensor that has units; one that had none is wholly active, and takes no memory."""
    device = next((mask.device for mask in masks.values()), None)
    active = torch.ones((), dtype=torch.bool, device=device)
    return {shape.name: masks.get(shape.name, active.expand(shape.shape)) for shape in shapes if shape.row_units}
