"""Random generators: one for each purpose, all derived from the trial's seed. There is no other randomness."""

from __future__ import annotations

import hashlib

import torch

PURPOSES = ("weights", "masks", "mask_updates", "dropout")
"""What every trial draws."""

ON_DEVICE = ("dropout", "noise")
"""What is drawn on the device that trains; all else on the CPU, so that a seed means the same on every device."""


def generators(seed: int, device: torch.device, *more: str) -> dict[str, torch.Generator]:
    """Make one generator for each purpose.

    Args:
        seed: of the trial.
        device: that trains.
        more: purposes that only some trials have: `bptt`, `noise`.
    """
    return {
        purpose: generator_for(seed, purpose, device if purpose in ON_DEVICE else torch.device("cpu"))
        for purpose in (*PURPOSES, *more)
    }


def generator_for(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """Make the generator of one purpose."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:7], "big"))
