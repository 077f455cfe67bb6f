"""`selfish show TRIAL --weights FILE`: a trial's best weights as a plain state dict, for any code that uses torch."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from orchestration import outfile
from selfish_core.scoring.network_folder import describe
from selfish_core.scoring.stored import StoredNetwork, load_best
from selfish_core.trial_store import StoredTrial


def write(trial: StoredTrial, path: Path) -> StoredNetwork:
    """Write the weights with which a trial's best epoch was evaluated, dense, inactive ones zero.

    The names are those of the module's `state_dict`, so that a tied weight stands there under each of its names. A
    safetensors file tells in its metadata where they come from; a `.pt` holds tensors alone and is read by
    `torch.load(weights_only=True)`.

    Args:
        trial: whose checkpoint is read.
        path: a new file that ends in `.safetensors` or `.pt`.

    Raises:
        InputError: when the file is there already, or the checkpoint is not kept.
    """
    network = load_best(trial)
    state = state_dict(network)
    data = _as_safetensors(state, network) if path.suffix == ".safetensors" else _as_torch(state)
    outfile.write(path, data, remedy=outfile.NEW)
    return network


def state_dict(network: StoredNetwork) -> dict[str, Tensor]:
    """Return what `load_state_dict` of the network's module takes; tensors share no memory."""
    return {name: tensor.clone() for name, tensor in network.model(torch.device("cpu")).state_dict().items()}


def _as_safetensors(state: dict[str, Tensor], network: StoredNetwork) -> bytes:
    data: bytes = save_tensors(state, {"selfish": json.dumps(describe(network), sort_keys=True)})
    return data


def _as_torch(state: dict[str, Tensor]) -> bytes:
    data = io.BytesIO()
    torch.save(state, data)
    return data.getvalue()
