"""On what a trial was computed: the same config, seed and fingerprint give the same bits."""

from __future__ import annotations

import os
import platform

import torch

from selfish_core.errors import InputError

DEVICES = ("auto", "cpu", "cuda")


def fingerprint(device: torch.device) -> dict[str, str]:
    """Name what the bits of a result depend on beside config and seed."""
    found = {
        "torch": str(torch.__version__),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "device": device.type,
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]  # torch has no annotation
    return found


def pick_device(name: str) -> torch.device:
    """Turn `auto` into a GPU where there is one, else the CPU; tell a GPU to be deterministic, in whole floats."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda': this machine has no GPU that torch can use: take cpu or auto")
    if name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)
