"""A whole training as bytes, and back: weights, masks, averages, optimizer, trigger, every generator.

Tensors are safetensors, the rest is JSON; nothing is ever unpickled. Masks are packed bits, not sparse tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from selfish_core.errors import CorruptFileError
from selfish_core.optim.base import OptimizerState
from selfish_core.sparsity.masks import pack, unpack
from selfish_core.training.loop import Progress, Training
from selfish_core.training.randomness import ON_DEVICE, generator_for

FORMAT = 1


def dump(training: Training) -> tuple[bytes, dict[str, Any]]:
    """Return the tensors as safetensors bytes and the rest as JSON-able data."""
    updater = training.updater
    optimizer = training.optimizer.state()
    remembered, values = updater.memory.state()
    tensors = {
        **_named("weights", training.parameters()),
        **_named("masks", {name: pack(mask) for name, mask in updater.masks.tensors.items()}),
        **_named("explored", {name: pack(mask) for name, mask in updater.explored.items()}),
        **_named("optimizer", optimizer.tensors),
        **_named("memory", remembered),
        **_named("overwritten", training.overwritten.values),
        **_named("overwritten_where", {name: pack(where) for name, where in training.overwritten.where.items()}),
        **_extras(training),
        **_named("generators", {name: generator.get_state() for name, generator in training.generators.items()}),
    }
    state = {
        "format": FORMAT,
        "key": training.config.key(),
        "device": training.device.type,
        "progress": asdict(training.progress),
        "overwritten": sorted(training.overwritten.where),
        "mask_updates": updater.num_updates,
        "mask_targets": updater.targets,
        "memory": values,
        "optimizer": optimizer.scalars,
    }
    return save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}), state


def restore(training: Training, tensors: bytes, state: Mapping[str, Any], where: str) -> list[str]:
    """Put a fresh training of the same config where the dumped one was.

    Every kind of device has random generators of its own, so on another kind dropout starts a sequence anew.

    Args:
        training: built from the same config.
        tensors: as dumped.
        state: as dumped.
        where: names the checkpoint in errors.

    Returns:
        What a reader of the numbers should know; empty as a rule.

    Raises:
        CorruptFileError: when it is of another format or trial, or does not fit the model.
    """
    if state.get("format") != FORMAT or state.get("key") != training.config.key():
        raise CorruptFileError(f"{where}: not a checkpoint of format {FORMAT} of trial {training.config.key()}")
    try:
        groups = _grouped(load_tensors(tensors))
        _restore(training, groups, state)
        device = str(state.get("device", "cpu"))
        return [*_restore_extras(training, groups), *_restore_on_device(training, groups, device)]
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CorruptFileError(f"{where}: does not fit the trial: {str(error).splitlines()[0]}") from error


def _restore(training: Training, groups: Mapping[str, dict[str, Tensor]], state: Mapping[str, Any]) -> None:
    parameters = training.parameters()
    if groups["weights"].keys() != parameters.keys():
        raise ValueError(f"weights are {sorted(groups['weights'])}, the model has {sorted(parameters)}")
    with torch.no_grad():
        for name, weight in groups["weights"].items():
            if weight.shape != parameters[name].shape:
                raise ValueError(
                    f"{name} has shape {tuple(weight.shape)}, the model's is {tuple(parameters[name].shape)}"
                )
            parameters[name].copy_(weight)
    updater = training.updater
    for name, mask in updater.masks.tensors.items():
        updater.masks.set(name, unpack(groups["masks"][name], mask.shape))
        updater.explored[name].copy_(unpack(groups["explored"][name], mask.shape))
    updater.num_updates = int(state["mask_updates"])
    updater.targets = {name: int(count) for name, count in state["mask_targets"].items()}
    updater.memory.load(_moved(groups.get("memory", {}), training.device), state.get("memory", {}))
    training.optimizer.load(
        OptimizerState(_moved(groups.get("optimizer", {}), training.device), dict(state["optimizer"]))
    )
    for name, generator in training.generators.items():
        if name not in ON_DEVICE:
            generator.set_state(groups["generators"][name])
    training.progress = Progress(**state["progress"])
    _restore_overwritten(training, groups)


def _restore_overwritten(training: Training, groups: Mapping[str, dict[str, Tensor]]) -> None:
    training.overwritten.forget()
    parameters = training.parameters()
    for name, where in groups.get("overwritten_where", {}).items():
        training.overwritten.where[name] = unpack(where, parameters[name].shape).to(training.device)
    training.overwritten.values |= _moved(groups.get("overwritten", {}), training.device)


def _restore_on_device(training: Training, groups: Mapping[str, dict[str, Tensor]], device: str) -> list[str]:
    """Put the device's own generators where they were; on another kind of device they begin anew, which is told."""
    events = []
    seed, epoch = training.config.seed, training.progress.epoch
    for name in ON_DEVICE:
        if name not in training.generators:
            continue
        if device == training.device.type:
            training.generators[name].set_state(groups["generators"][name])
            continue
        anew = generator_for(seed, f"{name} after epoch {epoch}", training.device).get_state()
        training.generators[name].set_state(anew)
        here = training.device.type
        events.append(f"went on on {here} after {device}: {name} draws from a new sequence after epoch {epoch}")
    return events


def _extras(training: Training) -> dict[str, Tensor]:
    """What only some trials have: weights to rewind to, masks to measure distances from."""
    tensors: dict[str, Tensor] = {}
    if training.rewinding is not None and training.rewinding.to_epoch > 0:
        tensors |= _named("rewind", training.rewinding.weights)
    if training.distances is not None:
        tensors |= _named("first_masks", {name: pack(mask) for name, mask in training.distances.first.items()})
        tensors |= _named("previous_masks", {name: pack(mask) for name, mask in training.distances.previous.items()})
    return tensors


def _restore_extras(training: Training, groups: Mapping[str, dict[str, Tensor]]) -> list[str]:
    if training.rewinding is not None and training.rewinding.to_epoch > 0:
        training.rewinding.weights = _moved(groups.get("rewind", {}), training.device)
    if training.distances is None:
        return []
    masks = training.updater.masks.tensors
    if "first_masks" not in groups:
        training.distances.previous = {name: mask.clone() for name, mask in masks.items()}
        return [f"topology distances to the masks before epoch {training.progress.epoch} were not asked for then"]
    for kind, known in (("first_masks", training.distances.first), ("previous_masks", training.distances.previous)):
        for name, mask in known.items():
            mask.copy_(unpack(groups[kind][name], mask.shape))
    return []


def _named(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {"masks": {}, "explored": {}}
    for full_name, tensor in tensors.items():
        group, name = full_name.split("/", 1)
        groups.setdefault(group, {})[name] = tensor
    return groups


def _moved(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
