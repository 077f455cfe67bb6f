"""What is known of a parameter before any model exists, and what every architecture's config shares."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Width = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=64)]
DropoutRate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class ArchitectureConfig(BaseModel):
    """Sizes and dropout rates of one architecture; each architecture has a class of its own below this one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str


class ParameterShape(BaseModel):
    """One parameter of a model.

    Args:
        name: as in the torch module's `named_parameters`.
        shape: its size in every dimension.
        layer: the layer it belongs to, for grouping: `embedding`, `lstm0`, …, `decoder`.
        gates: names of the blocks of rows it is stacked from; one block where it has no gates.
        gate_rows: rows of each block; empty where the blocks are equal.
        row_units: the units whose values its rows give, e.g. `words`, `lstm0`; a block of as many rows as there are
            units has one row for each of them. Empty for a bias.
        column_units: the units whose values its columns read, e.g. `embedding`, `lstm0`.
        is_maskable: whether sparse methods mask it; biases are dense.
        num_products: how often a forward step multiplies by it for one token; an embedding is looked up: 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    shape: tuple[int, ...]
    layer: str
    gates: tuple[str, ...] = ("all",)
    gate_rows: tuple[int, ...] = ()
    row_units: str = ""
    column_units: str = ""
    is_maskable: bool = True
    num_products: int = 1

    @property
    def size(self) -> int:
        """Number of entries."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def gate_slices(self) -> tuple[tuple[str, slice], ...]:
        """Each gate and the rows it has.

        >>> weight = ParameterShape(name="w", shape=(6, 2), layer="a", gates=("input", "forget"))
        >>> weight.gate_slices
        (('input', slice(0, 3, None)), ('forget', slice(3, 6, None)))
        """
        lengths = self.gate_rows or (self.shape[0] // len(self.gates),) * len(self.gates)
        starts = [sum(lengths[:index]) for index in range(len(lengths) + 1)]
        rows = [slice(start, stop) for start, stop in itertools.pairwise(starts)]
        return tuple(zip(self.gates, rows, strict=True))


def bias(name: str, length: int, layer: str) -> ParameterShape:
    """Describe a bias: dense, and free of cost."""
    return ParameterShape(name=name, shape=(length,), layer=layer, is_maskable=False, num_products=0)


def embedding(vocabulary_size: int, width: int, *, num_products: int) -> ParameterShape:
    """Describe the embedding; where it is tied it is also the decoder and is multiplied by.

    Args:
        vocabulary_size: rows, one a word.
        width: columns.
        num_products: 0 where it is only looked up.
    """
    return ParameterShape(
        name="embedding.weight",
        shape=(vocabulary_size, width),
        layer="embedding",
        row_units="words",
        column_units="embedding",
        num_products=num_products,
    )


def decoder(vocabulary_size: int, width: int, reads: str, *, is_tied: bool) -> tuple[ParameterShape, ...]:
    """Describe the decoder: its weight where it is not the embedding, and its bias."""
    parts = (bias("decoder.bias", vocabulary_size, "decoder"),)
    if is_tied:
        return parts
    weight = ParameterShape(
        name="decoder.weight",
        shape=(vocabulary_size, width),
        layer="decoder",
        row_units="words",
        column_units=reads,
    )
    return (weight, *parts)
