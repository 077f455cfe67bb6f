"""`selfish gc`: which checkpoints of answered trials go, by what their sweeps keep; with `--yes` they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.options import JsonOption, StoreOption, read_settings

if TYPE_CHECKING:
    from orchestration.retention import Leaving
    from selfish_core.trial_store import TrialStore
    from sweeps.sections import Keep

MAX_ROWS = 200
"""Trials that are shown one a line; JSON has them all."""


def gc(
    sweep: Annotated[str | None, typer.Argument(metavar="[SWEEP]", help="Its name; all sweeps by default.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="KEY=VALUE", help="In place of the spec's `keep`, e.g. finished=best_of_sweep."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Free space: remove checkpoints of answered trials that no sweep keeps; records are never touched."""
    from orchestration import retention, wanted
    from orchestration.terminal import answer, answer_json, say
    from selfish_core.errors import InputError, unknown_name

    if dry_run and yes:
        raise InputError("--dry-run and --yes exclude each other: name one")
    found = wanted.require_store(read_settings(store=store))
    names = found.sweep_names()
    if sweep is not None and sweep not in names:
        raise InputError(unknown_name("sweep", sweep, names))
    chosen = names if sweep is None else [sweep]
    change = _change(keep or [], chosen)
    if yes:
        leaving, notes = _remove(found, chosen, change)
    else:
        policies = retention.policies(found, change)
        free = retention.Free(found, policies)
        leaving = list(retention.Keeper(found, policies).leaving(chosen, free))
        notes = [f"sweep {name!r} is running: the trials that it wants are left alone" for name in free.live]
    if as_json:
        answer_json(_as_json(leaving, is_removed=yes))
    else:
        answer(_as_text(leaving, is_removed=yes))
    for note in notes:
        say(f"note: {note}")
    if leaving and not yes:
        say("nothing was removed; `selfish gc … --yes` removes it")


def _change(given: Sequence[str], chosen: Sequence[str]) -> Callable[[str, Keep], Keep]:
    """Return how the policies of the chosen sweeps change; those of the others hold as they are.

    Raises:
        InputError: for what is no `KEY=VALUE` of a policy.
    """
    values = dict(_value(text) for text in given)

    def change(name: str, keep: Keep) -> Keep:
        return keep.model_copy(update=values) if name in chosen else keep

    return change


def _value(text: str) -> tuple[str, str | int | bool]:
    """Read `KEY=VALUE`."""
    from pydantic import ValidationError

    from selfish_core.errors import InputError, unknown_name
    from selfish_core.wording import allowed
    from sweeps.sections import Keep

    name, _, given = text.partition("=")
    if name not in Keep.model_fields:
        raise InputError(f"--keep {text}: {unknown_name('key', name, Keep.model_fields)}")
    value = {"true": True, "false": False}.get(given, int(given) if given.isdecimal() else given)
    try:
        Keep.model_validate({name: value})
    except ValidationError:
        raise InputError(f"--keep {name} must be {allowed(Keep, name)}, got {given!r}") from None
    return name, value


def _remove(
    store: TrialStore, chosen: Sequence[str], change: Callable[[str, Keep], Keep]
) -> tuple[list[Leaving], list[str]]:
    """Own one sweep after another, hold its trials, and remove what goes of those that nobody else runs."""
    from orchestration import retention
    from selfish_core.errors import OwnedElsewhereError

    removed, notes = [], []
    for name in chosen:
        try:
            with store.sweep(name).owned():
                policies = retention.policies(store, change)
                held = store.hold(name, [key for policy in policies if policy.sweep == name for key in policy.labels])
                free = retention.Free(store, policies, but=name, held=held)
                for leaving in retention.Keeper(store, policies).leaving([name], free):
                    retention.remove(store, leaving)
                    removed.append(leaving)
        except OwnedElsewhereError as error:
            notes.append(f"{error}: its trials are left alone")
    return removed, notes


def _as_json(leaving: Sequence[Leaving], *, is_removed: bool) -> dict[str, Any]:
    trials = [
        {
            "key": trial.key,
            "label": trial.label,
            "bytes": trial.num_bytes,
            "checkpoints": [
                {"attempt": one.ref.attempt, "epoch": one.ref.epoch, "bytes": one.num_bytes, "is_whole": one.is_whole}
                for one in trial.checkpoints
            ],
            "repeated_records": list(trial.repeated_records),
        }
        for trial in leaving
    ]
    return {"is_removed": is_removed, "bytes": sum(trial.num_bytes for trial in leaving), "trials": trials}


def _as_text(leaving: Sequence[Leaving], *, is_removed: bool) -> str:
    from orchestration.terminal import columns, count
    from orchestration.volume import bytes_text

    if not leaving:
        return "nothing goes: no checkpoint is there that no sweep keeps"
    rows = [(trial.key[:8], trial.label, _epochs(trial), bytes_text(trial.num_bytes)) for trial in leaving[:MAX_ROWS]]
    lines = [columns([("key", "trial", "checkpoints", "bytes"), *rows], right=frozenset({3}))]
    if len(leaving) > MAX_ROWS:
        lines.append(f"… {len(leaving) - MAX_ROWS:,} more: --json lists all")
    checkpoints = count(sum(len(trial.checkpoints) for trial in leaving), "checkpoint")
    total = bytes_text(sum(trial.num_bytes for trial in leaving))
    verb = "removed" if is_removed else "to remove"
    return "\n".join([*lines, "", f"{verb}: {checkpoints} of {count(len(leaving), 'trial')}, {total}"])


def _epochs(trial: Leaving) -> str:
    """Say of which epochs the checkpoints are; one that is not whole has an asterisk."""
    told = [f"{one.ref.epoch}{'' if one.is_whole else '*'}" for one in trial.checkpoints]
    return f"epoch {', '.join(told)}" if told else "repeated records"
