"""On what a trial was computed: the same config, seed and fingerprint give the same bits."""

from __future__ import annotations

import platform

import torch

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
    return found


def pick_device(name: str) -> torch.device:
    """Turn `auto` into a GPU where there is one, else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
