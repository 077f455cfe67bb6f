"""What masks look like: overall sparsity and the density of single gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from selfish_core.accounting import TensorTarget
from selfish_core.sparsity.masks import Masks


def active_in_tensors(
    masks: Masks, targets: Sequence[TensorTarget], zeros: Mapping[str, Tensor] | None = None
) -> dict[str, int]:
    """Count the active weights of each maskable tensor.

    Args:
        masks: a tensor without a mask is wholly active.
        targets: the maskable tensors.
        zeros: weights by name where a method keeps no masks, and a weight that is zero counts as inactive.
    """
    if zeros is not None:
        return {target.shape.name: int(zeros[target.shape.name].count_nonzero()) for target in targets}
    return {
        target.shape.name: _active_in(masks.tensors.get(target.shape.name), target.shape.size) for target in targets
    }


def gate_densities(masks: Masks, targets: Sequence[TensorTarget]) -> dict[str, float]:
    """Share of active weights in each gate of each layer, its matrices taken together.

    Returns:
        `<layer>.<gate>` to a number in [0, 1]; a layer without gates has one, `<layer>.all`.
    """
    active: dict[str, int] = {}
    size: dict[str, int] = {}
    for target in targets:
        shape = target.shape
        mask = masks.tensors.get(shape.name)
        for gate, rows in shape.gate_slices:
            name = f"{shape.layer}.{gate}"
            block_size = (rows.stop - rows.start) * shape.size // shape.shape[0]
            active[name] = active.get(name, 0) + _active_in(None if mask is None else mask[rows], block_size)
            size[name] = size.get(name, 0) + block_size
    return {name: active[name] / size[name] for name in active}


def _active_in(mask: Tensor | None, size: int) -> int:
    return size if mask is None else int(mask.sum())
