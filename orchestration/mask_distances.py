"""How differently stored trials are wired: topology distances between the masks of their checkpoints."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration.terminal import count, say
from results.figures.options import Distances
from selfish_core.accounting import parameter_shapes
from selfish_core.errors import CorruptFileError
from selfish_core.trial_store import StoredTrial, TrialStore
from sweeps.expand import Trial

if TYPE_CHECKING:
    from torch import Tensor

    Masks = dict[str, Tensor]

MASKS = "masks/"
"""How the names of a checkpoint's masks begin (`selfish_core.training.checkpoint`)."""

MANY = 50
"""Pairs, from which a line says that it takes a while."""


def between(trials: Sequence[Trial], store: TrialStore, epochs: int) -> Distances:
    """Compare the masks of every two trials, each as its newest kept checkpoint has them.

    Trials of different sizes cannot be compared: their distance is no number. Trials without a mask are left out.

    Args:
        trials: the wanted ones.
        store: where their checkpoints are.
        epochs: of the sweep; later checkpoints are not looked at.
    """
    from selfish_core.sparsity.topology import topology_distance

    known: list[tuple[Trial, Masks]] = []
    seen: set[int] = set()
    num_without = 0
    for trial in trials:
        epoch, masks = _newest(store.trial(trial.key), trial, epochs)
        num_without += epoch == 0
        if masks:
            known.append((trial, masks))
            seen.add(epoch)
    pairs = list(itertools.combinations(range(len(known)), 2))
    if len(pairs) >= MANY:
        say(f"comparing the masks of {count(len(pairs), 'pair')} of trials")
    values = [[0.0] * len(known) for _ in known]
    for one, other in pairs:
        (trial_a, masks_a), (trial_b, masks_b) = known[one], known[other]
        shapes = parameter_shapes(trial_a.config)
        is_comparable = shapes == parameter_shapes(trial_b.config)
        distance = topology_distance(masks_a, masks_b, shapes) if is_comparable else math.nan
        values[one][other] = values[other][one] = distance
    keys = tuple(trial.key for trial, _ in known)
    return Distances(keys, tuple(tuple(row) for row in values), _note(seen, num_without))


def _newest(stored: StoredTrial, trial: Trial, epochs: int) -> tuple[int, Masks]:
    """Return the epoch and the masks of the newest sound checkpoint; epoch 0 where there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from selfish_core.sparsity.masks import unpack

    if not stored.exists():
        return 0, {}
    shapes = {shape.name: shape.shape for shape in parameter_shapes(trial.config)}
    for ref in stored.checkpoints():
        if ref.epoch > epochs:
            continue
        try:
            tensors = load(stored.load(ref).tensors)
            packed = {name.removeprefix(MASKS): one for name, one in tensors.items() if name.startswith(MASKS)}
            return ref.epoch, {name: unpack(mask, shapes[name]) for name, mask in packed.items()}
        except (CorruptFileError, SafetensorError, KeyError, ValueError, RuntimeError):
            continue
    return 0, {}


def _note(epochs: set[int], num_without: int) -> str:
    """Say of which epochs the masks are, and how many trials have none; empty where there is nothing to say."""
    told = []
    if epochs:
        first, last = min(epochs), max(epochs)
        told.append(f"Masks after epoch {last}." if first == last else f"Masks after epochs {first} to {last}.")
    if num_without:
        told.append(f"{count(num_without, 'trial')} without a kept checkpoint: not shown.")
    return " ".join(told)
