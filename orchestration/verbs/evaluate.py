"""`selfish evaluate`: score a stored trial's best network on a split of its corpus."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.options import DataOption, JsonOption, StoreOption, read_settings
from orchestration.verbs.stored import KeyArgument

SPLITS = ("valid", "test", "train")
DEVICES = ("cpu", "cuda", "auto")


def evaluate(
    key: KeyArgument,
    split: Annotated[str, typer.Option("--split", metavar="|".join(SPLITS), help="What is scored.")] = "valid",
    device: Annotated[str, typer.Option("--device", metavar="|".join(DEVICES), help="Where to compute.")] = "auto",
    store: StoreOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a trial's best network as its training did, beside what was recorded."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json, say
    from selfish_core.catalogue.corpora import SPLITS as KNOWN
    from selfish_core.errors import InputError, unknown_name

    chosen = next((known for known in KNOWN if known == split), None)
    if chosen is None:
        raise InputError(unknown_name("split", split, SPLITS))
    if device not in DEVICES:
        raise InputError(unknown_name("device", device, DEVICES))
    settings = read_settings(store=store, data=data)
    found = wanted.require_store(settings)
    trial = found.trial(listing.find_key(found, key))
    from orchestration.evaluate import evaluate as score

    done = score(trial, chosen, settings, device)
    if as_json:
        answer_json(done.as_json())
    else:
        answer(done.as_text())
    for note in done.notes:
        say(f"note: {note}")
