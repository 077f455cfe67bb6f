"""The weights of a trial's best epoch as they were evaluated, whatever the end of the epoch made of them.

An epoch is evaluated, and then its masks may be updated, averaging may begin or weights may be rewound. A checkpoint
holds what training goes on with; beside it, the best epoch's holds the weights that were overwritten since.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Overwritten:
    """What the end of an epoch changed in the weights that were evaluated, where the epoch is the best so far.

    `where` has a bool mask for each parameter that changed, `values` the evaluated weights at its positions.
    """

    def __init__(self) -> None:
        self.where: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self._seen: dict[str, Tensor] = {}

    def forget(self) -> None:
        """Start an epoch."""
        self.where, self.values, self._seen = {}, {}, {}

    def see(self, evaluated: Mapping[str, Tensor]) -> None:
        """Take a copy of the weights that gave a new validation minimum."""
        self._seen = {name: weight.detach().clone() for name, weight in evaluated.items()}

    def compare(self, evaluated: Mapping[str, Tensor]) -> None:
        """Keep of the copy only what is no longer there.

        Args:
            evaluated: the weights that an evaluation would see now, after the end of the epoch.
        """
        for name, seen in self._seen.items():
            where = seen != evaluated[name].detach()
            if where.any():
                self.where[name], self.values[name] = where, seen[where]
        self._seen = {}

    def put_back(self, evaluated: Mapping[str, Tensor]) -> None:
        """Make the weights that an evaluation would see now those that it saw, in place."""
        with torch.no_grad():
            for name, where in self.where.items():
                evaluated[name][where] = self.values[name]
