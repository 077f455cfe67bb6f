"""The tables and figures of a sweep as files: what an export carries along for people who have no Selfish at hand."""

from __future__ import annotations

from orchestration.tables import stopped_early
from orchestration.wanted import Wanted
from results.evidence import gather
from results.figures import paper
from results.figures.registry import FIGURES, build
from results.tables.assemble import assemble
from results.tables.render import render
from results.tables.view import of_spec
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore

TABLES = {"txt": "text", "md": "markdown"}
"""Ending of a table's file -> its format."""


def pictures(wanted: Wanted, store: TrialStore) -> dict[str, bytes]:
    """Return file name -> bytes: the sweep's table, and as PNG every figure that its records alone allow.

    Args:
        wanted: the sweep, with the trials that its search has chosen.
        store: its trial store.
    """
    evidence = gather(wanted.spec, wanted.trials, store, None)
    table = assemble([evidence], of_spec(wanted.spec), stopped_early(wanted, store))
    name = wanted.spec.name
    found = {f"{name}.{ending}": render(table, format_name).encode() for ending, format_name in TABLES.items()}
    for figure, kind in FIGURES.items():
        if kind.made_of == "records":
            try:
                found[f"{name}-{figure}.png"] = paper.render(build(figure, evidence), "png")
            except InputError:  # the sweep has not what it shows
                continue
    return found
