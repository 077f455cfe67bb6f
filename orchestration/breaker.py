"""The circuit breaker: too large a share of failures stops a node, or the whole sweep, before more is wasted."""

from __future__ import annotations

from collections import Counter

from orchestration.decisions import Broken

MIN_ENDS = 8
"""Ends of trials, good or bad, before a share means anything."""


class Breaker:
    """Count how trials end, by node.

    Args:
        max_failed_fraction: share of failures among the ends that is still borne, in (0, 1].
    """

    def __init__(self, max_failed_fraction: float) -> None:
        self._limit = max_failed_fraction
        self._ended: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._stopped: set[str] = set()

    @property
    def stopped_nodes(self) -> frozenset[str]:
        """Nodes that take no more trials."""
        return frozenset(self._stopped)

    def count(self, node: str, *, is_failure: bool) -> Broken | None:
        """Take note of an end and say what it breaks, if anything.

        A node is stopped alone while another one works; else the sweep is.

        Args:
            node: where the trial ran; empty where unknown.
            is_failure: whether it ended without the record that was due.
        """
        self._ended[node] += 1
        self._failed[node] += is_failure
        if not is_failure or node in self._stopped:
            return None
        others_work = any(
            self._ended[other] > self._failed[other] for other in self._ended if other not in (node, *self._stopped)
        )
        if node and others_work and self._is_beyond(self._failed[node], self._ended[node]):
            self._stopped.add(node)
            return self._broken(node, self._failed[node], self._ended[node])
        if not others_work and self._is_beyond(self._failed.total(), self._ended.total()):
            return self._broken(None, self._failed.total(), self._ended.total())
        return None

    def _is_beyond(self, num_failed: int, num_ended: int) -> bool:
        return num_ended >= MIN_ENDS and num_failed > self._limit * num_ended

    def _broken(self, node: str | None, num_failed: int, num_ended: int) -> Broken:
        what = f"node {node} takes no more trials" if node else "the sweep is stopped"
        share = f"{num_failed} of {num_ended} ends were failures, more than {self._limit:.0%}"
        worst = "" if node else self._worst()
        return Broken(node=node, num_failed=num_failed, num_ended=num_ended, message=f"{what}: {share}{worst}")

    def _worst(self) -> str:
        named = [(count, node) for node, count in self._failed.items() if node and count]
        return f", {max(named)[0]} of them on {max(named)[1]}" if named else ""
