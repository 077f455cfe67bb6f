"""The artifacts of sweeps and trials in MLflow as bytes: tables in every form, figures, pictures, specs and configs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from html import escape

from orchestration import decisions
from orchestration.tables import stopped_early
from orchestration.wanted import Wanted
from results.evidence import Evidence
from results.figures import paper
from results.figures.model import Figure
from results.figures.options import FigureOptions
from results.figures.registry import FIGURES, build
from results.tables import build as build_table
from results.tables.render import render
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial

log = logging.getLogger(__name__)

DPI = 150
"""Sharp enough for a screen."""

TABLE_FORMATS = {"md": "markdown", "csv": "csv", "json": "json", "tex": "latex", "html": "html"}
PICTURES = {"learning-curve": "learning-curves", "gate-densities": "gate-densities"}
"""A trial's pictures and the figures that they are."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #1b1b1b; background: #fff; }}
table {{ border-collapse: collapse; }}
caption {{ text-align: left; font-weight: 600; padding-bottom: .5rem; }}
th, td {{ padding: .25rem .75rem; text-align: left; border-bottom: 1px solid #ddd; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
ul {{ color: #444; padding-left: 1.2rem; max-width: 60rem; }}
</style>
</head>
<body>
{table}</body>
</html>
"""


def files_of_sweep(wanted: Wanted, store: TrialStore, evidence: Evidence) -> dict[str, bytes]:
    """Return a sweep's artifacts: its table in every form, its spec, and the figures that its records allow.

    Args:
        wanted: the sweep.
        store: its trial store.
        evidence: what is recorded of it.
    """
    table = build_table(evidence, stopped=stopped_early(wanted, store))
    texts = {f"table.{ending}": render(table, name) for ending, name in TABLE_FORMATS.items()}
    texts["table.html"] = PAGE.format(title=escape(wanted.spec.name), table=texts["table.html"])
    figures = list(_figures(wanted, store, evidence))
    captions = "\n".join(f"## {figure.title}\n\n`{figure.name}.png`: {figure.caption}\n" for figure in figures)
    if figures:
        texts["figures/captions.md"] = captions
    return {
        **{name: text.encode() for name, text in texts.items()},
        f"{wanted.spec.name}.yaml": wanted.spec.text,
        **{f"figures/{figure.name}.png": paper.render(figure, "png", DPI) for figure in figures},
    }


def files_of_trial(evidence: Evidence, trial: Trial) -> dict[str, bytes]:
    """Return a trial's artifacts: its config, and its learning curve and gate densities as far as it has them.

    Args:
        evidence: what is recorded of a sweep that wants it.
        trial: one of the sweep's.
    """
    frame = evidence.frame[evidence.frame["key"] == trial.key]
    alone = Evidence(evidence.spec, [trial], frame)
    files = {"config.json": (json.dumps(trial.config.to_dict(), indent=2, sort_keys=True) + "\n").encode()}
    for name, kind in PICTURES.items():
        figure = _figure(kind, alone, FigureOptions())
        if figure is not None:
            files[f"{name}.png"] = paper.render(figure, "png", DPI)
    return files


def _figures(wanted: Wanted, store: TrialStore, evidence: Evidence) -> Iterator[Figure]:
    """Build the figures that the records allow, in the order of the catalogue."""
    options = FigureOptions()
    if wanted.spec.search is not None:
        from orchestration.search_figures import searched

        options = FigureOptions(searched=searched(wanted.spec, decisions.read(store.sweep(wanted.spec.name))))
    for name, kind in FIGURES.items():
        if kind.made_of == "records" or (kind.made_of == "searched" and options.searched is not None):
            figure = _figure(name, evidence, options)
            if figure is not None:
                yield figure


def _figure(name: str, evidence: Evidence, options: FigureOptions) -> Figure | None:
    """Build a figure; None where the records do not allow it. One that fails is a warning: the others are wanted."""
    try:
        return build(name, evidence, options)
    except InputError:
        return None
    except Exception as error:
        log.warning("MLflow gets no figure %s of %s: %s: %s", name, evidence.spec.name, type(error).__name__, error)
        return None
