"""Two trials side by side: where their configs differ, what computed them, and their curves, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestration.terminal import columns, count
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError, unknown_name
from selfish_core.records import Record
from selfish_core.trial_store import StoredTrial

SHOWN = ("val_perplexity", "test_perplexity")
"""Metrics that are compared unless others are asked for."""

NOTHING = "–"


def diff(first: StoredTrial, second: StoredTrial, metrics: Sequence[str] = ()) -> dict[str, Any]:
    """Compare two trials; JSON-able.

    Args:
        first: stored.
        second: stored, there or elsewhere.
        metrics: names of metrics whose curves are compared; `SHOWN` by default.

    Raises:
        InputError: when neither trial has a metric; lists those that there are.
        CorruptFileError: when a config is damaged.
    """
    trials = (first, second)
    configs = [_config(trial) for trial in trials]
    records = [trial.records() for trial in trials]
    chosen = tuple(metrics) or SHOWN
    known = _names(records[0]) | _names(records[1])
    for name in chosen:
        if name not in known and (metrics or known):
            raise InputError(unknown_name("metric", name, known, of="these trials"))
    fields = sorted({*configs[0], *configs[1]})
    different = [name for name in fields if configs[0].get(name) != configs[1].get(name)]
    return {
        "keys": [trial.key for trial in trials],
        "config": {name: [config.get(name) for config in configs] for name in different},
        "num_fields_equal": len(fields) - len(different),
        "provenance": _provenance(records),
        "num_epochs": [len(own) for own in records],
        "outcomes": [own[-1].outcome if own else None for own in records],
        "first_different_epoch": first_different_epoch(*records),
        "metrics_of_one": [sorted(_names(own) - _names(other)) for own, other in (records, reversed(records))],
        "curves": {name: _curve(name, records) for name in chosen},
    }


def first_different_epoch(first: Sequence[Record], second: Sequence[Record]) -> int | None:
    """Return the first epoch of which both have a record, in whose outcome, message or common metrics they differ."""
    common = _names(first) & _names(second)
    for one, other in zip(first, second, strict=False):
        if _science(one, common) != _science(other, common):
            return one.epoch
    return None


def as_text(data: Mapping[str, Any]) -> str:
    """Lay a comparison out for people."""
    head = ["", *(f"{letter} {key[:12]}" for letter, key in zip("AB", data["keys"], strict=True))]
    equal = f"{count(data['num_fields_equal'], 'field')} of the config {_agree(data['num_fields_equal'])}"
    lines = [equal]
    if data["config"]:
        lines += ["", columns([head, *_rows(data["config"])])]
    lines += ["", columns([head, *_rows(data["provenance"])])]
    for name, points in data["curves"].items():
        rows = [[str(point["epoch"]), *map(_text, point["values"]), _signed(point["difference"])] for point in points]
        heading = ["epoch", f"{name} of A", "of B", "B − A"]
        lines += ["", columns([heading, *rows], right=frozenset(range(4)))]
    return "\n".join([*lines, "", *_verdict(data)])


def _verdict(data: Mapping[str, Any]) -> list[str]:
    common, epoch = min(data["num_epochs"]), data["first_different_epoch"]
    only = [
        f"only trial {letter} has {', '.join(names)}"
        for letter, names in zip("AB", data["metrics_of_one"], strict=True)
        if names and common
    ]
    if not common:
        return ["no epoch is recorded of both"]
    what = "what both recorded" if only else "all that is recorded"
    if epoch is None:
        return [*only, f"{what} of the {count(common, 'common epoch')} is the same, bit by bit"]
    return [*only, f"{what} differs from epoch {epoch} on"]


def _agree(number: int) -> str:
    return "agrees" if number == 1 else "agree"


def _provenance(records: Sequence[Sequence[Record]]) -> dict[str, list[str]]:
    """Return what computed each trial: code version and fingerprint, name by name."""
    names = {name for own in records for record in own for name in record.provenance.fingerprint}
    told = {"code version": [_several(record.provenance.code_version for record in own) for own in records]}
    for name in sorted(names):
        told[name] = [_several(record.provenance.fingerprint.get(name, NOTHING) for record in own) for own in records]
    return told


def _several(values: Any) -> str:
    return ", ".join(dict.fromkeys(values)) or NOTHING


def _curve(name: str, records: Sequence[Sequence[Record]]) -> list[dict[str, Any]]:
    points = []
    for place in range(max(map(len, records))):
        values = [own[place].metrics.get(name) if place < len(own) else None for own in records]
        if any(value is not None for value in values):
            first, second = values
            difference = None if first is None or second is None else second - first
            points.append({"epoch": place + 1, "values": values, "difference": difference})
    return points


def _science(record: Record, names: Collection[str]) -> dict[str, Any]:
    """Return what a record shows, without the trial's key and other metrics than these."""
    science: dict[str, Any] = json.loads(record.science())
    metrics = {name: value for name, value in science["metrics"].items() if name in names}
    return {"outcome": science["outcome"], "message": science["message"], "metrics": metrics}


def _names(records: Iterable[Record]) -> set[str]:
    """Return the metrics that any of the records has."""
    return {name for record in records for name in record.metrics}


def _config(trial: StoredTrial) -> dict[str, Any]:
    """Return a trial's fields, those too that are younger than the trial; as they are where this version reads none."""
    config = trial.config()
    try:
        return dict(TrialConfig.from_dict(config).flat())
    except ValidationError:
        return _flat("", config)


def _flat(prefix: str, data: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}{name}.", value)
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat


def _rows(pairs: Mapping[str, Sequence[Any]]) -> list[list[str]]:
    return [[name, *map(_text, values)] for name, values in pairs.items()]


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.6g}"
