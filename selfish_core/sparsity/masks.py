"""Masks: which weights are active; drawn, applied, counted and packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from selfish_core.accounting import TensorTarget
from selfish_core.sparsity.choose import choose_random


class Masks:
    """One bool mask for each maskable parameter, by the parameter's name.

    A mask is truth; `multipliers` are the same masks as floats, kept because multiplying by them is about ten times
    as fast as by bools on a CPU. Both keep their storage when a mask changes, so whoever holds them sees the change.

    Args:
        tensors: the masks, bool.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        self.multipliers = {name: mask.to(torch.float32) for name, mask in self.tensors.items()}

    @classmethod
    def full(cls, targets: Sequence[TensorTarget]) -> Masks:
        """Make masks that are wholly active, to be pruned; a tensor of density 1 gets none, and is dense for ever."""
        sparse = [target.shape for target in targets if target.density < 1.0]
        return cls({shape.name: torch.ones(shape.shape, dtype=torch.bool) for shape in sparse})

    @classmethod
    def draw(cls, targets: Sequence[TensorTarget], *, exact_count: bool, generator: torch.Generator) -> Masks:
        """Draw the first masks; a tensor of density 1 gets none, and is dense for ever.

        Args:
            targets: tensors and their densities.
            exact_count: each tensor has exactly its target count; else each position is active by a coin of its own,
                as in the official code.
            generator: of the draw.
        """
        sparse = [target for target in targets if target.density < 1.0]
        return cls({target.shape.name: _draw(target, exact_count, generator) for target in sparse})

    def set(self, name: str, mask: Tensor) -> None:
        """Replace one mask, in place."""
        self.tensors[name].copy_(mask)
        self.multipliers[name].copy_(mask)

    def apply_(self, parameters: Mapping[str, Tensor]) -> None:
        """Zero the inactive weights, in place."""
        if not self.multipliers:
            return
        with torch.no_grad():
            torch._foreach_mul_([parameters[name] for name in self.multipliers], list(self.multipliers.values()))

    def num_active(self) -> int:
        """Number of active weights over all masks."""
        return sum(int(mask.sum()) for mask in self.tensors.values())

    def num_weights(self) -> int:
        """Number of weights that have a mask."""
        return sum(mask.numel() for mask in self.tensors.values())

    def to(self, device: torch.device) -> Masks:
        """Return the same masks on another device."""
        return Masks({name: mask.to(device) for name, mask in self.tensors.items()})


def pack(mask: Tensor) -> Tensor:
    """Pack a bool tensor into bytes, eight positions each, in row-major order."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1)))


def unpack(packed: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo `pack`.

    Raises:
        ValueError: when the bytes do not fit the shape.
    """
    size = int(np.prod(shape))
    if packed.dtype != torch.uint8 or packed.numel() != -(-size // 8):
        raise ValueError(f"a packed mask of shape {tuple(shape)} needs {-(-size // 8)} bytes, got {packed.numel()}")
    bits = np.unpackbits(packed.cpu().numpy(), count=size)
    return torch.from_numpy(bits.astype(bool)).reshape(tuple(shape))


def _draw(target: TensorTarget, exact_count: bool, generator: torch.Generator) -> Tensor:
    shape = target.shape.shape
    if not exact_count:
        return torch.rand(shape, generator=generator) < target.density
    everywhere = torch.ones(shape, dtype=torch.bool)
    return choose_random(everywhere, target.num_active, generator)
