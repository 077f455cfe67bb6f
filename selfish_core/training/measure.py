"""From the state of a training to the metrics of an epoch's record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from selfish_core.accounting import count_parameters, parameter_shapes, tensor_targets, training_flops
from selfish_core.records import GATE_DENSITY_PREFIX, TENSOR_SPARSITY_PREFIX
from selfish_core.sparsity.diagnostics import active_in_tensors, gate_densities
from selfish_core.sparsity.units import num_dead_units

if TYPE_CHECKING:
    from selfish_core.training.loop import Epoch, Training


def measure(training: Training, epoch: Epoch, losses: dict[str, float]) -> dict[str, float]:
    """Tell what an epoch showed.

    Args:
        training: after the epoch, its mask update included.
        epoch: what its steps showed.
        losses: of the evaluated splits, in nats; empty where it diverged before.
    """
    config, updater = training.config, training.updater
    counts, targets = count_parameters(config), tensor_targets(config)
    masks = _masks(training)
    active = active_in_tensors(masks, targets)
    num_active = sum(active.values())
    metrics: dict[str, Any] = {}
    for split, loss in {"train": epoch.mean_loss(), **losses}.items():
        metrics[f"{split}_loss_nats"] = loss
        metrics[f"{split}_perplexity"] = perplexity(loss)
    metrics |= {
        "learning_rate": training.optimizer.learning_rate,
        "gradient_norm": sum(epoch.norms) / len(epoch.norms) if epoch.norms else math.nan,
        "max_gradient_norm": max(epoch.norms, default=math.nan),
        "sparsity": 1.0 - num_active / counts.num_maskable,
        "num_active_parameters": num_active,
        "num_parameters": counts.num_parameters,
        "num_dead_units": num_dead_units(masks, parameter_shapes(config)),
        "removal_rate": epoch.removal_rate,
        "num_mask_updates": updater.num_updates,
        "turnover_fraction": sum(epoch.turnover) / max(1, len(epoch.turnover)),
        "explored_fraction": _explored_fraction(training, counts.num_maskable),
        "is_averaging": training.optimizer.is_averaging,
        "training_flops": training_flops(config, training.progress.epoch),
        "inference_flops_per_token": _inference_flops(training, active),
    }
    for gate, density in gate_densities(masks, targets).items():
        metrics[GATE_DENSITY_PREFIX + gate] = density
    for target in targets:
        name = target.shape.name
        metrics[TENSOR_SPARSITY_PREFIX + name] = 1.0 - active[name] / target.shape.size
    return {name: float(value) for name, value in metrics.items()}


def perplexity(loss_nats: float) -> float:
    """Return exp of a loss; inf where that is too large for a float.

    >>> perplexity(0.0), perplexity(1e9)
    (1.0, inf)
    """
    try:
        return math.exp(loss_nats)
    except OverflowError:
        return math.inf


def _masks(training: Training) -> Mapping[str, Tensor]:
    """The masks; where a method keeps none and a zero counts as inactive, which weights are not zero."""
    if training.config.sparsity.group_lasso is None:
        return training.updater.masks.tensors
    maskable = [target.shape.name for target in tensor_targets(training.config)]
    return {name: training.parameters()[name] != 0 for name in maskable}


def _explored_fraction(training: Training, num_maskable: int) -> float:
    """Tensors without a mask are explored from the start."""
    masked = training.updater.masks.num_weights()
    return (training.updater.explored_fraction() * masked + num_maskable - masked) / num_maskable


def _inference_flops(training: Training, active: dict[str, int]) -> float:
    """FLOPs of one token's forward pass with the weights that are active now."""
    shapes = [target.shape for target in tensor_targets(training.config)]
    return float(sum(2 * active[shape.name] * shape.num_products for shape in shapes))
