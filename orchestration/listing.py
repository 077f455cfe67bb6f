"""What the trial store holds, as plain data and as text: all of it in short, or one trial in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestration.terminal import columns, count
from orchestration.wanted import load_saved
from selfish_core.errors import InputError, StoreError, shown, unknown_name
from selfish_core.records import Record
from selfish_core.trial_store import StoredSweep, TrialStore

HEAD = ("method", "architecture.name", "corpus.name", "sparsity.level", "seed")
"""Fields of a config by which people know a trial."""

SHOWN = ("train_perplexity", "val_perplexity", "test_perplexity", "sparsity", "is_averaging")
"""Metrics that `show` prints of each epoch; `--json` has all."""


def overview(store: TrialStore) -> dict[str, Any]:
    """Return the sweeps and the trials of a store, JSON-able."""
    trials = {key: _summary(store, key) for key in _keys(store)}
    return {
        "store": store.place,
        "sweeps": [_sweep_summary(store, name, trials) for name in store.sweep_names()],
        "trials": list(trials.values()),
    }


def overview_text(data: Mapping[str, Any]) -> str:
    """Lay an overview out for people."""
    lines = [f"{data['store']}: {count(len(data['sweeps']), 'sweep')}, {count(len(data['trials']), 'trial')}"]
    if data["sweeps"]:
        rows = [[sweep["name"], _sweep_state(sweep), sweep["description"]] for sweep in data["sweeps"]]
        lines += ["", columns([["sweep", "trials over", ""], *rows])]
    if data["trials"]:
        names = [name.partition(".")[0] for name in HEAD]
        rows = [
            [
                trial["key"][:8],
                *(_text(trial[name]) for name in names),
                str(trial["num_epochs"]),
                _text(trial["val_perplexity"]),
            ]
            for trial in data["trials"]
        ]
        lines += ["", columns([["key", *names, "epochs", "val perplexity"], *rows], right=frozenset({6, 7}))]
    return "\n".join(lines)


def find_key(store: TrialStore, prefix: str) -> str:
    """Return the one key that starts like this.

    Raises:
        InputError: when none does, or several do.
    """
    keys = [key for key in _keys(store) if key.startswith(prefix)]
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise InputError(f"no trial in {store.place} has a key that starts with {prefix!r}: `selfish list` shows them")
    raise InputError(
        f"{len(keys)} trials have a key that starts with {prefix!r}: {', '.join(key[:12] for key in keys[:4])}…"
    )


def find_sweep(store: TrialStore, name: str) -> StoredSweep:
    """Return a stored sweep.

    Raises:
        InputError: when there is none of this name; lists the known ones.
    """
    names = store.sweep_names()
    if not names:
        raise InputError(f"there is no sweep in {store.place}: `selfish run SPEC` starts one")
    if name not in names:
        raise InputError(unknown_name("sweep", name, names, of=store.place))
    return store.sweep(name)


def find_member(sweep: str, keys: Iterable[str], prefix: str) -> str:
    """Return the one trial of a sweep whose key starts like this.

    Args:
        sweep: its name, for the message.
        keys: content keys of all its trials.
        prefix: how a key starts.

    Raises:
        InputError: when none does, or several do.
    """
    found = [key for key in keys if key.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    what = f"a key that starts with {shown(prefix)}"
    if not found:
        raise InputError(f"no trial of sweep {sweep!r} has {what}: `selfish status {sweep}` shows them")
    raise InputError(f"{len(found)} trials of sweep {sweep!r} have {what}: give more of it")


def details(store: TrialStore, key: str) -> dict[str, Any]:
    """Return all that is known of a trial, JSON-able.

    Raises:
        CorruptFileError: when its config is damaged.
    """
    trial = store.trial(key)
    return {
        "key": key,
        "config": trial.config(),
        "attempts": [attempt.model_dump(mode="json", exclude={"format", "key"}) for attempt in trial.attempts()],
        "records": [record.model_dump(mode="json", exclude={"format", "key"}) for record in trial.records()],
        "problems": trial.problems(),
    }


def details_text(data: Mapping[str, Any]) -> str:
    """Lay a trial out for people."""
    records = data["records"]
    lines = [f"trial {data['key']}", "", *_flat("", data["config"]), ""]
    lines += [f"attempt {attempt['attempt']}: {_attempt_text(attempt)}" for attempt in data["attempts"]]
    if records:
        head = ["epoch", "outcome", *SHOWN, "tokens/s", "attempt"]
        lines += ["", columns([head, *(_record_row(record) for record in records)], right=frozenset(range(2, 9)))]
        lines += [f"epoch {record['epoch']}: {record['message']}" for record in records if record["message"]]
        lines += [f"epoch {record['epoch']}: {event}" for record in records for event in record["events"]]
        lines += ["", *_provenance_lines(records)]
    lines += [f"problem: {problem}" for problem in data["problems"]]
    return "\n".join(lines)


def _keys(store: TrialStore) -> list[str]:
    return store.keys()


def _summary(store: TrialStore, key: str) -> dict[str, Any]:
    trial = store.trial(key)
    try:
        config, problem = trial.config(), ""
    except StoreError as error:
        config, problem = {}, str(error)
    records = trial.records()
    last: Record | None = records[-1] if records else None
    named = {name.partition(".")[0]: _at(config, name) for name in HEAD}
    return {
        "key": key,
        **named,
        "num_epochs": len(records),
        "is_diverged": last is not None and last.outcome == "diverged",
        "val_perplexity": last.metrics.get("val_perplexity") if last else None,
        "problem": problem,
    }


def _sweep_summary(store: TrialStore, name: str, trials: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    wanted = load_saved(store, name)
    if wanted is None:
        return {"name": name, "description": "", "num_trials": None, "num_over": None, "epochs": None}
    found = [trials.get(trial.key, {}) for trial in wanted.trials]
    num_over = sum(bool(one.get("is_diverged")) or one.get("num_epochs", 0) >= wanted.spec.epochs for one in found)
    return {
        "name": name,
        "description": wanted.spec.description,
        "num_trials": len(found),
        "num_over": num_over,
        "epochs": wanted.spec.epochs,
    }


def _sweep_state(sweep: Mapping[str, Any]) -> str:
    return "its spec cannot be read" if sweep["num_trials"] is None else f"{sweep['num_over']}/{sweep['num_trials']}"


def _at(config: Mapping[str, Any], name: str) -> Any:
    section, _, field = name.partition(".")
    part = config.get(section)
    return part.get(field) if field and isinstance(part, Mapping) else part


def _flat(prefix: str, data: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            lines += _flat(f"{prefix}{name}.", value)
        elif value is not None:
            lines.append(columns([[f"{prefix}{name}:", _text(value)]]))
    return lines


def _attempt_text(attempt: Mapping[str, Any]) -> str:
    origin = attempt.get("goes_on_from")
    start = f"from epoch {origin['epoch']} of attempt {origin['attempt']}" if origin else "from the start"
    return f"{start}, {attempt.get('reason', '')}, pid {attempt.get('pid')} on {attempt.get('host')}"


def _record_row(record: Mapping[str, Any]) -> list[str]:
    metrics = [_text(record["metrics"].get(name)) for name in SHOWN]
    speed = f"{record['timing']['tokens_per_second']:,.0f}"
    return [str(record["epoch"]), record["outcome"], *metrics, speed, str(record["attempt"])]


def _provenance_lines(records: list[Mapping[str, Any]]) -> list[str]:
    seen = {str(record["provenance"]): record["provenance"] for record in records}
    prints = [", ".join(f"{name} {value}" for name, value in one["fingerprint"].items()) for one in seen.values()]
    return [
        f"computed by code {one['code_version']} on {text}" for one, text in zip(seen.values(), prints, strict=True)
    ]


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
