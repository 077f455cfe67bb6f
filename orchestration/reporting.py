"""A sweep's report: its records, and what the sweep decided about its trials, brought together."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestration import decisions, mask_distances
from orchestration.decisions import Ended, Entry, Failed, Left, Running, Started
from orchestration.gathering import gather
from orchestration.repeating import repeat_command
from orchestration.standing import Standing
from orchestration.states import Past
from orchestration.wanted import Wanted, chosen
from results.evidence import Evidence
from results.figures.options import FigureOptions
from results.figures.registry import FIGURES
from results.report.drawing import draw
from results.report.facts import Facts, FailureFact, TrialFact
from results.report.page import build
from results.tables import build as build_table
from results.tables import definitions
from results.tables.model import Table
from selfish_core.errors import StoreError
from selfish_core.trial_store import StoredSweep, TrialStore
from sweeps.spec import Spec, shipped

KEY_DIGITS = 12
"""Of a content key in a command."""

MAX_COMPARED = 30
"""Trials whose masks a report compares, each with each; `selfish figure topology-matrix` compares any number."""

MIN_GRID = 3
"""Columns of a grid that says more than a list: one for the rows' names, and two of cells."""

MADE_OF = ("searched", "distances")
"""What figures are made of besides records."""


def render_report(wanted: Wanted, store: TrialStore, tracking_uri: str | None) -> tuple[str, tuple[str, ...]]:
    """Return a sweep's report as HTML, and what is worth a warning.

    Args:
        wanted: the sweep.
        store: its trial store.
        tracking_uri: of MLflow; None where the records are to be taken.
    """
    wanted = chosen(wanted, store)
    evidence = gather(wanted.spec, wanted.trials, store, tracking_uri)
    facts = gather_facts(wanted, store, evidence)
    figures = draw(evidence, figure_options(wanted, store, decisions.read(store.sweep(wanted.spec.name))))
    return build(evidence, tables(evidence, facts.stopped), figures, facts), evidence.warnings


def tables(evidence: Evidence, stopped: Collection[str]) -> list[Table]:
    """Build the tables of a sweep: those by name that are made of it alone, its own, and that as a grid.

    Args:
        evidence: what is recorded of it.
        stopped: content keys of trials that early stopping gave up.
    """
    shown, name = evidence.spec.table, shipped_name(evidence.spec)
    found = [build_table(evidence, one, stopped=stopped) for one in definitions().values() if one.sweeps == (name,)]
    own = replace(build_table(evidence, stopped=stopped), title=f"Every {shown.rows} and {shown.columns}")
    grid = build_table(evidence, layout="grid", stopped=stopped)
    if len(grid.columns) < MIN_GRID:
        return [*found, own]
    metric = shown.metric.replace("_", " ").capitalize()
    notes = tuple(note for note in grid.notes if note not in own.notes)
    return [*found, own, replace(grid, title=f"{metric} by {shown.rows} and {shown.columns}", notes=notes)]


def gather_facts(wanted: Wanted, store: TrialStore, evidence: Evidence) -> Facts:
    """Tell where trials stand, what failed, and which commands go on.

    Args:
        wanted: the sweep, with the trials that its search has chosen.
        store: its trial store.
        evidence: what is recorded of them.
    """
    name = wanted.spec.name
    spec = shlex.quote(shipped_name(wanted.spec) or wanted.spec.path.name)
    past = Past.read(store, name)
    running = _running(past.entries) if _is_owned(store.sweep(name)) else frozenset()
    recorded = {str(row["key"]): row for row in evidence.concluded.to_dict("records")}
    labels, search = wanted.labels, wanted.spec.search
    trials = tuple(
        TrialFact(
            key=trial.key,
            label=labels[trial.key],
            state=_state(trial.key, recorded[trial.key], past, running),
            num_epochs=int(recorded[trial.key]["num_epochs"]),
            message=_divergence(store, recorded[trial.key]),
            repeat=repeat_command(spec, trial.key[:KEY_DIGITS], is_searched=search is not None),
        )
        for trial in wanted.trials
    )
    num_wanted = search.num_trials * len(wanted.spec.seeds) if search is not None else 0
    return Facts(
        trials=trials,
        failures=_failures(past.entries, labels),
        run_command=f"selfish run {spec}",
        logs_command=f"selfish logs {name} KEY",
        num_to_choose=max(0, num_wanted - len(trials)),
    )


def figure_options(wanted: Wanted, store: TrialStore, entries: Sequence[Entry]) -> dict[str, FigureOptions]:
    """Return what some figures are made of besides the records: points of a search, and masks of few trials.

    Args:
        wanted: the sweep.
        store: its trial store.
        entries: what the sweep decided.
    """
    found: dict[str, FigureOptions] = {}
    names = {made_of: [name for name, kind in FIGURES.items() if kind.made_of == made_of] for made_of in MADE_OF}
    if wanted.spec.search is not None:
        from orchestration.search_figures import searched  # and with it Optuna

        points = FigureOptions(searched=searched(wanted.spec, entries))
        found |= dict.fromkeys(names["searched"], points)
    if len(wanted.trials) <= MAX_COMPARED and any(_has_checkpoint(store, trial.key) for trial in wanted.trials):
        masks = FigureOptions(distances=mask_distances.between(wanted.trials, store, wanted.spec.epochs))
        found |= dict.fromkeys(names["distances"], masks)
    return found


def _has_checkpoint(store: TrialStore, key: str) -> bool:
    trial = store.trial(key)
    return trial.exists() and bool(trial.checkpoints())


def shipped_name(spec: Spec) -> str | None:
    """Return the name of a spec that comes with Selfish; None of any other."""
    return {path.resolve(): name for name, path in shipped().items()}.get(spec.path.resolve())


def _state(key: str, row: Mapping[Hashable, Any], past: Past, running: frozenset[str]) -> str:
    """Return a trial's state: what is recorded, else what the sweep decided or was asked."""
    if row["state"] in ("answered", "diverged"):
        return str(row["state"])
    return "running" if key in running else past.stand(key, Standing(int(row["num_epochs"]))).state


def _divergence(store: TrialStore, row: Mapping[Hashable, Any]) -> str:
    if row["state"] != "diverged":
        return ""
    records = store.trial(str(row["key"])).records()
    return records[-1].message if records else ""


def _is_owned(sweep: StoredSweep) -> bool:
    """Whether a process runs the sweep; not where that cannot be told, in a store that can only be read."""
    try:
        return sweep.is_owned()
    except StoreError:
        return False


def _running(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the trials that were handed to a worker and have not come back."""
    running: set[str] = set()
    for _, decision in entries:
        if isinstance(decision, Started | Ended):
            running.clear()
        elif isinstance(decision, Running):
            running.add(decision.trial)
        elif isinstance(decision, Left | Failed):
            running.discard(decision.trial)
    return frozenset(running)


def _failures(entries: Iterable[Entry], labels: Mapping[str, str]) -> tuple[FailureFact, ...]:
    """Count the failures of the wanted trials, in any run, in the order in which they first came up."""
    found: dict[tuple[str, str, str, str], list[bool]] = {}
    for _, decision in entries:
        if isinstance(decision, Failed) and decision.trial in labels:
            which = (decision.trial, decision.failure, decision.message, decision.node)
            found.setdefault(which, []).append(decision.is_final)
    return tuple(FailureFact(*which, number=len(ends), is_final=any(ends)) for which, ends in found.items())
