"""How many bytes checkpoints take: of one trial, from the catalogue alone, and what a policy leaves of a sweep's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.terminal import amount
from selfish_core.accounting import parameter_shapes, tensor_targets
from selfish_core.catalogue.optimizers import OptimizerConfig, SGDConfig
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REMOVAL_SCORES
from selfish_core.config import TrialConfig
from sweeps.sections import Keep

NUMBER_BYTES = 4
"""Weights, averages, moments and ages are kept in 32 bits."""

GENERATOR_BYTES = 5056
"""State of a random generator on a CPU; on a GPU it is next to nothing."""

TENSOR_HEAD_BYTES = 110
"""Name, shape and place of one tensor in the file."""

OTHER_BYTES = 2000
"""Progress, counts of the masks and the manifest."""


@dataclass(frozen=True)
class Volume:
    """What the checkpoints of a sweep's unanswered trials will take.

    Args:
        running: bytes, at most, while they run and before anything is removed.
        kept: bytes that stay when all are answered, by the spec's `keep`.
    """

    running: int
    kept: int


def checkpoint_bytes(config: TrialConfig) -> int:
    """Predict the size of a trial's checkpoint when it holds all that it ever will, averages too."""
    shapes = parameter_shapes(config)
    masked = [target.shape.size for target in tensor_targets(config) if target.density < 1.0]
    num_masked, mask_bytes = sum(masked), sum(-(-size // 8) for size in masked)
    num_copies, num_masked_copies = _copies(config.optimizer, config.sparsity)
    numbers = (1 + num_copies) * sum(shape.size for shape in shapes) + num_masked_copies * num_masked
    num_masks = 4 if config.training.topology_distance else 2
    signs = num_masked if _reads_signs(config.sparsity) else 0
    num_generators = 4 + config.training.is_bptt_random + (config.sparsity.gradient_noise is not None)
    num_tensors = (1 + num_copies) * len(shapes) + (num_masks + num_masked_copies) * len(masked)
    return (
        NUMBER_BYTES * numbers
        + num_masks * mask_bytes
        + signs
        + _overwritten_bytes(config)
        + GENERATOR_BYTES * num_generators
        + TENSOR_HEAD_BYTES * num_tensors
        + OTHER_BYTES
    )


def volume(configs: Sequence[TrialConfig], keep: Keep, epochs: int) -> Volume:
    """Predict what the checkpoints of trials that are to run will take.

    Args:
        configs: of each of them.
        keep: which checkpoints stay.
        epochs: that each is to have.
    """
    each = [checkpoint_bytes(config) for config in configs]
    running, finished = num_running(keep, epochs), num_finished(keep, epochs)
    has_best = keep.finished == "best_of_sweep" and running > finished
    return Volume(running=sum(each) * running, kept=sum(each) * finished + (max(each, default=0) if has_best else 0))


def bytes_text(num_bytes: float) -> str:
    """Write a number of bytes.

    >>> bytes_text(950), bytes_text(1_234_567)
    ('950 B', '1.23 MB')
    """
    short = amount(num_bytes)
    return f"{short[:-1]} {short[-1]}B" if short[-1].isalpha() else f"{short} B"


def num_running(keep: Keep, epochs: int) -> int:
    """Return how many checkpoints a trial has at most between two epochs."""
    return min(epochs, keep.last + keep.best_of_trial)


def num_finished(keep: Keep, epochs: int) -> int:
    """Return how many checkpoints an answered trial keeps at most; its newest one stays unless none is to.

    The one more that the sweep's best trial keeps under `best_of_sweep` is not counted.
    """
    counts = {"all": num_running(keep, epochs), "best_of_trial": 2, "best_of_sweep": 1, "none": 0}
    return min(counts[keep.finished], num_running(keep, epochs))


def _overwritten_bytes(config: TrialConfig) -> int:
    """Return what the best epoch's checkpoint says of the weights that the update after its evaluation removed."""
    part = config.sparsity
    if part.update_every_epochs is None or not part.removal_rate:
        return 0
    masked = [target for target in tensor_targets(config) if target.density < 1.0]
    num_removed = sum(target.num_active * part.removal_rate for target in masked)
    return round(NUMBER_BYTES * num_removed) + sum(-(-target.shape.size // 8) for target in masked)


def _copies(optimizer: OptimizerConfig, part: SparsityConfig) -> tuple[int, int]:
    """Return how often there is a number for every parameter beside the weights, and one for every masked weight."""
    of_all = {"sgd": 0, "adam": 2, "adamw": 2, "nt_asgd": 2, "snt_asgd": 2}[optimizer.name]
    of_all += isinstance(optimizer, SGDConfig) and optimizer.has_momentum
    of_all += bool(part.rewind_to_epoch)
    of_masked = (optimizer.name == "snt_asgd") + (part.warm_up_steps is not None) + (part.gradient_steps is not None)
    return of_all, of_masked


def _reads_signs(part: SparsityConfig) -> bool:
    return part.removal in REMOVAL_SCORES and REMOVAL_SCORES[part.removal].rule == "sign"
