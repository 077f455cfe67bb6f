"""What masks look like: overall sparsity and the density of single gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from selfish_core.accounting import TensorTarget


def active_in_tensors(masks: Mapping[str, Tensor], targets: Sequence[TensorTarget]) -> dict[str, int]:
    """Count the active weights of each maskable tensor.

    Args:
        masks: by name; a tensor without a mask is wholly active.
        targets: the maskable tensors.
    """
    return {target.shape.name: _active_in(masks.get(target.shape.name), target.shape.size) for target in targets}


def gate_densities(masks: Mapping[str, Tensor], targets: Sequence[TensorTarget]) -> dict[str, float]:
    """Share of active weights in each gate of each layer, its matrices taken together.

    Returns:
        `<layer>.<gate>` to a number in [0, 1]; a layer without gates has one, `<layer>.all`.
    """
    active: dict[str, int] = {}
    size: dict[str, int] = {}
    for target in targets:
        shape = target.shape
        mask = masks.get(shape.name)
        for gate, rows in shape.gate_slices:
            name = f"{shape.layer}.{gate}"
            block_size = (rows.stop - rows.start) * shape.size // shape.shape[0]
            active[name] = active.get(name, 0) + _active_in(None if mask is None else mask[rows], block_size)
            size[name] = size.get(name, 0) + block_size
    return {name: active[name] / size[name] for name in active}


def _active_in(mask: Tensor | None, size: int) -> int:
    return size if mask is None else int(mask.sum())
