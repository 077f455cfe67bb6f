"""Parameters, steps and FLOPs of a trial, from the catalogue alone: nothing is built and no data is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import facts
from selfish_core.catalogue.distributions import DISTRIBUTIONS, num_active
from selfish_core.catalogue.scores import REGROWTH_SCORES
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.config import TrialConfig


@dataclass(frozen=True)
class TensorTarget:
    """One maskable tensor and how much of it is to be active."""

    shape: ParameterShape
    density: float

    @property
    def num_active(self) -> int:
        """Target number of active weights."""
        return num_active(self.density, self.shape.size)


@dataclass(frozen=True)
class ParameterCounts:
    """How large a model is.

    Args:
        num_parameters: all of them, biases too.
        num_maskable: those that sparse methods mask.
        num_active: maskable ones that are active at the trial's sparsity.
    """

    num_parameters: int
    num_maskable: int
    num_active: int


@dataclass(frozen=True)
class Steps:
    """How an epoch is cut.

    Args:
        num_rows: tokens in each stream.
        num_steps: minibatches of an epoch.
        num_scored_tokens: training tokens that have a target in an epoch.
    """

    num_rows: int
    num_steps: int
    num_scored_tokens: int


def parameter_shapes(config: TrialConfig) -> tuple[ParameterShape, ...]:
    """Every parameter of the trial's model."""
    row = ARCHITECTURES[config.architecture.name]
    return row.shapes(config.architecture, facts(config.corpus).vocabulary_size)


def tensor_targets(config: TrialConfig) -> tuple[TensorTarget, ...]:
    """The maskable tensors in the model's order, each with its target density."""
    shapes = tuple(shape for shape in parameter_shapes(config) if shape.is_maskable)
    densities = DISTRIBUTIONS[config.sparsity.distribution](config.sparsity.level, shapes)
    return tuple(TensorTarget(shape, density) for shape, density in zip(shapes, densities, strict=True))


def count_parameters(config: TrialConfig) -> ParameterCounts:
    """Count the parameters of the trial's model."""
    targets = tensor_targets(config)
    return ParameterCounts(
        num_parameters=sum(shape.size for shape in parameter_shapes(config)),
        num_maskable=sum(target.shape.size for target in targets),
        num_active=sum(target.num_active for target in targets),
    )


def steps_of_epoch(config: TrialConfig) -> Steps:
    """Cut the training text into streams and minibatches, without reading it."""
    rows = facts(config.corpus).num_tokens["train"] // config.training.batch_size
    return Steps(
        num_rows=rows,
        num_steps=-(-(rows - 1) // config.training.bptt_length),
        num_scored_tokens=(rows - 1) * config.training.batch_size,
    )


def horizon_steps(config: TrialConfig) -> int | None:
    """T of the removal schedule in steps: floor(horizon · rows / bptt), as the official code counts it."""
    if config.sparsity.horizon_epochs is None:
        return None
    return config.sparsity.horizon_epochs * steps_of_epoch(config).num_rows // config.training.bptt_length


def steps_between_updates(config: TrialConfig) -> int | None:
    """Steps from one mask update to the next, or None where there are none."""
    if config.sparsity.update_every_epochs is not None:
        return config.sparsity.update_every_epochs * steps_of_epoch(config).num_steps
    return config.sparsity.update_every_steps


def _sparse_rule(forward_sparse: float, forward_dense: float, period: int) -> float:  # noqa: ARG001 - same for all
    return 3 * forward_sparse


def _rigl_rule(forward_sparse: float, forward_dense: float, period: int) -> float:
    return (3 * forward_sparse * period + 2 * forward_sparse + forward_dense) / (period + 1)


def _momentum_rule(forward_sparse: float, forward_dense: float, period: int) -> float:  # noqa: ARG001 - same for all
    return 2 * forward_sparse + forward_dense


FLOPS_RULES: dict[str, Callable[[float, float, int], float]] = {
    "sparse": _sparse_rule,
    "rigl": _rigl_rule,
    "momentum": _momentum_rule,
}
"""Cost of a training step from (sparse forward, dense forward, steps between updates); Evci et al., ICML 2020."""


def forward_flops_per_token(config: TrialConfig, *, dense: bool = False) -> float:
    """FLOPs of one token's forward pass: 2 for a multiply-add, matrix products only."""
    return sum(
        2 * target.shape.size * target.shape.num_products * (1.0 if dense else target.density)
        for target in tensor_targets(config)
    )


def training_flops_per_epoch(config: TrialConfig) -> float:
    """Training FLOPs of one epoch, by the rule of the trial's regrowth.

    Masks are simulated: this is what a sparse machine would spend, not what this one does.
    """
    regrowth = config.sparsity.regrowth
    rule = FLOPS_RULES["sparse" if regrowth == "none" else REGROWTH_SCORES[regrowth].flops_rule]
    sparse, dense = forward_flops_per_token(config), forward_flops_per_token(config, dense=True)
    return rule(sparse, dense, steps_between_updates(config) or 1) * steps_of_epoch(config).num_scored_tokens
