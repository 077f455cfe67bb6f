"""Where a sweep and each of its trials stand, from the trial store alone, so that any machine that sees it can ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from orchestration.decisions import Failed, FailureClass, Running, Stopped
from orchestration.standing import Standing, look_up
from orchestration.story import Course, Story, chosen, members
from orchestration.telling import told
from selfish_core.errors import InputError, StoreError
from selfish_core.store.wishes import Wish, Wishes
from selfish_core.trial_store import TrialStore

State = Literal[
    "running",
    "failed",
    "held",
    "paused",
    "waiting",
    "stopped",
    "cancelled",
    "stopped early",
    "diverged",
    "answered",
]
STATES: tuple[State, ...] = get_args(State)
"""What a trial may be, the most urgent first; `held` means that another sweep runs it or is about to."""

RunState = Literal["running", "ended", "killed", "idle", "unknown"]
"""`killed`: its newest run ended without a word. `idle`: it has had none. `unknown`: the trial store can only be read,
so that its lock cannot be tried."""

MAX_NEWS = 5
_WISHED: dict[Wish, State] = {"pause": "paused", "stop": "stopped", "cancel": "cancelled"}
_LEAVING: dict[Wish, str] = {"pause": "pausing", "stop": "stopping", "cancel": "being cancelled"}


@dataclass(frozen=True)
class TrialStatus:
    """Where a trial stands.

    Args:
        key: content key.
        label: what people know it by.
        state: see `State`.
        detail: class of the failure, name of the sweep that holds it, what it is about to do; else empty.
        num_epochs: recorded, of those that are wanted.
        val_perplexity: of the last epoch; None before the first.
        tokens_per_second: of the last epoch; None before the first.
        eta_seconds: until its last epoch, by the length of its newest; None unless it runs and has one.
    """

    key: str
    label: str
    state: State
    detail: str = ""
    num_epochs: int = 0
    val_perplexity: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True)
class FailureCount:
    """How often a class of failure came up on a node in the newest run; the node is empty where it is unknown."""

    failure: FailureClass
    node: str
    number: int


@dataclass(frozen=True)
class SweepStatus:
    """Where a sweep stands.

    Args:
        name: of the sweep.
        run: see `RunState`.
        run_text: the same for people: who runs it, or how it ended, and what it waits for.
        epochs: wanted of each trial.
        trials: in the sweep's order.
        failures: by class and node.
        eta_seconds: until all that runs and waits is answered, if as many trials as now run at once; None where that
            cannot be said.
        news: its last decisions, one line each, newest last.
    """

    name: str
    run: RunState
    run_text: str
    epochs: int
    trials: tuple[TrialStatus, ...]
    failures: tuple[FailureCount, ...]
    eta_seconds: float | None
    news: tuple[str, ...]

    @property
    def counts(self) -> dict[State, int]:
        """State -> number of trials, of the states that there are."""
        found = Counter(trial.state for trial in self.trials)
        return {state: found[state] for state in STATES if found[state]}


@dataclass(frozen=True)
class _Now:
    """What one look sees beside the records."""

    run: RunState
    course: Course
    wishes: Wishes
    held: Mapping[str, str]


class SweepWatch:
    """Look at one sweep again and again; a trial is read anew only while it may have got on.

    Args:
        store: the trial store.
        name: of a sweep that has a spec there.

    Raises:
        InputError: when its spec cannot be read.
    """

    def __init__(self, store: TrialStore, name: str) -> None:
        self._store = store
        self._sweep = store.sweep(name)
        self._members = members(store, name)
        self._story = Story(self._sweep)
        self._seen: dict[str, Standing] = {}
        self._moving: frozenset[str] = frozenset()

    def look(self) -> SweepStatus:
        """Read what is new and return where the sweep stands."""
        now = self._read_on()
        labels = {**self._members.labels, **chosen(self._story.events)}
        self._read_records(labels, now)
        trials = tuple(self._trial(key, label, now) for key, label in labels.items())
        return SweepStatus(
            name=self._sweep.name,
            run=now.run,
            run_text=self._run_text(now),
            epochs=self._members.epochs,
            trials=trials,
            failures=tuple(FailureCount(*which, number) for which, number in sorted(now.course.failures.items())),
            eta_seconds=self._eta(trials),
            news=tuple(told(event.decision, labels) for event in self._story.events[-MAX_NEWS:]),
        )

    def _read_on(self) -> _Now:
        try:
            run: RunState = "running" if self._sweep.is_owned() else "idle"
        except StoreError:
            run = "unknown"  # and so is who holds what
        self._story.read_on()
        course = Course.of(self._story.events)
        if run != "running" and course.ended is not None:
            run = "ended"
        elif run == "idle" and course.started is not None:
            run = "killed"
        holders = self._store.holders() if run != "unknown" else {}
        held = {key: name for key, name in holders.items() if name != self._sweep.name}
        return _Now(run, course, self._story.wishes(), held)

    def _read_records(self, labels: Iterable[str], now: _Now) -> None:
        """Read the trials that nobody has looked at, and those that ran at the last look or run now."""
        has_decisions = now.course.started is not None and now.course.ended is None
        if now.run == "running" and not has_decisions:
            moving = frozenset(labels)
        else:
            running = {key for key, last in now.course.trials.items() if isinstance(last, Running)}
            moving = frozenset(running | now.held.keys())
        for key in labels:
            seen = self._seen.get(key)
            if seen is None or (not seen.is_over and key in moving | self._moving):
                self._seen[key] = self._look_up(key, seen or Standing())
        self._moving = moving

    def _look_up(self, key: str, seen: Standing) -> Standing:
        try:
            return look_up(self._store, key, self._members.epochs)
        except StoreError:
            return seen

    def _trial(self, key: str, label: str, now: _Now) -> TrialStatus:
        seen = self._seen[key]
        state, detail = _state(key, seen, now)
        seconds = _epoch_seconds(seen)
        num_left = self._members.epochs - seen.num_epochs
        return TrialStatus(
            key=key,
            label=label,
            state=state,
            detail=detail,
            num_epochs=seen.num_epochs,
            val_perplexity=seen.val_perplexity,
            tokens_per_second=seen.last.timing.tokens_per_second if seen.last else None,
            eta_seconds=num_left * seconds if state == "running" and seconds is not None else None,
        )

    def _eta(self, trials: Sequence[TrialStatus]) -> float | None:
        running = [trial.eta_seconds for trial in trials if trial.state == "running"]
        measured = [seconds for seen in self._seen.values() if (seconds := _epoch_seconds(seen)) is not None]
        if not running or not measured:
            return None
        mean = sum(measured) / len(measured)
        left = sum(self._members.epochs - trial.num_epochs for trial in trials if trial.state in ("running", "waiting"))
        return max([left * mean / len(running), *(eta for eta in running if eta is not None)])

    def _run_text(self, now: _Now) -> str:
        match now.run:
            case "running":
                wish = now.wishes.sweep
                asked = "" if wish == "run" else f"; {'paused' if wish == 'pause' else _LEAVING[wish]}"
                waits = f"; waits: {now.course.pause}" if now.course.pause else ""
                return f"runs: {self._sweep.owner() or 'another process'}{asked}{waits}"
            case "ended" if now.course.ended is not None:
                message = f": {now.course.ended.message}" if now.course.ended.message else ""
                return f"its last run ended: {now.course.ended.reason}{message}"
            case "killed":
                return "its last run was killed: the next one goes on from the last whole epochs"
            case "unknown":
                return "the trial store can only be read, so whether it runs is unknown"
        return "does not run"


def overview(store: TrialStore) -> list[SweepStatus]:
    """Return where all sweeps of a store stand; one whose spec cannot be read has no trials, and says so."""
    found = []
    for name in store.sweep_names():
        try:
            found.append(SweepWatch(store, name).look())
        except InputError as error:
            found.append(SweepStatus(name, "unknown", str(error), 0, (), (), None, ()))
    return found


def _state(key: str, seen: Standing, now: _Now) -> tuple[State, str]:
    """Return a trial's state with its detail."""
    last, wish = now.course.trials.get(key), now.wishes.of(key)
    if seen.is_over:
        return ("diverged" if seen.is_diverged else "answered"), ""
    if isinstance(last, Stopped):
        return "stopped early", last.rule
    if isinstance(last, Running) and now.run in ("running", "unknown"):
        return "running", _LEAVING.get(wish, "")
    if isinstance(last, Failed) and last.is_final:
        return "failed", last.failure
    if wish in _WISHED:
        return _WISHED[wish], ""
    if key in now.held:
        return "held", now.held[key]
    return "waiting", f"after {last.failure}" if isinstance(last, Failed) else ""


def _epoch_seconds(seen: Standing) -> float | None:
    if seen.last is None:
        return None
    return max(0, seen.last.timing.finished_ms - seen.last.timing.started_ms) / 1000
