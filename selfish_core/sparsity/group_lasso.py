"""Group lasso over hidden units: a penalty that takes whole units out of a network while it trains.

With w_k all weights that belong to unit k (one group), the loss grows by

    strength · Σ_k ‖w_k‖₂        whose gradient is        strength · w / ‖w_k‖ for every group k that w belongs to.

A group is everything of one unit: its rows in every gate of its own tensors, its columns in the recurrent ones, and the
columns that the next layer or the decoder reads it by. A weight from one unit to another belongs to both groups, one
from a unit to itself once to its own. Where the decoder is tied to the embedding, column k of the embedding and the
columns that read it belong to unit k: without unit k the embedding has one dimension less. Biases belong to no group: a
unit whose weights are all zero says nothing, whatever its biases are.

Source: Wen et al., Learning Intrinsic Sparse Structures within Long Short-Term Memory, ICLR 2018. Their code
(wenwei202/iss-rnns) counts a weight from a unit to itself twice and adds 1e-8 under the root; this does neither, and
has gradient 0 for a group of norm 0. Their loss is summed over the steps of a segment: a strength of λ there is λ
divided by the segment's length where the loss is the mean over its steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.units import HiddenUnits, hidden_units

_ROWS = 1024
"""Rows that are squared at once: on a CPU ten times as fast as a whole large tensor."""


class GroupLasso:
    """The penalty of one model.

    Args:
        shapes: of all parameters.
        strength: factor of the sum of norms, > 0, in units of the loss.
    """

    def __init__(self, shapes: Sequence[ParameterShape], strength: float) -> None:
        self.strength = strength
        self._units = hidden_units(shapes)

    def penalty(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return what the loss grows by; no gradient flows through it."""
        norms = [norm.sum() for norm in self.norms(parameters).values()]
        return self.strength * torch.stack(norms).sum()

    def norms(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the norm of every group, [units], by the name of the units."""
        with torch.no_grad():
            return {units.name: _norms(units, parameters) for units in self._units}

    def add_gradient_(self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """Add the penalty's gradient, in place; a group of norm 0 adds nothing.

        Args:
            parameters: by name.
            gradients: of the loss, by the same names.
        """
        norms = self.norms(parameters)
        with torch.no_grad():
            for units in self._units:
                norm = norms[units.name]
                self._add(units, torch.where(norm > 0, self.strength / norm, 0.0), parameters, gradients)

    def _add(
        self, units: HiddenUnits, scale: Tensor, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> None:
        for block in units.blocks:
            weight = parameters[block.name][block.rows]
            gradients[block.name][block.rows].addcmul_(weight, scale.unsqueeze(1))
        for name in (*units.readers, *units.tied):
            gradients[name].addcmul_(parameters[name], scale)
            for block in units.blocks_of(name):
                to_itself = parameters[name][block.rows].diagonal()
                gradients[name][block.rows].diagonal().sub_(to_itself * scale)


def zero_small_(parameters: Mapping[str, Tensor], threshold: float) -> None:
    """Zero every entry whose magnitude is not above the threshold, in place.

    A step of gradient descent carries a weight that the penalty holds down past zero and back; this lets it rest there.

    Args:
        parameters: the tensors to go through; what is to keep its small values is left out.
        threshold: ≥ 0.

    >>> weight = torch.tensor([0.5, -0.001, 0.0, -2.0])
    >>> zero_small_({"w": weight}, 0.01)
    >>> weight
    tensor([ 0.5000,  0.0000,  0.0000, -2.0000])
    """
    with torch.no_grad():
        for weight in parameters.values():
            torch.hardshrink(weight, threshold, out=weight)


def _norms(units: HiddenUnits, parameters: Mapping[str, Tensor]) -> Tensor:
    total = parameters[units.readers[0]].new_zeros(units.size)
    for block in units.blocks:
        total += torch.linalg.vector_norm(parameters[block.name][block.rows], dim=1).square()
    for name in (*units.readers, *units.tied):
        weight = parameters[name]
        for start in range(0, len(weight), _ROWS):
            total += weight[start : start + _ROWS].square().sum(dim=0)
        for block in units.blocks_of(name):
            total -= weight[block.rows].diagonal().square()
    return total.sqrt()
