"""What computed a number: the version of the scientific code, and the machine's fingerprint."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from selfish_core.source_hash import hash_sources

SCIENCE = ("accounting.py", "catalogue", "data", "models", "optim", "sparsity", "training")
"""The files and folders of `selfish_core` on which a trial's numbers depend."""


@cache
def code_version() -> str:
    """Hash the scientific code: 12 hex digits over its syntax trees, so comments and layout do not count."""
    here = Path(__file__).parent
    places = [[here / name] if name.endswith(".py") else sorted((here / name).rglob("*.py")) for name in SCIENCE]
    return hash_sources((path.relative_to(here).as_posix(), path) for place in places for path in place)[:12]
