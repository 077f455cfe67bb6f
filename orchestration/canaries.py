"""Canaries: a few steps of each architecture before its trials, to find a bug early and to measure memory."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

MIN_TRIALS = 8
"""Missing trials from which a canary is worth its time."""

USABLE_MEMORY = 0.9
"""Share of a device's memory that trials beside each other may fill."""

MOST_BESIDE = 20
"""Trials on one device, however small."""

MAX_FLIGHTS = 3
"""Starts of one canary whose node is lost each time."""


def group_of(config: Mapping[str, Any]) -> str:
    """Return what trials that one canary speaks for have in common: architecture, corpus and batches."""
    return json.dumps([config["architecture"], config["corpus"], config["training"]], sort_keys=True)


def share_of_device(peak_bytes: int, device_bytes: int) -> float:
    """Return the share of one device that a trial needs, so that a whole number of them fits beside each other.

    >>> share_of_device(10, 100), share_of_device(30, 100), share_of_device(95, 100), share_of_device(0, 100)
    (0.1111, 0.3333, 1.0, 0.05)
    """
    num_beside = min(MOST_BESIDE, int(USABLE_MEMORY * device_bytes // max(peak_bytes, 1)))
    return math.floor(10_000 / max(1, num_beside)) / 10_000


class Canaries:
    """Which groups of trials still wait for their canary, and what the others measured.

    Args:
        groups: content key -> group, of the trials that are missing; without any, none flies.
        is_packed: whether the measured memory decides which share of a device a trial gets.
    """

    def __init__(self, groups: Mapping[str, str], *, is_packed: bool = False) -> None:
        self.is_packed = is_packed
        self._groups = groups
        self._open: dict[str, str] = {}
        for key, group in groups.items():
            self._open.setdefault(group, key)
        self._flights: Counter[str] = Counter()
        self._flying: set[str] = set()
        self._shares: dict[str, float] = {}

    @property
    def is_flying(self) -> bool:
        """Whether any canary is under way."""
        return bool(self._flying)

    def next(self) -> str | None:
        """Return the trial that lends its config to the next canary; None while none is to start."""
        for group, key in self._open.items():
            if group not in self._flying:
                self._flying.add(group)
                self._flights[group] += 1
                return key
        return None

    def is_waited_for(self, key: str) -> bool:
        """Whether a trial waits for its group's canary."""
        return self._groups.get(key) in self._open

    def landed(self, key: str, share: float | None) -> None:
        """Let a group's trials go.

        Args:
            key: of the trial that lent its config.
            share: of a device, that each trial of the group gets; None for what the spec says.
        """
        group = self._groups[key]
        self._open.pop(group, None)
        self._flying.discard(group)
        if share is not None:
            self._shares[group] = share

    def again(self, key: str) -> bool:
        """Let a group's canary fly anew, for its node was lost, and say whether it may."""
        group = self._groups[key]
        if self._flights[group] >= MAX_FLIGHTS:
            return False
        self._flying.discard(group)
        return True

    def share(self, key: str) -> float | None:
        """Return the measured share of a device for a trial."""
        return self._shares.get(self._groups.get(key, ""))

    def keys_beside(self, key: str) -> list[str]:
        """Return the trials that a canary speaks for, the one that lent its config among them."""
        return [other for other, group in self._groups.items() if group == self._groups[key]]
