"""A cell explained, as lines for people: the mean and its rule, the trials, what computed them, how to repeat one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestration.explain import number, title
from orchestration.repeating import FOLDER
from orchestration.terminal import columns, count

ORIGINS = (("code version", "code_version"), ("data", "data_sha256"), ("computed on", "fingerprint"))
"""What every trial of a cell should share: how it is called, and its name in a trial."""


def as_text(data: Mapping[str, Any]) -> str:
    """Lay out what `explain` returns."""
    metric, trials = data["metric"], data["trials"]
    lines = [f"{data['table']}: {data['cell']}", "", *_mean_lines(data), f"Selection: {data['selection_rule']}.", ""]
    head = ["seed", "key", "state", "epochs", "selected", title(metric)]
    rows = [
        [
            str(trial["seed"]),
            trial["key"],
            trial["state"],
            f"{trial['num_epochs']}/{trial['epochs']}",
            "–" if trial["selected_epoch"] is None else str(trial["selected_epoch"]),
            number(metric, trial["value"]),
        ]
        for trial in trials
    ]
    lines += [columns([head, *rows], right=frozenset({0, 3, 4, 5})), ""]
    for words, name in ORIGINS:
        lines += _origin_lines(words, name, trials)
    if data["pooled"]:
        lines.append(f"note: the trials differ in {', '.join(data['pooled'])} as well as in seed")
    if data["mixed"]:
        lines.append(f"note: this cell mixes {' and '.join(data['mixed'])}")
    return "\n".join([*lines, *_repeat_lines(trials)])


def _mean_lines(data: Mapping[str, Any]) -> list[str]:
    metric = data["metric"]
    name = title(metric)
    if not data["n"]:
        return [f"{name}: {data['text']}; a mean is shown when every trial has finished"]
    values = ", ".join(number(metric, trial["value"]) for trial in data["trials"] if trial["is_counted"])
    if data["n"] == 1:
        return [f"{name} {data['text']}: the one value there is, so there is no deviation"]
    return [f"{name} {data['text']}: mean and sample standard deviation (n − 1 = {data['n'] - 1}) of {values}"]


def _origin_lines(words: str, name: str, trials: list[dict[str, Any]]) -> list[str]:
    """Say what all trials share in one line, else one line for each that there is."""
    seeds: dict[str, list[str]] = {}
    for trial in trials:
        told = _told(name, trial)
        if told:
            seeds.setdefault(told, []).append(str(trial["seed"]))
    if len(seeds) == 1:
        return [f"{words}: {next(iter(seeds))}"]
    return [f"{words} (seed {', '.join(own)}): {told}" for told, own in seeds.items()]


def _told(name: str, trial: Mapping[str, Any]) -> str:
    value = str(trial[name])
    if name == "data_sha256":
        return f"{trial['corpus']} {value}"
    return value.replace(";", ", ").replace("=", " ") if name == "fingerprint" else value


def _repeat_lines(trials: list[dict[str, Any]]) -> list[str]:
    recorded = [trial for trial in trials if trial["num_epochs"]]
    if not recorded:
        return ["nothing is recorded of it yet: `selfish run` trains what is missing"]
    key, command = recorded[0]["key"], recorded[0]["repeat"]
    others = f" ({count(len(recorded) - 1, 'other')} likewise)" if recorded[1:] else ""
    if not command.endswith(FOLDER):
        return [
            f"repeat one{others}: {command}",
            "  it answers the trial anew; the old answer stays in the trial store",
        ]
    compared = f"selfish diff {key} {key} --other-store {FOLDER}"
    return [
        f"repeat one{others}: {command}",
        f"compare it: {compared}",
        "  it trains in a trial store of its own; the same code, data and machine give the same bits",
    ]
