"""Stored trials, back as tidy frames, tables and figures.

In a notebook:

    import results, results.tables

    frame = results.load("quickstart")
    frame.groupby(["method", "sparsity_level", "seed"])["val_perplexity"].min()
    results.tables.build(results.gather("quickstart"))
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from results.evidence import Evidence


def load(spec: str | Path, store: str | Path | None = None, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return all that is recorded of a sweep as one tidy frame: see `results.notebook.load`, which does it."""
    from results import notebook

    return notebook.load(spec, store, tracking_uri)


def gather(spec: str | Path, store: str | Path | None = None, tracking_uri: str | None = None) -> Evidence:
    """Return all that is recorded of a sweep, for tables and figures: see `results.notebook.gather`, which does it."""
    from results import notebook

    return notebook.gather(spec, store, tracking_uri)
