"""`selfish stop`, `cancel`, `pause`, `resume` and `retry`: requests in the trial store, which the sweep's driver obeys.

What each means for the other is drawn in `selfish_core.store.wishes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import JsonOption, StoreOption, read_settings
from orchestration.verbs.watching import SweepArgument, TrialArgument

if TYPE_CHECKING:
    from selfish_core.store.wishes import RequestKind

WaitOption = Annotated[bool, typer.Option("--wait", help="Return only when it has been obeyed.")]


def stop(
    sweep: SweepArgument,
    trial: TrialArgument = None,
    wait: WaitOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let running epochs end, then end the sweep's run, or leave the trial alone in this run; the next run goes on."""
    _ask("stop", sweep, trial, store, wait=wait, as_json=as_json)


def cancel(
    sweep: SweepArgument,
    trial: TrialArgument = None,
    wait: WaitOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """End it at once and give running epochs up; what is unfinished is not started again until `retry` or `resume`."""
    _ask("cancel", sweep, trial, store, wait=wait, as_json=as_json)


def pause(
    sweep: SweepArgument,
    trial: TrialArgument = None,
    wait: WaitOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let running epochs end and free what they used; the run stays and waits for `resume`."""
    _ask("pause", sweep, trial, store, wait=wait, as_json=as_json)


def resume(
    sweep: SweepArgument, trial: TrialArgument = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Go on with what is paused or cancelled."""
    _ask("resume", sweep, trial, store, wait=False, as_json=as_json)


def retry(
    sweep: SweepArgument, trial: TrialArgument = None, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Run again what has failed, was stopped or cancelled."""
    _ask("retry", sweep, trial, store, wait=False, as_json=as_json)


def _ask(kind: RequestKind, sweep: str, trial: str | None, store: str | None, *, wait: bool, as_json: bool) -> None:
    from orchestration import control, listing, wanted
    from orchestration.story import all_labels
    from orchestration.terminal import answer_json, say

    found = wanted.require_store(read_settings(store=store))
    listing.find_sweep(found, sweep)
    key = None if trial is None else listing.find_member(sweep, all_labels(found, sweep), trial)
    scope = control.Scope(sweep, key)
    outcome = control.ask(found, scope, kind)
    say(outcome.text)
    if wait and outcome.is_running:
        control.wait_until_obeyed(found, scope, kind)
        say(f"{scope}: obeyed")
    if as_json:
        answer_json({**scope._asdict(), "kind": kind, **outcome._asdict()})
