"""Mask updates: removal, then regrowth. The only stateful object of the room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.catalogue.distributions import num_removed
from selfish_core.config import SparsityConfig
from selfish_core.sparsity.choose import choose_by_coins, choose_lowest
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.schedules import SCHEDULES
from selfish_core.sparsity.scores import REGROWTH, REMOVAL, ScoreInputs


@dataclass(frozen=True)
class MaskChange:
    """What one update did to one tensor; both bool, of the tensor's shape.

    Args:
        left: active before, inactive after.
        started: active after and new: inactive before, or removed and returned with value zero. A weight that was
            removed and returned with its value is in neither: nothing outside the update ever saw it leave.
    """

    left: Tensor
    started: Tensor


@dataclass(frozen=True)
class MaskUpdate:
    """What one update did.

    Args:
        removal_rate: share of active weights removed.
        changes: by tensor.
        num_active: active weights before it.
    """

    removal_rate: float
    changes: Mapping[str, MaskChange]
    num_active: int

    @property
    def num_exchanged(self) -> int:
        """Weights that were active before and are not after."""
        return sum(int(change.left.sum()) for change in self.changes.values())


class MaskUpdater:
    """Change masks as the parts of a method say.

    Args:
        parts: the resolved parts.
        masks: changed in place.
        horizon_steps: T of the schedule, in steps; None where the schedule has no length.
        generator: of every random choice.
    """

    def __init__(
        self, parts: SparsityConfig, masks: Masks, *, horizon_steps: int | None, generator: torch.Generator
    ) -> None:
        self.parts = parts
        self.masks = masks
        self.generator = generator
        self.num_updates = 0
        self.targets = {name: int(mask.sum()) for name, mask in masks.tensors.items()}
        self.explored = {name: mask.clone() for name, mask in masks.tensors.items()}
        end = parts.update_end_fraction or 1.0
        self._end_step = None if horizon_steps is None else end * horizon_steps

    def is_due_at_step(self, step: int) -> bool:
        """Whether an update takes the place of this optimizer step (from 1)."""
        period = self.parts.update_every_steps
        return period is not None and step % period == 0 and not self._has_ended(step)

    def is_due_after_epoch(self, epoch: int, step: int) -> bool:
        """Whether an update follows this epoch (from 1), whose last step was `step`."""
        period = self.parts.update_every_epochs
        return period is not None and epoch % period == 0 and not self._has_ended(step)

    def removal_rate(self, step: int) -> float:
        """Share of active weights that an update after `step` removes."""
        progress = 0.0 if self._end_step is None else step / self._end_step
        start = self.parts.removal_rate or 0.0
        end = self.parts.final_removal_rate or 0.0
        return SCHEDULES[self.parts.schedule](progress, start, end)

    def update(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor | None],
        momenta: Mapping[str, Tensor | None],
    ) -> MaskUpdate:
        """Remove, regrow, and zero what is inactive.

        Args:
            step: steps done so far.
            weights: every masked tensor, changed in place.
            gradients: dense gradients of the last minibatch, where there are any.
            momenta: the optimizer's momentum, where there is any.
        """
        rate = self.removal_rate(step)
        num_active = self.masks.num_active()
        changes = {}
        with torch.no_grad():
            for name in self.masks.tensors:
                inputs = ScoreInputs(weights[name], self.generator, gradients.get(name), momenta.get(name))
                changes[name] = self._update_tensor(name, rate, inputs)
        self.masks.apply_(weights)
        self.num_updates += 1
        return MaskUpdate(rate, changes, num_active)

    def explored_fraction(self) -> float:
        """Share of the masked weights that were active at any time so far; 1 where nothing is masked."""
        total = self.masks.num_weights()
        return sum(int(seen.sum()) for seen in self.explored.values()) / total if total else 1.0

    def _has_ended(self, step: int) -> bool:
        return self.parts.update_end_fraction is not None and self._end_step is not None and step >= self._end_step

    def _update_tensor(self, name: str, rate: float, inputs: ScoreInputs) -> MaskChange:
        before = self.masks.tensors[name].clone()
        removed = choose_lowest(REMOVAL[self.parts.removal](inputs), before, self._num_to_remove(before, rate))
        kept = before & ~removed
        free = ~kept if self.parts.may_return else ~before
        regrown = self._regrow(inputs, free, self.targets[name] - int(kept.sum()))
        after = kept | regrown
        started = after & ~before
        if self.parts.returned_value == "zero":
            returned = removed & regrown
            inputs.weight.masked_fill_(returned, 0.0)
            started |= returned
        self.masks.set(name, after)
        self.explored[name] |= after
        return MaskChange(left=before & ~after, started=started)

    def _num_to_remove(self, before: Tensor, rate: float) -> int:
        """Never more than can be regrown: without return, only what is inactive now can take their place."""
        count = num_removed(rate, int(before.sum()))
        return count if self.parts.may_return else min(count, int((~before).sum()))

    def _regrow(self, inputs: ScoreInputs, free: Tensor, quota: int) -> Tensor:
        """Fill the tensor up to its first count: by coins where counts may drift, else by the highest scores."""
        if self.parts.regrowth == "random" and not self.parts.exact_count:
            return choose_by_coins(free, quota, self.generator)
        score = REGROWTH[self.parts.regrowth](inputs)
        return choose_lowest(-score, free, max(0, min(quota, int(free.sum()))))
