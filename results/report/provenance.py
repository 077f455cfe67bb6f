"""Where every number of a report comes from, what failed and what is missing, each as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from results.evidence import Evidence
from results.report.facts import Facts, TrialFact
from results.tables.model import NOTHING, Column, Entry, Table

TRIAL = Column("trial", is_number=False)
KEY = Column("key", is_number=False)
EPOCHS = Column("epochs")


def provenance(evidence: Evidence, facts: Facts) -> Table:
    """List every trial with what computed it, what of it is selected, and the command that repeats it.

    Long fingerprints stand once, in the notes, under the short names that the rows bear.
    """
    metric = evidence.spec.table.metric
    concluded = {str(row["key"]): row for row in evidence.concluded.to_dict("records")}
    prints = _numbered([str(concluded[trial.key]["fingerprint"]) for trial in facts.trials if trial.num_epochs])
    head = (
        TRIAL,
        Column("seed"),
        Column("state", is_number=False),
        EPOCHS,
        Column("selected epoch"),
        Column(metric.replace("_", " ")),
        Column("code version", is_number=False),
        Column("data hash", is_number=False),
        Column("fingerprint", is_number=False),
        KEY,
        Column("repeated by", is_number=False),
    )
    rows = []
    for trial in facts.trials:
        row = concluded[trial.key]
        print_text = str(row["fingerprint"]) if trial.num_epochs else ""
        rows.append(
            (
                _text(trial.label),
                _number(row["config.seed"], "d"),
                _text(trial.state),
                _epochs(trial, evidence.spec.epochs),
                _number(row["selected_epoch"], ".0f"),
                _number(row[metric], ".2f"),
                _text(str(row["code_version"])),
                _text(str(row["data_sha256"])),
                Entry(prints.get(print_text, NOTHING), print_text or None),
                _text(trial.key),
                _text(trial.repeat),
            )
        )
    notes = [f"{name}: {text.replace(';', ', ')}" for text, name in prints.items()]
    return Table("Every trial and what computed it", head, tuple(rows), tuple(notes))


def failures(facts: Facts) -> Table:
    """List each way in which each trial failed, and what became of the trial."""
    head = (
        TRIAL,
        Column("failure", is_number=False),
        Column("message", is_number=False),
        Column("times"),
        Column("node", is_number=False),
        Column("given up", is_number=False),
        Column("state now", is_number=False),
        KEY,
    )
    trials = facts.by_key
    rows = [
        (
            _text(trials[one.key].label),
            _text(one.failure),
            _text(one.message),
            _number(one.number, "d"),
            _text(one.node),
            _text("yes" if one.is_final else "no"),
            _text(trials[one.key].state),
            _text(one.key),
        )
        for one in facts.failures
    ]
    return Table("Trials whose process ended without the record that was due", head, tuple(rows), ())


def divergences(evidence: Evidence, facts: Facts) -> Table:
    """List the trials whose loss was not finite: a result, not a failure."""
    head = (TRIAL, EPOCHS, Column("message", is_number=False), KEY)
    rows = [
        (_text(trial.label), _epochs(trial, evidence.spec.epochs), _text(trial.message), _text(trial.key))
        for trial in facts.trials
        if trial.state == "diverged"
    ]
    return Table("Trials that diverged", head, tuple(rows), ())


def missing(evidence: Evidence, facts: Facts) -> Table:
    """List the trials for which something is left to do."""
    head = (TRIAL, Column("state", is_number=False), EPOCHS, KEY)
    rows = [
        (_text(trial.label), _text(trial.state), _epochs(trial, evidence.spec.epochs), _text(trial.key))
        for trial in facts.missing
    ]
    return Table("Trials without an answer", head, tuple(rows), ())


def _numbered(fingerprints: list[str]) -> Mapping[str, str]:
    """Name different fingerprints F1, F2, … in the order in which they come up."""
    return {text: f"F{place}" for place, text in enumerate(dict.fromkeys(fingerprints), start=1)}


def _epochs(trial: TrialFact, wanted: int) -> Entry:
    return Entry(f"{trial.num_epochs}/{wanted}", trial.num_epochs)


def _text(text: str) -> Entry:
    return Entry(text or NOTHING, text or None)


def _number(value: Any, form: str) -> Entry:
    if value is None or math.isnan(value):
        return Entry(NOTHING)
    return Entry(format(value, form), value)
