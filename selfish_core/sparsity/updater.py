"""Mask updates: removal, then regrowth; or pruning, removal alone. The only stateful object of the room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.accounting import TensorTarget, pruned_share
from selfish_core.catalogue.distributions import num_active, num_removed
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REGROWTH_SCORES, REMOVAL_SCORES
from selfish_core.sparsity.choose import choose_by_coins, choose_lowest
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.memory import Memory
from selfish_core.sparsity.pools import Block, counts_of_pools, gate_blocks, pools, tensor_blocks
from selfish_core.sparsity.redistribution import allot, share
from selfish_core.sparsity.removal import Tensors, by_count
from selfish_core.sparsity.schedules import SCHEDULES
from selfish_core.sparsity.scores import ScoreInputs, score_of


@dataclass(frozen=True)
class MaskChange:
    """What one update did to one tensor; both bool, of the tensor's shape.

    Args:
        left: active before, inactive after.
        started: active after and new: inactive before, or removed and returned with another value. A weight that was
            removed and returned with its value is in neither: nothing outside the update ever saw it leave.
    """

    left: Tensor
    started: Tensor


@dataclass(frozen=True)
class MaskUpdate:
    """What one update did.

    Args:
        removal_rate: share of active weights removed, as scheduled; where no rate is scheduled, as it came out.
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
        targets: the maskable tensors and the densities they are to have.
        weights: the tensors by name, at the start of training.
        window: first and last step of the schedule; None where it has no length.
        generator: of every random choice.
    """

    def __init__(
        self,
        parts: SparsityConfig,
        masks: Masks,
        targets: Sequence[TensorTarget],
        weights: Mapping[str, Tensor],
        *,
        window: tuple[float, float] | None,
        generator: torch.Generator,
    ) -> None:
        self.parts = parts
        self.masks = masks
        self.num_updates = 0
        self.explored = {name: mask.clone() for name, mask in masks.tensors.items()}
        self._generator = generator
        self._window = window
        self._goals = [target for target in targets if target.shape.name in masks.tensors]
        shapes = [target.shape for target in self._goals]
        self._pools = pools(parts.granularity, shapes)
        self._cells = gate_blocks(shapes) if parts.granularity == "gate" else tensor_blocks(shapes)
        self._gates = {shape.name: gate_blocks([shape]) for shape in shapes}
        self.targets = {cell.label: int(masks.tensors[cell.tensor][cell.rows].sum()) for cell in self._cells}
        self.memory = Memory.of(parts, len(self._pools), {name: weights[name] for name in masks.tensors}, generator)

    def is_due_at_step(self, step: int) -> bool:
        """Whether an update takes the place of this optimizer step (from 1), or follows it."""
        period = self.parts.update_every_steps
        return period is not None and step % period == 0 and self._is_within(step)

    def is_due_after_epoch(self, epoch: int, step: int) -> bool:
        """Whether an update follows this epoch (from 1), whose last step was `step`."""
        period = self.parts.update_every_epochs
        return period is not None and epoch % period == 0 and self._is_within(step)

    def steps_to_update(self, epoch: int, step: int, num_left: int) -> int | None:
        """How many steps follow this one until masks are updated; None where no update is in sight.

        Args:
            epoch: that runs, from 1.
            step: just done, from 1.
            num_left: steps of the epoch after it.
        """
        period = self.parts.update_every_steps
        if period is not None:
            num_steps = -step % period
            return num_steps if self.is_due_at_step(step + num_steps) else None
        return num_left if self.is_due_after_epoch(epoch, step + num_left) else None

    def is_at_target(self) -> bool:
        """Whether the masks are as sparse as they are to be; pruning gets there in time."""
        wanted = sum(target.num_active for target in self._goals)
        return self.parts.initial_level is None or self.masks.num_active() <= wanted

    def removal_rate(self, step: int) -> float:
        """Share of active weights that an update after `step` removes; 0 for a rule that counts in another way."""
        start = self.parts.removal_rate or 0.0
        end = self.parts.final_removal_rate or 0.0
        return SCHEDULES[self.parts.schedule](self._progress(step), start, end)

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
        if self.parts.initial_level is not None:
            share = pruned_share(self._progress(step))
            densities = [self._density_at(share, target) for target in self._goals]
            return self._prune(densities, self._inputs(weights, gradients, momenta), weights)
        gradients = self.memory.mean_gradients() or gradients
        inputs = self._inputs(weights, gradients, momenta)
        rate = self.removal_rate(step)
        with torch.no_grad():
            removed = self._remove(inputs, rate)
            regrown = self._regrow(inputs, removed)
            changes = self._change(removed, regrown, weights)
        num_before = sum(int(put.active.sum()) for put in inputs.values() if put.active is not None)
        if REMOVAL_SCORES[self.parts.removal].rule != "count":
            rate = sum(int(mask.sum()) for mask in removed.values()) / max(1, num_before)
        return MaskUpdate(rate, changes, num_before)

    def prune_round(
        self, share: float, weights: Mapping[str, Tensor], momenta: Mapping[str, Tensor | None] | None = None
    ) -> MaskUpdate:
        """Prune for a rewinding round: each tensor to its density to the power of `share`, the rounds done so far.

        Args:
            share: of the rounds, done.
            weights: every masked tensor, changed in place; a score that reads gradients finds the last minibatch's
                in them.
            momenta: the optimizer's momentum, where there is any.
        """
        gradients = {name: weights[name].grad for name in self.masks.tensors}
        densities = [target.density**share for target in self._goals]
        return self._prune(densities, self._inputs(weights, gradients, momenta or {}), weights)

    def explored_fraction(self) -> float:
        """Share of the masked weights that were active at any time so far; 1 where nothing is masked."""
        total = self.masks.num_weights()
        return sum(int(seen.sum()) for seen in self.explored.values()) / total if total else 1.0

    def _progress(self, step: int) -> float:
        if self._window is None:
            return 0.0
        first, last = self._window
        return max(0.0, step - first) / (last - first)

    def _is_within(self, step: int) -> bool:
        """Whether masks may change after this step; pruning takes the first chance to arrive."""
        if self._window is None:
            return True
        first, last = self._window
        has_ended = self.parts.update_end_fraction is not None and step >= last
        if self.parts.initial_level is not None:
            has_ended = self.is_at_target()
        return not has_ended and (self.parts.update_start_fraction is None or step >= first)

    def _density_at(self, share: float, target: TensorTarget) -> float:
        start = max(target.density, 1.0 - (self.parts.initial_level or 0.0))
        return target.density if share >= 1.0 else start + (target.density - start) * share

    def _inputs(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor | None],
        momenta: Mapping[str, Tensor | None],
    ) -> dict[str, ScoreInputs]:
        return {
            name: ScoreInputs(weights[name], self._generator, gradients.get(name), momenta.get(name), mask.clone())
            for name, mask in self.masks.tensors.items()
        }

    def _remove(self, inputs: Mapping[str, ScoreInputs], rate: float) -> Tensors:
        active = {name: mask.clone() for name, mask in self.masks.tensors.items()}
        row = REMOVAL_SCORES[self.parts.removal]
        if self.memory.signs is not None:
            signs = self.memory.signs
            return {name: signs.changed(name, put.weight) & active[name] for name, put in inputs.items()}
        score = score_of(row)
        scores = {name: score(put) for name, put in inputs.items()}
        num_in_pools = [self._num_in(pool, active) for pool in self._pools]
        counts = [num_removed(rate, count) for count in num_in_pools]
        if self.memory.thresholds is not None:
            counts = self.memory.thresholds.counts(self._pools, scores, active)
            self.memory.thresholds.adapt(counts, [rate * count for count in num_in_pools])
        return by_count(self._pools, self._that_can_be_regrown(counts, active), scores, active)

    def _that_can_be_regrown(self, counts: Sequence[int], active: Tensors) -> list[int]:
        """Never more than can take their place: without return, only what is inactive now."""
        if self.parts.may_return:
            return list(counts)
        return [
            min(count, sum(int((~active[block.tensor][block.rows]).sum()) for block in pool))
            for pool, count in zip(self._pools, counts, strict=True)
        ]

    def _regrow(self, inputs: Mapping[str, ScoreInputs], removed: Tensors) -> Tensors:
        kept = {name: mask & ~removed[name] for name, mask in self.masks.tensors.items()}
        free = {name: ~(kept[name] if self.parts.may_return else mask) for name, mask in self.masks.tensors.items()}
        labels = [cell.label for cell in self._cells]
        quotas = dict(zip(labels, self._quotas(inputs, kept, free), strict=True))
        regrown = {}
        for name, put in inputs.items():
            regrown[name] = torch.zeros_like(kept[name])
            cells = [cell for cell in self._cells if cell.tensor == name]
            if self.memory.signs is not None and not any(quotas[cell.label] for cell in cells):
                continue  # a rule that looks after every step mostly finds nothing to do, and draws are dear
            score = self._score(put)
            for cell in cells:
                for block, quota in self._split(cell, quotas[cell.label], free):
                    regrown[name][block.rows] |= self._take(score, free, block, quota)
        return regrown

    def _quotas(self, inputs: Mapping[str, ScoreInputs], kept: Tensors, free: Tensors) -> list[int]:
        """How many each cell regrows; together they come back to the first count."""
        wanted = [self.targets[cell.label] - int(kept[cell.tensor][cell.rows].sum()) for cell in self._cells]
        room = [int(free[cell.tensor][cell.rows].sum()) for cell in self._cells]
        if self.parts.redistribution == "none" and all(want <= most for want, most in zip(wanted, room, strict=True)):
            return wanted
        if self.parts.redistribution == "none":
            return allot(sum(wanted), [max(0.0, float(want)) for want in wanted], room)
        shares, counted = [], kept if self.parts.redistribution == "nonzeros" else self.masks.tensors
        for cell in self._cells:
            put, rows = inputs[cell.tensor], cell.rows
            momentum = None if put.momentum is None else put.momentum[rows]
            shares.append(share(self.parts.redistribution, put.weight[rows], momentum, counted[cell.tensor][rows]))
        return allot(sum(wanted), shares, room)

    def _split(self, cell: Block, quota: int, free: Tensors) -> list[tuple[Block, int]]:
        """Share a cell's quota out to the gates of its tensor, where every gate is to have the same."""
        if self.parts.gate_regrowth == "free" or cell.label != cell.tensor:
            return [(cell, quota)]
        gates = self._gates[cell.tensor]
        room = [int(free[cell.tensor][gate.rows].sum()) for gate in gates]
        sizes = [float(free[cell.tensor][gate.rows].numel()) for gate in gates]  # equal, but in an ON-LSTM
        return list(zip(gates, allot(quota, sizes, room), strict=True))

    def _score(self, inputs: ScoreInputs) -> Tensor | None:
        if self.parts.regrowth == "random" and not self.parts.exact_count:
            return None
        return score_of(REGROWTH_SCORES[self.parts.regrowth])(inputs)

    def _take(self, score: Tensor | None, free: Tensors, block: Block, quota: int) -> Tensor:
        """Choose by coins where counts may drift, else by the highest scores."""
        candidates = free[block.tensor][block.rows]
        if score is None:
            return choose_by_coins(candidates, quota, self._generator)
        return choose_lowest(-score[block.rows], candidates, max(0, min(quota, int(candidates.sum()))))

    def _prune(
        self, densities: Sequence[float], inputs: Mapping[str, ScoreInputs], weights: Mapping[str, Tensor]
    ) -> MaskUpdate:
        wanted = {
            target.shape.name: num_active(density, target.shape.size)
            for target, density in zip(self._goals, densities, strict=True)
        }
        score = score_of(REMOVAL_SCORES[self.parts.removal])
        with torch.no_grad():
            scores = {name: score(put) for name, put in inputs.items()}
            active = {name: mask.clone() for name, mask in self.masks.tensors.items()}
            goals = counts_of_pools(self._pools, wanted, active)
            num_in_pools = [self._num_in(pool, active) for pool in self._pools]
            counts = [max(0, count - goal) for count, goal in zip(num_in_pools, goals, strict=True)]
            removed = by_count(self._pools, counts, scores, active)
            nothing = {name: torch.zeros_like(mask) for name, mask in removed.items()}
            changes = self._change(removed, nothing, weights)
        num_before = sum(int(mask.sum()) for mask in active.values())
        return MaskUpdate(sum(counts) / max(1, num_before), changes, num_before)

    @staticmethod
    def _num_in(pool: Sequence[Block], active: Tensors) -> int:
        """Active weights of a pool."""
        return sum(int(active[block.tensor][block.rows].sum()) for block in pool)

    def _change(self, removed: Tensors, regrown: Tensors, weights: Mapping[str, Tensor]) -> dict[str, MaskChange]:
        """Put the new masks in force."""
        changes = {}
        for name, before in {name: mask.clone() for name, mask in self.masks.tensors.items()}.items():
            after = (before & ~removed[name]) | regrown[name]
            started = after & ~before
            if self.parts.returned_value == "zero":
                returned = removed[name] & regrown[name]
                weights[name].masked_fill_(returned, 0.0)
                started |= returned
            self.masks.set(name, after)
            self.explored[name] |= after
            changes[name] = MaskChange(left=before & ~after, started=started)
        self.masks.apply_(weights)
        if self.memory.signs is not None:
            for name, change in changes.items():
                self.memory.signs.start_(name, weights[name], change.started)
        self.memory.forget_gradients()
        self.num_updates += 1
        return changes
