"""The training loop: models, masks, optimizers and data meet here. One call trains and evaluates one epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from selfish_core.accounting import built_architecture, parameter_shapes, tensor_targets, update_window
from selfish_core.config import TrainingConfig, TrialConfig
from selfish_core.data.batching import batchify, cut
from selfish_core.data.corpora import Corpus
from selfish_core.models.build import build as build_model
from selfish_core.models.output import Output, State
from selfish_core.optim.base import Optimizer
from selfish_core.optim.build import build as build_optimizer
from selfish_core.sparsity.group_lasso import zero_small_
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.snip import snip_masks
from selfish_core.sparsity.updater import MaskUpdate, MaskUpdater
from selfish_core.training.distances import Distances
from selfish_core.training.evaluate import evaluate
from selfish_core.training.evaluated import Overwritten
from selfish_core.training.gradients import Gradients
from selfish_core.training.lengths import step_lengths
from selfish_core.training.measure import measure, perplexity
from selfish_core.training.randomness import generators
from selfish_core.training.rewind import Rewinding
from selfish_core.training.watchdog import Beat, no_beat


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

    def add_update(self, update: MaskUpdate) -> None:
        """Take note of a mask update."""
        self.removal_rate = update.removal_rate
        self.turnover.append(update.num_exchanged / max(1, update.num_active))


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
        beat: called after every step, evaluated segment and mask update.
    """

    def __init__(self, config: TrialConfig, corpus: Corpus, device: torch.device, beat: Beat = no_beat) -> None:
        self.config = config
        self.device = device
        self.beat = beat
        self.progress = Progress()
        self.overwritten = Overwritten()
        self.generators = _generators(config, device)
        self._text = _Text(config, corpus, device)
        architecture = built_architecture(config)
        self.model = build_model(architecture, len(corpus.vocabulary), self.generators["weights"])
        self.model.to(device)
        masks = self._first_masks()
        self.rewinding = Rewinding.of(config.sparsity, self.parameters())
        masks.apply_(self.parameters())
        self.updater = MaskUpdater(
            config.sparsity,
            masks,
            tensor_targets(config),
            self.parameters(),
            window=update_window(config),
            generator=self.generators["mask_updates"],
        )
        self.optimizer = self._new_optimizer()
        shapes = parameter_shapes(config)
        self._gradients = Gradients(
            config.sparsity,
            config.optimizer.clip_norm,
            self.parameters(),
            masks.multipliers,
            shapes,
            self.generators.get("noise"),
        )
        self.distances = Distances(masks.tensors, shapes) if config.training.topology_distance else None

    def parameters(self) -> dict[str, Tensor]:
        """Every parameter by name, a tied one once."""
        return dict(self.model.named_parameters())

    def run_epoch(self, epoch: Epoch | None = None) -> EpochResult:
        """Train one epoch, evaluate, test the trigger, update the masks.

        Args:
            epoch: gathers what single steps showed, for a caller who wants to see them.
        """
        epoch = Epoch() if epoch is None else epoch
        self.overwritten.forget()
        try:
            self._train(epoch)
            is_selectable = self.updater.is_at_target()
            losses = self._evaluate(is_selectable=is_selectable)
        except DivergedError as error:
            return EpochResult(self._metrics(epoch, {}), message=str(error))
        was_averaging = self.optimizer.is_averaging
        starts_averaging = self.optimizer.end_epoch(losses["val"])
        self.progress.epoch += 1
        if self.updater.is_due_after_epoch(self.progress.epoch, self.progress.step) and not starts_averaging:
            self.update_masks(epoch)
        self._rewind(epoch)
        with self.optimizer.evaluation_weights():
            self.overwritten.compare(self.parameters())
        metrics = self._metrics(epoch, losses)
        metrics["is_averaging"] = float(was_averaging)
        metrics["is_selectable"] = float(is_selectable)
        if self.distances is not None:
            metrics |= self.distances.measure(self.updater.masks.tensors)
        return EpochResult(metrics)

    def _first_masks(self) -> Masks:
        """Draw the first masks; take them from the first minibatch's gradients; or start full, to be pruned."""
        part, targets = self.config.sparsity, tensor_targets(self.config)
        if part.initial_level is not None:
            return Masks.full(targets).to(self.device)
        if part.initial_mask == "random":
            drawn = Masks.draw(targets, exact_count=bool(part.exact_count), generator=self.generators["masks"])
            return drawn.to(self.device)
        words_TB, targets_TB = next(cut(self._text.train_TB, [self.config.training.bptt_length]))
        output = self.model(words_TB, self.model.initial_state(words_TB.shape[1]))
        self._loss_of(output, targets_TB).backward()  # type: ignore[no-untyped-call]  # torch has no annotation
        weights = self.parameters()
        gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
        masks = Masks(snip_masks(targets, part.granularity, weights, gradients, self.generators["masks"]))
        self.model.zero_grad(set_to_none=True)
        return masks

    def _new_optimizer(self) -> Optimizer:
        part = self.config.sparsity
        return build_optimizer(
            self.config.optimizer,
            self.parameters(),
            self.updater.masks.multipliers,
            warm_up_steps=part.warm_up_steps,
            keeps_state=part.regrown_state == "keep",
        )

    def _train(self, epoch: Epoch) -> None:
        training, train_TB = self.config.training, self._text.train_TB
        state = self.model.initial_state(training.batch_size)
        lengths = step_lengths(training, len(train_TB) - 1, self.generators.get("bptt"))
        for index, (words_TB, targets_TB) in enumerate(cut(train_TB, lengths)):
            state = tuple(part.detach() for part in state)
            num_left = len(lengths) - 1 - index
            state = self._step(epoch, words_TB, targets_TB, state, lengths[index] / training.bptt_length, num_left)

    def _step(
        self, epoch: Epoch, words_TB: Tensor, targets_TB: Tensor, state: State, factor: float, num_left: int
    ) -> State:
        """Take one minibatch: an optimizer step, a mask update in its place, or both.

        Args:
            epoch: gathers what it shows.
            words_TB: inputs.
            targets_TB: the words after them.
            state: the model's, before the segment.
            factor: of the learning rate.
            num_left: steps after this one in the epoch.
        """
        self.model.zero_grad(set_to_none=True)
        output = self.model(words_TB, state, self.generators["dropout"])
        loss = self._loss_of(output, targets_TB)
        (loss + self._penalty(output)).backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        norm = self._gradients.norm()
        self.progress.step += 1
        self._check_finite(loss.item(), norm.item())
        self._gradients.clip_(norm)
        epoch.losses.append((len(words_TB), loss.item()))
        epoch.norms.append(norm.item())
        self._remember_gradients(num_left)
        is_due = self.updater.is_due_at_step(self.progress.step)
        if not is_due or not self.config.sparsity.update_replaces_step:
            self.optimizer.step(factor)
            self._zero_small()
        if is_due:
            self.update_masks(epoch)
        self.beat()
        return output.state

    def _loss_of(self, output: Output, targets_TB: Tensor) -> Tensor:
        return functional.cross_entropy(output.scores_TBV.flatten(0, 1), targets_TB.flatten())

    def _penalty(self, output: Output) -> Tensor | float:
        """Activation regularisation, and its temporal form (Merity et al., ICLR 2018, section 4.6)."""
        training = self.config.training
        penalty: Tensor | float = 0.0
        if training.activation_penalty:
            penalty = penalty + training.activation_penalty * output.dropped_TBH.pow(2).mean()
        if training.temporal_penalty and len(output.raw_TBH) > 1:
            penalty = penalty + training.temporal_penalty * output.raw_TBH.diff(dim=0).pow(2).mean()
        return penalty

    def _remember_gradients(self, num_left: int) -> None:
        """Sum the gradients of the last steps before a mask update, where regrowth reads their mean."""
        part = self.config.sparsity
        if part.gradient_steps is None:
            return
        num_to_update = self.updater.steps_to_update(self.progress.epoch + 1, self.progress.step, num_left)
        if num_to_update is None or num_to_update >= part.gradient_steps:
            return
        if num_to_update == part.gradient_steps - 1:
            self.updater.memory.forget_gradients()
        self.updater.memory.add_gradients(self._gradients.by_name())

    def _zero_small(self) -> None:
        if self.config.sparsity.zero_threshold is not None:
            maskable = {shape.name for shape in parameter_shapes(self.config) if shape.is_maskable}
            weights = {name: weight for name, weight in self.parameters().items() if name in maskable}
            zero_small_(weights, self.config.sparsity.zero_threshold)

    def _check_finite(self, loss: float, norm: float) -> None:
        step = self.progress.step
        if not math.isfinite(loss):
            raise DivergedError(f"training loss is {loss} at step {step}")
        if not math.isfinite(norm):
            where = next(
                (name for name, gradient in self._gradients.by_name().items() if not gradient.isfinite().all()),
                "no single tensor",
            )
            raise DivergedError(f"gradient norm is {norm} at step {step}, in {where}")

    def _check_evaluated(self, split: str, loss: float) -> None:
        if not math.isfinite(loss):
            weights = self.parameters().items()
            where = next((name for name, weight in weights if not weight.isfinite().all()), "no single weight")
            raise DivergedError(f"{split} loss is {loss} after step {self.progress.step}, in {where}")

    def _evaluate(self, *, is_selectable: bool) -> dict[str, float]:
        """Return the losses; the test text is read only where validation is at a new minimum."""
        with self.optimizer.evaluation_weights():
            losses = {"val": self._loss(self._text.valid_TB)}
            self._check_evaluated("validation", losses["val"])
            best = self.progress.best_val_loss
            if is_selectable and (best is None or losses["val"] < best):
                losses["test"] = self._loss(self._text.test_TB)
                self._check_evaluated("test", losses["test"])
                self.progress.best_val_loss = losses["val"]
                self.progress.best_epoch = self.progress.epoch + 1
                self.overwritten.see(self.parameters())
        return losses

    def _loss(self, rows_TB: Tensor) -> float:
        return evaluate(self.model, rows_TB, self.model.initial_state(rows_TB.shape[1]), self.beat)

    def update_masks(self, epoch: Epoch) -> None:
        """Remove and regrow; what starts over in the optimizer does."""
        parameters, masked = self.parameters(), list(self.updater.masks.tensors)
        gradients = {name: parameters[name].grad for name in masked}
        momenta = {name: self.optimizer.momentum(name) for name in masked}
        update = self.updater.update(self.progress.step, parameters, gradients, momenta)
        for name, change in update.changes.items():
            self.optimizer.start_over(name, change.left, change.started)
        epoch.add_update(update)
        self.beat()

    def _rewind(self, epoch: Epoch) -> None:
        """At the end of a round: prune, put the survivors back to their early values, start the optimizer anew."""
        if self.rewinding is None:
            return
        self.rewinding.keep(self.progress.epoch, self.parameters())
        done = self.rewinding.rounds_done(self.progress.epoch)
        if done is None:
            return
        momenta = {name: self.optimizer.momentum(name) for name in self.updater.masks.tensors}
        epoch.add_update(self.updater.prune_round(done / self.rewinding.rounds, self.parameters(), momenta))
        self.rewinding.put_back(self.parameters())
        self.updater.masks.apply_(self.parameters())
        self.optimizer = self._new_optimizer()

    def _metrics(self, epoch: Epoch, losses: dict[str, float]) -> dict[str, float]:
        best = self._text.best_possible_test_perplexity
        known = {} if best is None else {"best_possible_test_perplexity": best}
        return {**known, **measure(self, epoch, losses)}


class _Text:
    """The three splits as streams on the device, and the best that any model could do on the scored test tokens."""

    def __init__(self, config: TrialConfig, corpus: Corpus, device: torch.device) -> None:
        training: TrainingConfig = config.training
        self.train_TB = batchify(corpus.train, training.batch_size).to(device)
        self.valid_TB = batchify(corpus.valid, training.eval_batch_size).to(device)
        self.test_TB = batchify(corpus.test, training.test_streams).to(device)
        best = corpus.best_log_probabilities("test", training.test_streams)
        self.best_possible_test_perplexity = None if best is None else perplexity(-float(np.mean(best)))


def _generators(config: TrialConfig, device: torch.device) -> dict[str, torch.Generator]:
    """One generator for each purpose that the trial has."""
    more = {"bptt": config.training.is_bptt_random, "noise": config.sparsity.gradient_noise is not None}
    return generators(config.seed, device, *(purpose for purpose, is_needed in more.items() if is_needed))
