"""The training loop: models, masks, optimizers and data meet here. One call trains and evaluates one epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from selfish_core.accounting import count_parameters, horizon_steps, tensor_targets, training_flops_per_epoch
from selfish_core.config import TrialConfig
from selfish_core.data.batching import batchify, segments
from selfish_core.data.corpora import Corpus
from selfish_core.models.build import build as build_model
from selfish_core.optim.base import Optimizer
from selfish_core.optim.build import build as build_optimizer
from selfish_core.records import GATE_DENSITY_PREFIX
from selfish_core.sparsity.diagnostics import gate_densities, num_active
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.updater import MaskUpdater
from selfish_core.training.evaluate import evaluate
from selfish_core.training.randomness import generators


class DivergedError(Exception):
    """A loss or a gradient norm is not finite; caught in `Training.run_epoch`, where it becomes a result."""


@dataclass
class Epoch:
    """What an epoch gathers while it runs.

    Args:
        losses: one a step, with its number of rows.
        norms: global gradient norms before clipping, one a step.
        removal_rate: of the last mask update.
        turnover: shares of active weights exchanged, one a mask update.
    """

    losses: list[tuple[int, float]] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    removal_rate: float = 0.0
    turnover: list[float] = field(default_factory=list)

    def mean_loss(self) -> float:
        """Mean training loss over the rows seen so far; nan before the first."""
        rows = sum(count for count, _ in self.losses)
        return sum(count * loss for count, loss in self.losses) / rows if rows else math.nan


@dataclass(frozen=True)
class EpochResult:
    """What an epoch showed.

    Args:
        metrics: as in `selfish_core.records`.
        message: where it diverged; empty where it did not.
    """

    metrics: dict[str, float]
    message: str = ""


@dataclass
class Progress:
    """Where a training stands; JSON-able."""

    epoch: int = 0
    step: int = 0
    best_val_loss: float | None = None
    best_epoch: int = 0


class Training:
    """One trial's model, masks and optimizer, and how to train them for an epoch.

    Args:
        config: the resolved trial.
        corpus: its text.
        device: where to compute.
    """

    def __init__(self, config: TrialConfig, corpus: Corpus, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.progress = Progress()
        self.generators = generators(config.seed, device)
        targets = tensor_targets(config)
        masks = Masks.draw(targets, exact_count=bool(config.sparsity.exact_count), generator=self.generators["masks"])
        self.model = build_model(config.architecture, len(corpus.vocabulary), self.generators["weights"])
        self.model.to(device)
        self.updater = MaskUpdater(
            config.sparsity,
            masks.to(device),
            horizon_steps=horizon_steps(config),
            generator=self.generators["mask_updates"],
        )
        self.updater.masks.apply_(self.parameters())
        self.optimizer: Optimizer = build_optimizer(config.optimizer, self.parameters(), self.updater.masks.multipliers)
        self._text = _Text(config, corpus, device)

    def parameters(self) -> dict[str, Tensor]:
        """Every parameter by name, a tied one once."""
        return dict(self.model.named_parameters())

    def run_epoch(self, epoch: Epoch | None = None) -> EpochResult:
        """Train one epoch, evaluate, test the trigger, update the masks.

        Args:
            epoch: gathers what single steps showed, for a caller who wants to see them.
        """
        epoch = Epoch() if epoch is None else epoch
        try:
            self._train(epoch)
            losses = self._evaluate()
        except DivergedError as error:
            return EpochResult(self._metrics(epoch, {}), message=str(error))
        was_averaging = self.optimizer.is_averaging
        starts_averaging = self.optimizer.end_epoch(losses["val"])
        self.progress.epoch += 1
        if self.updater.is_due_after_epoch(self.progress.epoch, self.progress.step) and not starts_averaging:
            self._update_masks(epoch)
        metrics = self._metrics(epoch, losses)
        metrics["is_averaging"] = float(was_averaging)
        return EpochResult(metrics)

    def _train(self, epoch: Epoch) -> None:
        state = self.model.initial_state(self.config.training.batch_size)
        for words_TB, targets_TB in segments(self._text.train_TB, self.config.training.bptt_length):
            state = self._step(epoch, words_TB, targets_TB, tuple(part.detach() for part in state))

    def _step(
        self, epoch: Epoch, words_TB: Tensor, targets_TB: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Take one minibatch: an optimizer step, or a mask update in its place."""
        self.model.zero_grad(set_to_none=True)
        output = self.model(words_TB, state, self.generators["dropout"])
        loss = functional.cross_entropy(output.scores_TBV.flatten(0, 1), targets_TB.flatten())
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        norm = nn.utils.get_total_norm(weight.grad for weight in self.model.parameters() if weight.grad is not None)
        self.progress.step += 1
        self._check_finite(loss.item(), norm.item())
        nn.utils.clip_grads_with_norm_(self.model.parameters(), self.config.optimizer.clip_norm, norm)
        epoch.losses.append((len(words_TB), loss.item()))
        epoch.norms.append(norm.item())
        if self.updater.is_due_at_step(self.progress.step):
            self._update_masks(epoch)
        else:
            self.optimizer.step()
        return output.state

    def _check_finite(self, loss: float, norm: float) -> None:
        step = self.progress.step
        if not math.isfinite(loss):
            raise DivergedError(f"training loss is {loss} at step {step}")
        if not math.isfinite(norm):
            where = next(
                (
                    name
                    for name, weight in self.parameters().items()
                    if weight.grad is not None and not weight.grad.isfinite().all()
                ),
                "no single tensor",
            )
            raise DivergedError(f"gradient norm is {norm} at step {step}, in {where}")

    def _check_evaluated(self, split: str, loss: float) -> None:
        if not math.isfinite(loss):
            weights = self.parameters().items()
            where = next((name for name, weight in weights if not weight.isfinite().all()), "no single weight")
            raise DivergedError(f"{split} loss is {loss} after step {self.progress.step}, in {where}")

    def _evaluate(self) -> dict[str, float]:
        """Return the losses; the test text is read only where validation is at a new minimum."""
        with self.optimizer.evaluation_weights():
            losses = {"val": self._loss(self._text.valid_TB)}
            self._check_evaluated("validation", losses["val"])
            best = self.progress.best_val_loss
            if best is None or losses["val"] < best:
                losses["test"] = self._loss(self._text.test_TB)
                self._check_evaluated("test", losses["test"])
                self.progress.best_val_loss = losses["val"]
                self.progress.best_epoch = self.progress.epoch + 1
        return losses

    def _loss(self, rows_TB: Tensor) -> float:
        state = self.model.initial_state(rows_TB.shape[1])
        return evaluate(self.model, rows_TB, state)

    def _update_masks(self, epoch: Epoch) -> None:
        parameters = self.parameters()
        masked = list(self.updater.masks.tensors)
        gradients = {name: parameters[name].grad for name in masked}
        momenta = {name: self.optimizer.momentum(name) for name in masked}
        update = self.updater.update(self.progress.step, parameters, gradients, momenta)
        for name, change in update.changes.items():
            self.optimizer.start_over(name, change.left, change.started)
        epoch.removal_rate = update.removal_rate
        epoch.turnover.append(update.num_exchanged / update.num_active)

    def _metrics(self, epoch: Epoch, losses: dict[str, float]) -> dict[str, float]:
        counts = count_parameters(self.config)
        targets = tensor_targets(self.config)
        active = num_active(self.updater.masks, targets)
        metrics: dict[str, Any] = {}
        for split, loss in {"train": epoch.mean_loss(), **losses}.items():
            metrics[f"{split}_loss_nats"] = loss
            metrics[f"{split}_perplexity"] = perplexity(loss)
        if self._text.best_possible_test_perplexity is not None:
            metrics["best_possible_test_perplexity"] = self._text.best_possible_test_perplexity
        metrics |= {
            "learning_rate": self.optimizer.learning_rate,
            "gradient_norm": sum(epoch.norms) / len(epoch.norms) if epoch.norms else math.nan,
            "sparsity": 1.0 - active / counts.num_maskable,
            "num_active_parameters": active,
            "num_parameters": counts.num_parameters,
            "removal_rate": epoch.removal_rate,
            "num_mask_updates": self.updater.num_updates,
            "turnover_fraction": sum(epoch.turnover) / max(1, len(epoch.turnover)),
            "explored_fraction": self._explored_fraction(counts.num_maskable),
            "is_averaging": self.optimizer.is_averaging,
            "training_flops": self.progress.epoch * training_flops_per_epoch(self.config),
        }
        for gate, density in gate_densities(self.updater.masks, targets).items():
            metrics[GATE_DENSITY_PREFIX + gate] = density
        return {name: float(value) for name, value in metrics.items()}

    def _explored_fraction(self, num_maskable: int) -> float:
        """Tensors without a mask are explored from the start."""
        masked = self.updater.masks.num_weights()
        return (self.updater.explored_fraction() * masked + num_maskable - masked) / num_maskable


class _Text:
    """The three splits as streams on the device, and the best that any model could do on the scored test tokens."""

    def __init__(self, config: TrialConfig, corpus: Corpus, device: torch.device) -> None:
        training = config.training
        self.train_TB = batchify(corpus.train, training.batch_size).to(device)
        self.valid_TB = batchify(corpus.valid, training.eval_batch_size).to(device)
        self.test_TB = batchify(corpus.test, training.eval_batch_size).to(device)
        best = corpus.best_log_probabilities("test", training.eval_batch_size)
        self.best_possible_test_perplexity = None if best is None else perplexity(-float(np.mean(best)))


def perplexity(loss_nats: float) -> float:
    """Return exp of a loss; inf where that is too large for a float.

    >>> perplexity(0.0), perplexity(1e9)
    (1.0, inf)
    """
    try:
        return math.exp(loss_nats)
    except OverflowError:
        return math.inf
