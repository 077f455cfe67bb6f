"""Parameters, steps and FLOPs of a trial, from the catalogue alone: nothing is built and no data is read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import facts
from selfish_core.catalogue.distributions import DISTRIBUTIONS, num_active
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REGROWTH_SCORES
from selfish_core.catalogue.sizes.shape import ArchitectureConfig, ParameterShape
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


def built_architecture(config: TrialConfig) -> ArchitectureConfig:
    """The architecture that is really built: the trial's own, or the narrowed one of a small dense network."""
    if config.sparsity.distribution != "small_dense":
        return config.architecture
    return _narrowed(config.architecture, facts(config.corpus).vocabulary_size, config.sparsity.level)


def parameter_shapes(config: TrialConfig) -> tuple[ParameterShape, ...]:
    """Every parameter of the trial's model."""
    return _shapes(built_architecture(config), facts(config.corpus).vocabulary_size)


def tensor_targets(config: TrialConfig) -> tuple[TensorTarget, ...]:
    """The maskable tensors in the model's order, each with its target density.

    The level is split over the tensors that `include` and `exclude` leave; the others are dense.
    """
    return _targets(built_architecture(config), facts(config.corpus).vocabulary_size, config.sparsity)


def is_chosen(name: str, include: str | None, exclude: str | None) -> bool:
    """Whether a tensor is one of those that are masked.

    >>> is_chosen("lstm.0.weight_ih_l0", "lstm.*, decoder.*", "*.weight_hh_*")
    True
    """
    return (include is None or _matches(name, include)) and not (exclude is not None and _matches(name, exclude))


@lru_cache(maxsize=1024)
def _targets(architecture: ArchitectureConfig, vocabulary_size: int, part: SparsityConfig) -> tuple[TensorTarget, ...]:
    maskable = [shape for shape in _shapes(architecture, vocabulary_size) if shape.is_maskable]
    chosen = [shape for shape in maskable if is_chosen(shape.name, part.include, part.exclude)]
    densities = dict(zip(chosen, DISTRIBUTIONS[part.distribution](part.level, chosen), strict=True))
    return tuple(TensorTarget(shape, densities.get(shape, 1.0)) for shape in maskable)


def _matches(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern.strip()) for pattern in patterns.split(","))


@lru_cache(maxsize=256)
def _shapes(architecture: ArchitectureConfig, vocabulary_size: int) -> tuple[ParameterShape, ...]:
    return ARCHITECTURES[architecture.name].shapes(architecture, vocabulary_size)


@lru_cache(maxsize=256)
def _narrowed(architecture: ArchitectureConfig, vocabulary_size: int, level: float) -> ArchitectureConfig:
    """Find the widest network that has no more parameters than the sparse one has active ones and biases.

    Raises:
        ValueError: when even the narrowest has more.
    """
    row = ARCHITECTURES[architecture.name]
    wide = _shapes(architecture, vocabulary_size)
    wanted = sum(num_active(1.0 - level, shape.size) if shape.is_maskable else shape.size for shape in wide)

    def num_parameters(width: int) -> int:
        return sum(shape.size for shape in row.shapes(row.with_width(architecture, width), vocabulary_size))

    widths = range(1, _width(architecture) + 1)
    fitting = bisect_right(widths, wanted, key=num_parameters)
    if fitting == 0:
        raise ValueError(f"{architecture.name} has {num_parameters(1):,} parameters at width 1, more than {wanted:,}")
    narrowed: ArchitectureConfig = row.with_width(architecture, fitting)
    return narrowed


def _width(architecture: ArchitectureConfig) -> int:
    return int(architecture.model_dump()["hidden_size"])


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


def pruned_share(progress: float) -> float:
    """Share of the way from the first sparsity to the last that pruning along a cubic has gone: 1 - (1 - progress)^3.

    >>> pruned_share(-1.0), pruned_share(0.5), pruned_share(2.0)
    (0.0, 0.875, 1.0)

    Source: Zhu and Gupta, To prune, or not to prune, 2017.
    """
    return 1.0 - (1.0 - min(1.0, max(0.0, progress))) ** 3


def update_window(config: TrialConfig) -> tuple[float, float] | None:
    """First and last step between which masks are updated, or None where the method has no horizon."""
    steps = horizon_steps(config)
    if steps is None:
        return None
    part = config.sparsity
    return steps * (part.update_start_fraction or 0.0), steps * (part.update_end_fraction or 1.0)


def _sparse_rule(forward_sparse: float, forward_dense: float, period: int, num_dense: int) -> float:  # noqa: ARG001
    return 3 * forward_sparse


def _gradient_rule(forward_sparse: float, forward_dense: float, period: int, num_dense: int) -> float:
    dense_step = 2 * forward_sparse + forward_dense
    return (3 * forward_sparse * (period + 1 - num_dense) + num_dense * dense_step) / (period + 1)


def _momentum_rule(forward_sparse: float, forward_dense: float, period: int, num_dense: int) -> float:  # noqa: ARG001
    return 2 * forward_sparse + forward_dense


FLOPS_RULES: dict[str, Callable[[float, float, int, int], float]] = {
    "sparse": _sparse_rule,
    "rigl": _gradient_rule,
    "momentum": _momentum_rule,
}
"""Cost of a training step from (sparse forward, dense forward, steps between updates, of these with a dense gradient);
Evci et al., ICML 2020."""


def forward_flops_per_token(config: TrialConfig, *, dense: bool = False) -> float:
    """FLOPs of one token's forward pass: 2 for a multiply-add, matrix products only."""
    return sum(_products(target.shape) * (1.0 if dense else target.density) for target in tensor_targets(config))


def training_flops(config: TrialConfig, epochs: int) -> float:
    """Training FLOPs of the first epochs, by the rule of the trial's method.

    Sparse to sparse: by the regrowth score. Pruning: 3 forward passes at the density of the time, along the cubic as
    a continuous curve, or round by round. Masks are simulated: this is what a sparse machine would spend.
    """
    part = config.sparsity
    tokens = steps_of_epoch(config).num_scored_tokens
    if part.schedule == "cubic":
        return _cubic_flops(config, epochs)
    if part.schedule == "rewind":
        return sum(3 * _round_forward(config, epoch) * tokens for epoch in range(1, epochs + 1))
    sparse, dense = forward_flops_per_token(config), forward_flops_per_token(config, dense=True)
    rule = FLOPS_RULES["sparse" if part.regrowth == "none" else REGROWTH_SCORES[part.regrowth].flops_rule]
    step = rule(sparse, dense, steps_between_updates(config) or 1, part.gradient_steps or 1)
    first_batch = config.training.batch_size * config.training.bptt_length if part.initial_mask == "snip" else 0
    return epochs * (step * tokens) + 3 * dense * first_batch


def _round_forward(config: TrialConfig, epoch: int) -> float:
    """Forward FLOPs a token in an epoch (from 1) of rewinding; each round keeps the same share of a tensor."""
    part = config.sparsity
    rounds = part.rewind_rounds or 1
    done = min(rounds, (epoch - 1) // (part.round_epochs or 1))
    return float(sum(_products(it.shape) * it.density ** (done / rounds) for it in tensor_targets(config)))


def _cubic_flops(config: TrialConfig, epochs: int) -> float:
    """3 passes at the density of the time: dense until the window, then each tensor from its first to its last."""
    steps, (first, last) = steps_of_epoch(config), update_window(config) or (0.0, 0.0)
    total = float(epochs * steps.num_steps)
    before, within = min(total, first), min(total, last) - min(total, first)
    progress = within / (last - first) if last > first else 1.0
    pruned = (last - first) * (progress - (1.0 - (1.0 - progress) ** 4) / 4) + max(0.0, total - last)
    forward = 0.0
    for target in tensor_targets(config):
        start = max(target.density, 1.0 - (config.sparsity.initial_level or 0.0))
        active = before + start * (total - before) - (start - target.density) * pruned
        forward += _products(target.shape) * active
    return 3 * forward * steps.num_scored_tokens / steps.num_steps


def _products(shape: ParameterShape) -> float:
    """Forward FLOPs a token of a dense tensor: 2 for a multiply-add."""
    return 2.0 * shape.size * shape.num_products
