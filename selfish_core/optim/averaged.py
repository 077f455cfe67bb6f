"""SGD that, from a non-monotone trigger on, averages its iterates: NT-ASGD and SNT-ASGD.

The average of a weight is the mean of its iterates since it last became active, the first of them excluded
(torch's ASGD with t0 = 0 for a weight that never leaves). Ages differ from weight to weight, yet between two mask
updates they all advance by one a step. So a step only adds the weights to a running sum; what belongs to whom is
settled in `settle`, at evaluations and mask updates, with the step at which each weight was born.

With n steps so far, r at the last settling, b a weight's birth, c = n - r and S its sum since r, the average A goes to

    A + (S - c A) / max(1, n - b - 1)

which is right for every age: a weight born at r has its first iterate put into A by the first step, and that drops out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from typing_extensions import override

from selfish_core.catalogue.optimizers import NTASGDConfig, SNTASGDConfig
from selfish_core.optim.base import Optimizer, OptimizerState, apply_masks
from selfish_core.optim.state import Parameters, WarmUp
from selfish_core.optim.trigger import NonMonotoneTrigger


class Averages:
    """Averages of all parameters of a model.

    Args:
        parameters: the weights as they are at the moment from which the averages count.
        forgets: parameters whose weights have births of their own; the others never start over.
    """

    def __init__(self, parameters: Parameters, forgets: frozenset[str]) -> None:
        self.means = {name: weight.detach().clone() for name, weight in parameters.items()}
        self.sums = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
        self.births = {
            name: torch.zeros(weight.shape if name in forgets else (), dtype=torch.int32, device=weight.device)
            for name, weight in parameters.items()
        }
        self.num_steps = 0
        self.num_settled = 0

    def add(self, parameters: Parameters) -> None:
        """Take in one iterate of every weight; one pass."""
        torch._foreach_add_(list(self.sums.values()), [parameters[name] for name in self.sums])
        self.num_steps += 1
        if self.num_steps == self.num_settled + 1:
            for name, mean in self.means.items():
                torch.where(self.births[name] == self.num_settled, parameters[name], mean, out=mean)

    def settle(self) -> dict[str, Tensor]:
        """Bring the means up to date and return them."""
        count = self.num_steps - self.num_settled
        if count:
            for name, mean in self.means.items():
                ages = (self.num_steps - 1 - self.births[name]).clamp_(min=1)
                mean += self.sums[name].sub_(mean, alpha=count).div_(ages)
                self.sums[name].zero_()
            self.num_settled = self.num_steps
        return self.means

    def start_over(self, name: str, left: Tensor, started: Tensor) -> None:
        """Forget weights that left, and let those that started be born now."""
        self.settle()
        self.means[name].masked_fill_(left | started, 0.0)
        self.births[name].masked_fill_(started, self.num_steps)


class AveragedSGD(Optimizer):
    """Plain SGD, then averages.

    Args:
        config: the optimizer's values.
        parameters: by name.
        multipliers: masks as floats, by the name of the parameter they belong to.
        forgets: whether a weight that leaves loses its history (SNT-ASGD) or keeps it (NT-ASGD, its average masked).

    Source: Merity et al., ICLR 2018, for the trigger; Liu et al., ICML 2021, section on SNT-ASGD and official code.
    """

    def __init__(
        self,
        config: NTASGDConfig | SNTASGDConfig,
        parameters: Parameters,
        multipliers: Parameters,
        *,
        forgets: bool,
        warm_up: WarmUp | None = None,
        keeps_state: bool = False,  # noqa: ARG002 - plain SGD has nothing to keep; whether averages forget is its own
    ) -> None:
        optimizer = torch.optim.SGD(
            list(parameters.values()), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        super().__init__(optimizer, parameters, multipliers, warm_up)
        self._forgets = frozenset(multipliers) if forgets else frozenset()
        self._trigger = NonMonotoneTrigger(config.non_monotone_window)
        self._restart_every = config.restart_every_epochs
        self._averages: Averages | None = None

    @override
    @property
    def is_averaging(self) -> bool:
        return self._averages is not None

    @override
    def _after_step(self) -> None:
        if self._averages is not None:
            with torch.no_grad():
                self._averages.add(self._parameters)

    @override
    def _forget(self, name: str, left: Tensor, started: Tensor) -> None:
        if self._averages is not None and name in self._forgets:
            self._averages.start_over(name, left, started)

    @override
    def end_epoch(self, val_loss: float) -> bool:
        fires = self._trigger.fires(val_loss) and self._averages is None
        num_epochs = len(self._trigger.history)
        restarts = self.is_averaging and self._restart_every is not None and num_epochs % self._restart_every == 0
        if fires or restarts:
            self._averages = Averages(self._parameters, self._forgets)
        return fires

    @override
    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        if self._averages is None:
            yield
            return
        with torch.no_grad():
            iterates = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
            self._copy_in(self._averages.settle())
            apply_masks(self._parameters, self._multipliers)
        try:
            yield
        finally:
            with torch.no_grad():
                self._copy_in(iterates)

    @override
    def state(self) -> OptimizerState:
        state = super().state()
        state.scalars["val_losses"] = list(self._trigger.history)
        if self._averages is not None:
            averages = self._averages
            for kind in ("means", "sums", "births"):
                state.tensors.update({f"{kind}/{name}": tensor for name, tensor in getattr(averages, kind).items()})
            state.scalars.update(num_steps=averages.num_steps, num_settled=averages.num_settled)
        return state

    @override
    def load(self, state: OptimizerState) -> None:
        super().load(state)
        self._trigger.history = [float(loss) for loss in state.scalars["val_losses"]]
        if "num_steps" not in state.scalars:
            return
        averages = Averages(self._parameters, self._forgets)
        averages.num_steps = int(state.scalars["num_steps"])
        averages.num_settled = int(state.scalars["num_settled"])
        for full_name, tensor in state.tensors.items():
            kind, name = full_name.split("/", 1)
            if kind != "ages":
                getattr(averages, kind)[name].copy_(tensor)
        self._averages = averages

    def _copy_in(self, weights: Parameters) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name])
