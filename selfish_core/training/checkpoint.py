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
from selfish_core.training.randomness import generator_for

FORMAT = 1


def dump(training: Training) -> tuple[bytes, dict[str, Any]]:
    """Return the tensors as safetensors bytes and the rest as JSON-able data."""
    updater = training.updater
    optimizer = training.optimizer.state()
    tensors = {
        **_named("weights", training.parameters()),
        **_named("masks", {name: pack(mask) for name, mask in updater.masks.tensors.items()}),
        **_named("explored", {name: pack(mask) for name, mask in updater.explored.items()}),
        **_named("optimizer", optimizer.tensors),
        **_named("generators", {name: generator.get_state() for name, generator in training.generators.items()}),
    }
    state = {
        "format": FORMAT,
        "key": training.config.key(),
        "device": training.device.type,
        "progress": asdict(training.progress),
        "mask_updates": updater.num_updates,
        "mask_targets": updater.targets,
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
        return _restore_dropout(training, groups, str(state.get("device", "cpu")))
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
    training.optimizer.load(
        OptimizerState(_moved(groups.get("optimizer", {}), training.device), dict(state["optimizer"]))
    )
    for name, generator in training.generators.items():
        if name != "dropout":
            generator.set_state(groups["generators"][name])
    training.progress = Progress(**state["progress"])


def _restore_dropout(training: Training, groups: Mapping[str, dict[str, Tensor]], device: str) -> list[str]:
    saved = groups["generators"]["dropout"]
    if device == training.device.type:
        training.generators["dropout"].set_state(saved)
        return []
    seed, epoch = training.config.seed, training.progress.epoch
    training.generators["dropout"] = generator_for(seed, f"dropout after epoch {epoch}", training.device)
    return [f"went on on {training.device.type} after {device}: dropout draws from a new sequence after epoch {epoch}"]


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
