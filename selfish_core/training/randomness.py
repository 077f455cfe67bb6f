"""Random generators: one for each purpose, all derived from the trial's seed. There is no other randomness."""

from __future__ import annotations

import hashlib

import torch

PURPOSES = ("weights", "masks", "mask_updates", "dropout")


def generators(seed: int, device: torch.device) -> dict[str, torch.Generator]:
    """Make one generator for each purpose.

    Dropout draws on the device that trains; everything else draws on the CPU, so that a seed means the same
    weights and masks on every device.
    """
    return {
        purpose: generator_for(seed, purpose, device if purpose == "dropout" else torch.device("cpu"))
        for purpose in PURPOSES
    }


def generator_for(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """Make the generator of one purpose."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:7], "big"))
