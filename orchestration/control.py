"""Asking a sweep for something: whether it is worth asking, and waiting until its driver has obeyed."""

from __future__ import annotations

import time
from typing import NamedTuple

from orchestration.decisions import Failed
from orchestration.standing import look_up
from orchestration.status import SweepWatch
from orchestration.story import Course, Story, members
from selfish_core.errors import SelfishError
from selfish_core.store.wishes import Request, RequestKind, Wish
from selfish_core.trial_store import TrialStore

POLL_SECONDS = 1.0
_NUM_QUIET_LOOKS = 2
"""Looks in a row at which nothing runs: the driver may start a trial just before it reads a request."""

_PAST: dict[Wish, str] = {"run": "running", "stop": "stopped", "pause": "paused", "cancel": "cancelled"}
_WHAT_FOLLOWS: dict[RequestKind, str] = {
    "stop": "running epochs end first",
    "cancel": "running epochs are given up",
    "pause": "running epochs end first, and `selfish resume` goes on",
    "resume": "it goes on as soon as there is room",
    "retry": "it runs again as soon as there is room",
}


class Scope(NamedTuple):
    """What a request is for.

    Args:
        sweep: its name.
        trial: content key of one of its trials; None for the whole sweep.
    """

    sweep: str
    trial: str | None = None

    def __str__(self) -> str:
        return f"sweep {self.sweep!r}" if self.trial is None else f"trial {self.trial[:8]} of sweep {self.sweep!r}"


class Outcome(NamedTuple):
    """What came of asking.

    Args:
        number: of the request; None where all was so already and nothing was asked.
        is_running: whether the sweep runs now.
        text: one line for people.
    """

    number: int | None
    is_running: bool
    text: str


def ask(store: TrialStore, scope: Scope, kind: RequestKind) -> Outcome:
    """Write down a request for whoever runs the sweep, now or next.

    Raises:
        SelfishError: when nothing could come of it; nothing is written then.
    """
    sweep = store.sweep(scope.sweep)
    story = Story(sweep)
    story.read_on()
    is_running = sweep.is_owned()
    _check_is_of_use(store, scope, kind, story, is_running=is_running)
    request = Request(sweep.num_requests() + 1, kind, scope.trial)
    if kind != "retry" and story.wishes(request) == story.wishes():
        wish = story.wishes().of(scope.trial) if scope.trial else story.wishes().sweep
        return Outcome(None, is_running, f"{scope} is {_PAST[wish]} already, or about to be")
    number = sweep.request(kind, scope.trial)
    if is_running:
        return Outcome(number, is_running, f"{scope}: asked to {kind}: {_WHAT_FOLLOWS[kind]}")
    if kind == "cancel":
        told = "what is unfinished is not started again until `selfish resume` or `selfish retry`"
        return Outcome(number, is_running, f"{scope} is cancelled: {told}")
    told = "the next `selfish run` or `selfish submit` of the sweep takes it up"
    return Outcome(number, is_running, f"{scope} does not run now: {told}")


def wait_until_obeyed(store: TrialStore, scope: Scope, kind: RequestKind) -> None:
    """Wait until a sweep's run has ended after `stop` or `cancel`, or what is meant has stopped running."""
    sweep, watch = store.sweep(scope.sweep), SweepWatch(store, scope.sweep)
    num_quiet = 0
    while sweep.is_owned():
        if scope.trial is not None or kind == "pause":
            running = {trial.key for trial in watch.look().trials if trial.state == "running"}
            num_quiet = 0 if (running if scope.trial is None else running & {scope.trial}) else num_quiet + 1
        if num_quiet >= _NUM_QUIET_LOOKS:
            return
        time.sleep(POLL_SECONDS)


def _check_is_of_use(store: TrialStore, scope: Scope, kind: RequestKind, story: Story, *, is_running: bool) -> None:
    if kind in ("stop", "pause") and not is_running:
        raise SelfishError(f"sweep {scope.sweep!r} does not run, so there is nothing to {kind}")
    if scope.trial is not None:
        standing = look_up(store, scope.trial, members(store, scope.sweep).epochs)
        if standing.is_over:
            how = "has diverged" if standing.is_diverged else "is answered"
            raise SelfishError(f"{scope} {how}, so there is nothing to {kind}")
    wishes = story.wishes()
    wished = {wishes.of(scope.trial)} if scope.trial else {wishes.sweep, *wishes.trials.values()}
    if kind == "resume" and not wished & {"pause", "cancel"}:
        raise SelfishError(f"{scope}: nothing is paused or cancelled, so there is nothing to resume")
    if kind == "retry" and not wished & {"stop", "cancel"} and not _has_failed(story, scope):
        raise SelfishError(f"{scope}: nothing has failed, was stopped or cancelled, so there is nothing to retry")


def _has_failed(story: Story, scope: Scope) -> bool:
    decided = Course.of(story.events).trials
    lost = {key for key, last in decided.items() if isinstance(last, Failed) and last.is_final}
    return bool(lost) if scope.trial is None else scope.trial in lost
