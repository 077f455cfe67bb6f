"""Granularity: within which weights those to remove compete, as blocks of rows of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.choose import choose_lowest
from selfish_core.sparsity.redistribution import allot


@dataclass(frozen=True)
class Block:
    """Some rows of one tensor: one gate, or all of them.

    Args:
        tensor: the tensor's name.
        rows: the rows.
        label: unique; the tensor's name, or with the gate's behind it.
    """

    tensor: str
    rows: slice
    label: str


Pool = tuple[Block, ...]
"""Blocks whose weights compete with one another."""


def tensor_blocks(shapes: Sequence[ParameterShape]) -> list[Block]:
    """Take every tensor whole."""
    return [Block(shape.name, slice(None), shape.name) for shape in shapes]


def gate_blocks(shapes: Sequence[ParameterShape]) -> list[Block]:
    """Cut every tensor into its gates."""
    return [Block(shape.name, rows, f"{shape.name}/{gate}") for shape in shapes for gate, rows in shape.gate_slices]


def pools(granularity: str, shapes: Sequence[ParameterShape]) -> list[Pool]:
    """Group the masked tensors.

    Args:
        granularity: `tensor`, `gate`, `layer` (all tensors of one layer) or `global`.
        shapes: of the masked tensors.
    """
    if granularity == "gate":
        return [(block,) for block in gate_blocks(shapes)]
    blocks = tensor_blocks(shapes)
    if granularity == "global":
        return [tuple(blocks)] if blocks else []
    if granularity == "tensor":
        return [(block,) for block in blocks]
    layers = dict.fromkeys(shape.layer for shape in shapes)
    return [
        tuple(block for block, shape in zip(blocks, shapes, strict=True) if shape.layer == layer) for layer in layers
    ]


def counts_of_pools(pools: Sequence[Pool], counts: Mapping[str, int], tensors: Mapping[str, Tensor]) -> list[int]:
    """Add up what the blocks of each pool are to have; a tensor's number is shared out to its blocks by their size.

    Args:
        pools: together they hold every tensor whole.
        counts: by tensor.
        tensors: of the shapes that are cut into blocks.

    Returns:
        Whole numbers whose sum is that of `counts`.
    """
    blocks = [block for pool in pools for block in pool]
    of_block: dict[str, int] = {}
    for name, count in counts.items():
        own = [block for block in blocks if block.tensor == name]
        sizes = [tensors[name][block.rows].numel() for block in own]
        of_block |= zip((block.label for block in own), allot(count, sizes, sizes), strict=True)
    return [sum(of_block[block.label] for block in pool) for pool in pools]


def choose_in_pool(pool: Pool, scores: dict[str, Tensor], candidates: dict[str, Tensor], count: int) -> list[Tensor]:
    """Mark the `count` candidates of a pool with the lowest score, as one bool tensor for each block.

    Args:
        pool: blocks.
        scores: by tensor; finite numbers.
        candidates: by tensor, bool; only these may be chosen.
        count: from 0 to the number of candidates.
    """
    parts = [candidates[block.tensor][block.rows] for block in pool]
    if len(pool) == 1:
        return [choose_lowest(scores[pool[0].tensor][pool[0].rows], parts[0], count)]
    flat = choose_lowest(
        torch.cat([scores[block.tensor][block.rows].flatten() for block in pool]),
        torch.cat([part.flatten() for part in parts]),
        count,
    )
    pieces = torch.split(flat, [part.numel() for part in parts])
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]
