"""The table of a sweep, or of the several sweeps that a definition names: read, built and rendered."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from orchestration.decisions import Stopped
from orchestration.gathering import gather
from orchestration.story import Course, Story
from orchestration.wanted import Wanted, chosen
from results.aggregate import AT_SELECTED_IF_THERE, METRICS_NEEDED
from results.evidence import Evidence
from results.frames import WATCHED, tidy
from results.tables.assemble import assemble
from results.tables.model import Table
from results.tables.render import render
from results.tables.view import View, of_spec
from selfish_core.trial_store import TrialStore

log = logging.getLogger(__name__)


def render_table(wanted: Wanted, store: TrialStore, tracking_uri: str | None, format_name: str) -> str:
    """Return a sweep's table, as its spec has it, in one of the formats.

    Args:
        wanted: the sweep.
        store: its trial store.
        tracking_uri: of MLflow; None where the records are to be taken.
        format_name: one of `results.tables.render.FORMATS`.
    """
    return render(make_table([wanted], of_spec(wanted.spec), store, tracking_uri), format_name)


def make_table(sweeps: Sequence[Wanted], view: View, store: TrialStore | None, tracking_uri: str | None) -> Table:
    """Build a table from what is recorded so far.

    Args:
        sweeps: whose trials it is made of, at least one.
        view: what to show of them.
        store: their trial store; None where there is none, and nothing is recorded.
        tracking_uri: of MLflow; None where the records are to be taken.
    """
    if store is None:
        return assemble([Evidence(wanted.spec, wanted.trials, tidy([])) for wanted in sweeps], view)
    evidence = []
    stopped: set[str] = set()
    for wanted in sweeps:
        trials = chosen(wanted, store).trials
        evidence.append(gather(wanted.spec, trials, store, tracking_uri, metrics=needed(view)))
        stopped.update(stopped_early(wanted, store))
    for warning in dict.fromkeys(warning for one in evidence for warning in one.warnings):
        log.warning("%s%s", "the table is " if warning.startswith("made ") else "", warning)
    return assemble(evidence, view, stopped)


def needed(view: View) -> frozenset[str]:
    """Return the recorded metrics that a table is made of; the others need not be read."""
    return frozenset((*METRICS_NEEDED, *(name for name in AT_SELECTED_IF_THERE if name in view.metrics))) & {*WATCHED}


def stopped_early(wanted: Wanted, store: TrialStore) -> frozenset[str]:
    """Return the content keys of a sweep's trials that early stopping has given up, and nobody wants to go on."""
    if wanted.spec.early_stopping is None:
        return frozenset()
    story = Story(store.sweep(wanted.spec.name))
    story.read_on()
    return frozenset(key for key, last in Course.of(story.events).trials.items() if isinstance(last, Stopped))
