"""What a step of SNT-ASGD costs beside plain SGD, and beside the definition written elementwise.

    python benchmarks/snt_asgd.py

Everything is a ratio within one run. The elementwise form is the definition line by line: an age, a share and an
average for every weight, all of them visited at every step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from selfish_core.catalogue.optimizers import SNTASGDConfig
from selfish_core.data.corpora import Corpus
from selfish_core.optim.averaged import AveragedSGD
from selfish_core.resolve import resolve
from selfish_core.training.loop import Epoch, Training

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1.2e-6


class Elementwise:
    """SNT-ASGD as it is defined: every weight has its age, and every step visits all of it."""

    def __init__(self, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor], learning_rate: float) -> None:
        self.parameters = parameters
        self.masks = masks
        self.learning_rate = learning_rate
        self.ages = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
        self.averages = {name: weight.detach().clone() for name, weight in parameters.items()}

    def step(self) -> None:
        """Take one step and update every average."""
        with torch.no_grad():
            for name, weight in self.parameters.items():
                mask = self.masks.get(name, torch.ones_like(weight, dtype=torch.bool))
                weight.sub_(self.learning_rate * (weight.grad + WEIGHT_DECAY * weight)).mul_(mask)
                age, average = self.ages[name], self.averages[name]
                age += 1
                age[~mask] = 0
                share = 1 / (age - 1)
                share[age <= 2] = 1
                is_young = share == 1
                average += share * (weight - average)
                average[is_young] = weight[is_young]
                average.mul_(mask)


def seconds(action: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after two that are not counted."""
    for _ in range(2):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def optimizer_step() -> dict[str, float]:
    """Optimizer and mask step alone, 20M parameters in two tensors."""
    generator = torch.Generator().manual_seed(1)
    shape = (2000, 5000)
    masks = {name: torch.rand(shape, generator=generator) < 0.33 for name in ("a", "b")}

    def fresh() -> dict[str, torch.nn.Parameter]:
        made = {name: torch.nn.Parameter(torch.randn(shape) * mask) for name, mask in masks.items()}
        for weight in made.values():
            weight.grad = torch.randn(shape)
        return made

    plain, fused, ours, elementwise = fresh(), fresh(), fresh(), fresh()
    sgd = torch.optim.SGD(plain.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    fused_sgd = torch.optim.SGD(fused.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    multipliers = {name: mask.float() for name, mask in masks.items()}
    snt = averaging(ours, multipliers)
    definition = Elementwise(elementwise, masks, LEARNING_RATE)
    return {
        "torch.optim.SGD, as it comes": seconds(sgd.step, 15),
        "torch.optim.SGD, fused": seconds(fused_sgd.step, 15),
        "SNT-ASGD": seconds(snt.step, 15),
        "SNT-ASGD, elementwise": seconds(definition.step, 5),
    }


def averaging(parameters: Mapping[str, Tensor], multipliers: Mapping[str, Tensor]) -> AveragedSGD:
    """SNT-ASGD after its trigger."""
    config = SNTASGDConfig(
        name="snt_asgd", learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, non_monotone_window=1
    )
    optimizer = AveragedSGD(config, parameters, multipliers, forgets=True)
    for loss in (1.0, 2.0, 3.0):
        optimizer.end_epoch(loss)
    return optimizer


def training_step(batch_size: int) -> dict[str, float]:
    """The whole step, 2×200 on a vocabulary of 10,000, 35 tokens a stream."""
    raw = {
        "method": "selfish",
        "corpus": "ptb",
        "architecture": {"name": "stacked_lstm", "hidden_size": 200, "embedding_size": 200},
        "sparsity": 0.67,
        "optimizer": {"learning_rate": 1.0},
        "seed": 1,
    }
    config = resolve(raw, epochs=10)
    tokens = np.random.default_rng(1).integers(0, 10_000, 2000)
    corpus = Corpus(name="ptb", vocabulary=tuple(map(str, range(10_000))), train=tokens, valid=tokens, test=tokens)
    found = {}
    for name in ("without averages", "SNT-ASGD", "SNT-ASGD, elementwise"):
        training = Training(config, corpus, torch.device("cpu"))
        masks = training.updater.masks
        if name == "SNT-ASGD":
            training.optimizer = averaging(training.parameters(), masks.multipliers)
        elif name != "without averages":
            training.optimizer = Elementwise(training.parameters(), masks.tensors, LEARNING_RATE)  # type: ignore[assignment]  # has the step
        words, targets = torch.randint(0, 10_000, (2, 35, batch_size))
        state = training.model.initial_state(batch_size)  # type: ignore[operator]  # LanguageModel
        found[name] = seconds(lambda t=training, s=state, w=words, y=targets: t._step(Epoch(), w, y, s), 9)
    return found


def report(title: str, found: Mapping[str, float], base: str) -> None:
    """Print seconds and ratios."""
    print(title)
    for name, value in found.items():
        print(f"  {name:32s} {value * 1e3:9.1f} ms   {value / found[base]:6.2f}x")


if __name__ == "__main__":
    torch.set_num_threads(1)
    report("optimizer + mask step, 20M parameters", optimizer_step(), "torch.optim.SGD, as it comes")
    for batch_size in (20, 5, 2, 1):
        whole = training_step(batch_size)
        report(f"whole training step in the averaging phase, 2x200, V = 10,000, {batch_size} x 35", whole, "SNT-ASGD")
        limit = whole["SNT-ASGD, elementwise"] / whole["without averages"]
        found = whole["SNT-ASGD, elementwise"] / whole["SNT-ASGD"]
        print(f"  elementwise / ours {found:.2f}; / no averages at all, the limit, {limit:.2f}: {found / limit:.0%}")
