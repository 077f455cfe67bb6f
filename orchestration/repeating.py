"""The command that computes a stored trial once more, as a report and `selfish explain` print it."""

from __future__ import annotations

FOLDER = "FOLDER"
"""Stands in the command for a new trial store, so that what is stored stays as it is."""


def repeat_command(spec: str, key: str, *, is_searched: bool) -> str:
    """Return the command; of a search, whose points its own trial store alone knows, one that answers the trial there.

    Args:
        spec: how a command names it, quoted for a shell.
        key: content key of the trial, or its first digits.
        is_searched: whether the sweep has a search.
    """
    if is_searched:
        return f"selfish run {spec} --rerun {key}"
    return f"selfish train {spec} --only {key} --store {FOLDER}"
