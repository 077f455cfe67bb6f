"""By option: how far the masks have moved from the first and from the previous epoch's, as topology distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.topology import topology_distance


class Distances:
    """The masks to compare with.

    Args:
        masks: at the start, by name.
        shapes: of the parameters.
    """

    def __init__(self, masks: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> None:
        self.first = {name: mask.clone() for name, mask in masks.items()}
        self.previous = {name: mask.clone() for name, mask in masks.items()}
        self._shapes = shapes

    def measure(self, masks: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the distances of the masks, which become the previous ones."""
        found = {
            "topology_distance_to_first": topology_distance(self.first, masks, self._shapes),
            "topology_distance_to_previous": topology_distance(self.previous, masks, self._shapes),
        }
        self.previous = {name: mask.clone() for name, mask in masks.items()}
        return found
