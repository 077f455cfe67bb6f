"""The projector: the only writer to MLflow, which it makes show what the trial store holds.

A pass converges: it looks at what MLflow has, writes what is missing and corrects what differs, so a pass may be
repeated, killed anywhere or run by two processes at once. MLflow's run of a trial is found by the tag of its key;
its tags `epochs` and `selfish.records_sha256` say which records it shows, and are written after their metrics.
Metrics carry the records' own timestamps, so MLflow itself drops what is sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestration.tracking_content import (
    ProjectionReport,
    SweepView,
    Wish,
    digests_of,
    metrics_of,
    params_of,
    shown_tags,
    state_of,
    status_of,
    tags_of,
    wishes_of,
)
from orchestration.tracking_runs import KnownRun
from orchestration.tracking_server import TrackingServer, chunked_epochs, is_refusal
from orchestration.tracking_text import TABLE_HEADING, experiment_note, run_name, sweep_note
from results import names
from selfish_core.errors import StoreError, TrackingError
from selfish_core.records import Record
from selfish_core.trial_store import TrialStore

__all__ = ["ProjectionReport", "Projector", "SweepView"]


@dataclass(frozen=True)
class _Settled:
    """What MLflow shows of one trial, as far as this process has seen to it.

    Args:
        about: what the sweeps said of the trial.
        state: that is shown.
        last: the last record that is shown; None where there is none.
    """

    about: tuple[object, ...]
    state: str
    last: Record | None


class Projector:
    """Make MLflow show a trial store.

    Args:
        store: what is shown.
        tracking_uri: absolute URI of the MLflow tracking store; a SQLite database is made when absent.
        experiment: name of the experiment; `selfish/<first digits of the store's id>` by default.
    """

    def __init__(self, store: TrialStore, tracking_uri: str, experiment: str | None = None) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment or names.experiment_name(store.store_id)
        self._store = store
        self._server = TrackingServer(tracking_uri, self.experiment)
        self._is_known = False
        self._runs: dict[str, KnownRun] = {}
        self._sweeps: dict[str, KnownRun] = {}
        self._settled: dict[str, _Settled] = {}

    @property
    def experiment_id(self) -> str | None:
        """MLflow's id of the experiment, once it has been reached."""
        return self._server.experiment_id or None

    @property
    def waits_since(self) -> float | None:
        """When the call to MLflow began that is still unanswered, by `time.monotonic`; `None` between calls."""
        return self._server.waits_since

    def forget(self) -> None:
        """Forget what MLflow holds, so that the next pass reads it anew and deletes second runs of a key."""
        self._is_known = False

    def project(self, sweeps: Iterable[SweepView]) -> ProjectionReport:
        """Converge MLflow to the trial store, once.

        Args:
            sweeps: a trial is nested under the first that wants it. A pass looks at no other trials.

        Raises:
            TrackingError: when MLflow cannot be reached; the next pass goes on from what MLflow has then.
        """
        report = ProjectionReport()
        views = list(sweeps)
        try:
            server = self._open(report)
            for view in views:
                if view.name and view.name not in self._sweeps:
                    self._sweeps[view.name] = self._create_sweep(server, view.name, report)
            states = {}
            for wish in wishes_of(views):
                state = self._try(server, wish, report)
                states[wish.trial.key] = state
            for view in views:
                if view.name:
                    self._finish_sweep(server, view, states)
        except TrackingError:
            self.forget()
            raise
        return report

    def rebuild(self, sweeps: Iterable[SweepView]) -> ProjectionReport:
        """Delete every run of the experiment that carries our tags, then project anew.

        Raises:
            TrackingError: when MLflow cannot be reached.
        """
        views = list(sweeps)
        report = ProjectionReport()
        self.forget()
        server = self._open(report)
        for run in (*self._runs.values(), *self._sweeps.values()):
            server.delete(run)
        num_deleted = report.num_deleted + len(self._runs) + len(self._sweeps)
        self.forget()
        report = self.project(views)
        report.num_deleted += num_deleted
        return report

    def _open(self, report: ProjectionReport) -> TrackingServer:
        server = self._server
        if self._is_known and not server.is_gone():
            return server
        server.open(experiment_note(self._store.place))
        believed, self._runs, self._sweeps = self._runs, {}, {}
        for run in server.runs():
            tag, known = (names.TAG_KEY, self._runs) if names.TAG_KEY in run.tags else (names.TAG_SWEEP, self._sweeps)
            if run.tags[tag] in known:
                server.delete(run)
                report.num_deleted += 1
            else:
                known[run.tags[tag]] = run
        as_believed = {key for key, run in self._runs.items() if run == believed.get(key)}
        self._settled = {
            key: settled
            for key, settled in self._settled.items()
            if key in as_believed and self._store.trial(key).glance().last == settled.last
        }
        self._is_known = True
        return server

    def _try(self, server: TrackingServer, wish: Wish, report: ProjectionReport) -> str:
        key = wish.trial.key
        try:
            state = self._converge(server, wish, report)
        except StoreError as error:
            report.problems[key] = str(error)
            return "unreadable"
        except TrackingError as error:
            if not is_refusal(error):
                raise
            self._runs.pop(key, None)
            self._settled.pop(key, None)
            report.problems[key] = str(error)
            return "refused"
        report.num_trials += key in self._runs
        return state

    def _converge(self, server: TrackingServer, wish: Wish, report: ProjectionReport) -> str:
        """Make MLflow show one trial; return its state."""
        key = wish.trial.key
        about = (wish.sweeps, wish.epochs, wish.is_live, wish.failure)
        settled = self._settled.get(key) if key in self._runs else None
        if settled and settled.about == about and settled.state in ("answered", "diverged"):
            return settled.state
        stored = self._store.trial(key)
        if key not in self._runs and not wish.failure and not (stored.exists() and stored.attempts()):
            return "waiting"
        records = stored.records() if stored.exists() else []
        last = records[-1] if records else None
        if settled and settled.about == about and settled.last == last:
            return settled.state
        state = state_of(records, wish)
        run = self._run_of(server, wish, records, report)
        about_it = tags_of(wish, records, state) | self._parent_tag(run, wish)
        self._write(server, run, records, report, about_it, params_of(wish.trial))
        _set_status(server, run, status_of(state, wish.is_live), records)
        self._settled[key] = _Settled(about, state, last)
        return state

    def _run_of(
        self, server: TrackingServer, wish: Wish, records: Sequence[Record], report: ProjectionReport
    ) -> KnownRun:
        """Return the trial's run: the known one, one that is there already, or a new one."""
        key = wish.trial.key
        run = self._runs.get(key) or self._adopt(server, names.TAG_KEY, key, report)
        if run is not None and not _shows(run, records):
            server.delete(run)
            report.num_deleted += 1
            run = None
        if run is None:
            start_ms = records[0].timing.started_ms if records else _now_ms()
            tags = {names.TAG_KEY: key, **{names.SWEEP_PREFIX + name: "1" for name in wish.sweeps}}
            run = server.create(run_name(wish.trial), tags | self._parent_tag(KnownRun(""), wish), start_ms)
            report.num_created += 1
        self._runs[key] = run
        return run

    def _write(
        self,
        server: TrackingServer,
        run: KnownRun,
        records: Sequence[Record],
        report: ProjectionReport,
        tags: Mapping[str, str],
        params: Mapping[str, str],
    ) -> None:
        """Write the metrics of the epochs that are not there, several epochs a call, and with the last all the rest.

        A call costs a database several commits, so a trial of few epochs is written in one.
        """
        there = server.steps_beyond(run, run.has_written)
        missing = [record for record in records if record.epoch > run.has_written]
        digests = digests_of(records)
        for last, metrics in chunked_epochs((record.epoch, metrics_of(record, there)) for record in missing):
            rest = tags if last == len(records) else {}
            server.log(run, metrics=metrics, tags={**shown_tags(records[:last], digests[last]), **rest}, params=params)
            report.num_epochs += last - run.has_written
            run.has_written = last
        server.log(run, tags={**shown_tags(records, digests[len(records)]), **tags}, params=params)

    def _parent_tag(self, run: KnownRun, wish: Wish) -> dict[str, str]:
        """Name the parent: the one that the run has, if it is there, else the first sweep that wants the trial."""
        ids = {known.run_id for known in self._sweeps.values()}
        if run.tags.get(names.TAG_PARENT) in ids or not wish.sweeps:
            return {}
        return {names.TAG_PARENT: self._sweeps[wish.sweeps[0]].run_id}

    def _create_sweep(self, server: TrackingServer, name: str, report: ProjectionReport) -> KnownRun:
        run = self._adopt(server, names.TAG_SWEEP, name, report)
        if run is None:
            run = server.create(name, {names.TAG_SWEEP: name}, _now_ms())
            report.num_created += 1
        return run

    def _adopt(self, server: TrackingServer, tag: str, value: str, report: ProjectionReport) -> KnownRun | None:
        """Take the oldest run that another writer has made meanwhile, and delete the younger ones."""
        found = server.tagged(tag, value)
        for run in found[1:]:
            server.delete(run)
        report.num_deleted += len(found[1:])
        return found[0] if found else None

    def _finish_sweep(self, server: TrackingServer, view: SweepView, all_states: Mapping[str, str]) -> None:
        states = {trial.key: all_states[trial.key] for trial in view.trials}
        num_answered = sum(state in ("answered", "diverged") for state in states.values())
        run = self._sweeps[view.name]
        note = sweep_note(view.name, view.description, states)
        has_table = run.tags.get(names.TAG_NOTE, "").startswith(note + TABLE_HEADING)
        tags = {"trials": str(len(states)), "answered": str(num_answered)}
        server.log(run, tags=tags if has_table else {**tags, names.TAG_NOTE: note})
        if view.is_live:
            status = "RUNNING"
        elif num_answered == len(states):
            status = "FINISHED"
        else:
            status = "FAILED" if "failed" in states.values() else "KILLED"
        if run.status != status:
            server.set_status(run, status, _now_ms())


def _set_status(server: TrackingServer, run: KnownRun, status: str, records: Sequence[Record]) -> None:
    if run.status != status:
        server.set_status(run, status, records[-1].timing.finished_ms if records else _now_ms())


def _shows(run: KnownRun, records: Sequence[Record]) -> bool:
    """Whether a run shows these records as far as both go; one that shows more cannot be judged."""
    num_shown = run.num_shown
    return not 0 < num_shown <= len(records) or run.tags.get(names.TAG_RECORDS) == digests_of(records)[num_shown]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
