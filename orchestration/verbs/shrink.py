"""`selfish shrink`: the smaller network that is left of a trial without the hidden units that nothing reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.options import JsonOption, StoreOption, existing_folder, read_settings
from orchestration.verbs.stored import KeyArgument

if TYPE_CHECKING:
    from selfish_core.trial_store import CheckpointRef, StoredTrial


def shrink(
    key: KeyArgument,
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="A new folder for weights and report.")],
    epoch: Annotated[
        int | None, typer.Option("--epoch", min=1, metavar="E", help="Of the checkpoint; the best one by default.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trial's network without the hidden units that nothing reads; its predictions stay the same."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json, say

    folder = _new_folder(out)
    found = wanted.require_store(read_settings(store=store))
    trial = found.trial(listing.find_key(found, key))
    ref = _checkpoint(trial, epoch)
    from selfish_core.config import TrialConfig
    from selfish_core.training import shrink as shrinking

    config = TrialConfig.from_dict(trial.config())
    where = f"checkpoint of epoch {ref.epoch}, attempt {ref.attempt}, trial {trial.key}"
    shrunken, told = shrinking.shrink_checkpoint(config, trial.load(ref), where)
    report = shrinking.write(folder, shrunken, told)
    if as_json:
        answer_json(report)
    else:
        answer(_table(report))
    say(f"{folder}: {shrinking.WEIGHTS} and {shrinking.REPORT}, of epoch {ref.epoch}")


def _new_folder(out: str) -> Path:
    """Return the folder to write.

    Raises:
        InputError: when it holds anything, is no folder, or its parent is not there.
    """
    from selfish_core.errors import InputError

    path = existing_folder(out)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: is there already; name a new or empty folder")
    return path


def _checkpoint(trial: StoredTrial, epoch: int | None) -> CheckpointRef:
    """Return the checkpoint of an epoch; by default of the best one, or the last where that one is gone.

    The best epoch is the last new validation minimum: the last whose record has a test perplexity.

    Raises:
        InputError: when there is none.
    """
    from orchestration.terminal import say
    from selfish_core.errors import InputError

    refs = {ref.epoch: ref for ref in trial.checkpoints()}
    if not refs:
        told = "archives carry none, and a trial that diverged at once has none"
        raise InputError(f"trial {trial.key} has no checkpoint: {told}")
    if epoch is not None:
        if epoch not in refs:
            kept = ", ".join(str(number) for number in sorted(refs))
            raise InputError(f"trial {trial.key} has no checkpoint of epoch {epoch}: there are those of {kept}")
        return refs[epoch]
    tested = [record.epoch for record in trial.records() if "test_perplexity" in record.metrics]
    last = max(refs)
    best = tested[-1] if tested else last
    if best not in refs:
        say(f"note: the checkpoint of the best epoch, {best}, is gone: this is epoch {last}")
    return refs.get(best, refs[last])


def _table(report: dict[str, Any]) -> str:
    from orchestration.terminal import columns

    after = report["units_after"]
    rows = [[name, f"{before:,}", f"{after[name]:,}"] for name, before in report["units_before"].items()]
    parameters = [f"{report[f'num_parameters_{when}']:,}" for when in ("before", "after")]
    return columns([["units", "before", "after"], *rows, ["parameters", *parameters]], right=frozenset({1, 2}))
