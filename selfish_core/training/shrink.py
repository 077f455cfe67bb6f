"""The smaller network that is left when hidden units which nothing reads are taken out: its weights and its files.

A unit whose outgoing weights are all zero, but for those to itself, can go: whatever its own weights and biases make
of it, and whatever it carries from step to step (an LSTM's cell, a recurrent highway network's state), no other unit
and no word ever sees it. Every unit whose group the group lasso has brought to zero is one of them. The logits stay
what they were, but for the rounding of sums.

Source: Wen et al., Learning Intrinsic Sparse Structures within Long Short-Term Memory, ICLR 2018.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from selfish_core.accounting import built_architecture, parameter_shapes
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.config import TrialConfig
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.files import LocalStorage
from selfish_core.models.build import build
from selfish_core.models.output import LanguageModel
from selfish_core.optim.base import OptimizerState
from selfish_core.optim.build import build as build_optimizer
from selfish_core.sparsity.group_lasso import zero_small_
from selfish_core.sparsity.masks import unpack
from selfish_core.sparsity.units import EMBEDDING, HiddenUnits, heard, hidden_units
from selfish_core.training.checkpoint import FORMAT as CHECKPOINT_FORMAT
from selfish_core.training.randomness import generator_for
from selfish_core.training.shrunken_network import check_shrinkable, filled, largest_difference, network
from selfish_core.trial_store import CheckpointData

FORMAT = 1
CHECKED = (20, 4)
"""Tokens and streams of the random text on which the smaller network is compared with the full one."""

TOLERANCE = 1e-8
"""By how much logits in double precision may differ; rounding stays far below."""

WEIGHTS, REPORT = "weights.safetensors", "shrunken.json"


@dataclass(frozen=True)
class Shrunken:
    """A network without the units that nothing reads.

    Args:
        weights: every parameter, smaller, by its name in the full network.
        before: units that there were, by the name of the set.
        after: units that are left, at least one of each set.
    """

    weights: Mapping[str, Tensor]
    before: Mapping[str, int]
    after: Mapping[str, int]


def shrink(weights: Mapping[str, Tensor], shapes: Sequence[ParameterShape]) -> Shrunken:
    """Take out every hidden unit that nothing but itself reads.

    Where the decoder is tied to the embedding, the embedding loses the dimensions of the units that go.

    Args:
        weights: every parameter by name; what is to count as zero is zero.
        shapes: of all parameters; every gate has one row for each unit.
    """
    active = {shape.name: weights[shape.name] != 0 for shape in shapes if shape.row_units}
    sets = {units.name: units for units in hidden_units(shapes)}
    kept = {name: _kept(units, active) for name, units in sets.items()}
    tied = next((name for name, units in sets.items() if units.tied), None)
    columns = kept if tied is None else {**kept, EMBEDDING: kept[tied]}
    makers = {shape.layer: shape.row_units for shape in shapes if shape.row_units in sets}
    smaller = {}
    for shape in shapes:
        weight = weights[shape.name]
        made = makers.get(shape.layer)
        if made is not None:
            gates = weight.reshape(-1, sets[made].size, *weight.shape[1:])
            weight = gates[:, kept[made]].flatten(0, 1)
        if shape.column_units in columns:
            weight = weight[:, columns[shape.column_units]]
        smaller[shape.name] = weight.clone()
    before = {name: units.size for name, units in sets.items()}
    return Shrunken(smaller, before, {name: len(units) for name, units in kept.items()})


def _kept(units: HiddenUnits, active: Mapping[str, Tensor]) -> Tensor:
    """Return the units that are read; the first one where none is, since a layer cannot be empty."""
    found = heard(units, active).nonzero().flatten()
    return found if len(found) else torch.zeros(1, dtype=torch.int64)


def shrink_checkpoint(config: TrialConfig, checkpoint: CheckpointData, where: str) -> tuple[Shrunken, dict[str, Any]]:
    """Shrink the network that a trial evaluates right after a checkpoint, and compare the two on a random text.

    Weights whose magnitude is not above the trial's `zero_threshold` count as zero, in the full network too.

    Args:
        config: of the trial.
        checkpoint: one of its checkpoints.
        where: names it in errors.

    Returns:
        The network, and what `write` is to tell of it.

    Raises:
        InputError: when the architecture is not one that can be shrunk.
        CorruptFileError: when the checkpoint does not fit the trial.
    """
    architecture, shapes = built_architecture(config), parameter_shapes(config)
    check_shrinkable(architecture)
    threshold = config.sparsity.zero_threshold or 0.0
    weights = evaluated_weights(config, checkpoint, where)
    zero_small_({shape.name: weights[shape.name] for shape in shapes if shape.is_maskable}, threshold)
    shrunken = shrink(weights, shapes)
    vocabulary_size = len(weights["embedding.weight"])
    generator = generator_for(config.seed, "shrink", torch.device("cpu"))
    words_TB = torch.randint(vocabulary_size, CHECKED, generator=generator)
    full = filled(build(architecture, vocabulary_size, generator), weights)
    difference = largest_difference(full, network(architecture, shrunken.weights), words_TB)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"{where}: the logits of the shrunken network differ by {difference:g}")
    return shrunken, {
        "key": config.key(),
        "architecture": architecture.model_dump(mode="json"),
        "epoch": checkpoint.state["progress"]["epoch"],
        "zero_threshold": threshold,
        "num_parameters_before": sum(weight.numel() for weight in weights.values()),
        "largest_logit_difference": difference,
    }


def evaluated_weights(config: TrialConfig, checkpoint: CheckpointData, where: str) -> dict[str, Tensor]:
    """Return the weights that an evaluation right after a checkpoint would see: averages where there are any.

    Args:
        config: of the trial.
        checkpoint: one of its checkpoints.
        where: names it in errors.

    Raises:
        CorruptFileError: when it is of another format or trial.
    """
    state = checkpoint.state
    if state.get("format") != CHECKPOINT_FORMAT or state.get("key") != config.key():
        raise CorruptFileError(f"{where}: not a checkpoint of format {CHECKPOINT_FORMAT} of trial {config.key()}")
    try:
        tensors = load_tensors(checkpoint.tensors)
        weights = _group("weights", tensors)
        masks = {name: unpack(mask, weights[name].shape) for name, mask in _group("masks", tensors).items()}
        multipliers = {name: mask.float() for name, mask in masks.items()}
        warm_up_steps = config.sparsity.warm_up_steps
        optimizer = build_optimizer(config.optimizer, weights, multipliers, warm_up_steps=warm_up_steps)
        optimizer.load(OptimizerState(_group("optimizer", tensors), dict(state["optimizer"])))
        with optimizer.evaluation_weights():
            return {name: weight.clone() for name, weight in weights.items()}
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CorruptFileError(f"{where}: does not fit the trial: {str(error).splitlines()[0]}") from error


def _group(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write(folder: Path, shrunken: Shrunken, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write a smaller network to a folder, its report last, and return the report.

    Args:
        folder: made where it is absent.
        shrunken: the network.
        told: what else the report is to say, as `shrink_checkpoint` returns it.

    Raises:
        InputError: when the folder holds such a file already.
    """
    data = save_tensors({name: weight.contiguous() for name, weight in shrunken.weights.items()})
    report = {
        "format": FORMAT,
        **told,
        "units_before": dict(shrunken.before),
        "units_after": dict(shrunken.after),
        "num_parameters_after": sum(weight.numel() for weight in shrunken.weights.values()),
        "num_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    storage = LocalStorage(folder)
    for name, content in ((WEIGHTS, data), (REPORT, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())):
        try:
            storage.create(name, content)
        except FileExistsError:
            raise InputError(f"{storage.where(name)}: is there already; name a new folder") from None
    return report


def read(folder: Path) -> tuple[LanguageModel, dict[str, Any]]:
    """Return the module and the report that `write` wrote.

    Raises:
        CorruptFileError: when a file is missing or damaged.
    """
    storage = LocalStorage(folder)
    try:
        report = json.loads(storage.read(REPORT))
        data = storage.read(WEIGHTS, report["num_bytes"])
        if hashlib.sha256(data).hexdigest() != report["sha256"]:
            raise CorruptFileError(f"{storage.where(WEIGHTS)}: its checksum is not the one in {REPORT}")
        row = ARCHITECTURES[report["architecture"]["name"]]
        return network(row.config.model_validate(report["architecture"]), load_tensors(data)), report
    except (FileNotFoundError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise CorruptFileError(f"{folder}: holds no shrunken network: {str(error).splitlines()[0]}") from error
