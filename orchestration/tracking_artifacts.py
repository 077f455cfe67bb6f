"""What MLflow shows of sweeps and trials that are over beside their numbers: tables, pictures, datasets, best models.

The projector leaves these alone while a sweep runs, since they cost seconds: they are written when its run has ended,
and by `selfish sync`. Each run says by a tag of which records its artifacts were made, so a second time writes nothing.
What cannot be written is one line and stops nothing: the numbers are there already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from orchestration.terminal import count
from orchestration.tracking_best import best_kept
from orchestration.tracking_datasets import dataset_of
from orchestration.tracking_exhibits import files_of_sweep, files_of_trial
from orchestration.tracking_runs import KnownRun
from orchestration.tracking_server import TrackingServer
from orchestration.tracking_text import experiment_note, with_table, without_table
from orchestration.tracking_views import links, tags_of_views
from orchestration.wanted import Wanted, load_saved
from results import names
from results.evidence import Evidence, gather
from results.tracking_store import SQLITE
from selfish_core.errors import CorpusError, InputError, StoreError, TrackingError
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial

FORMAT = "1"
"""Of the artifacts: another one is written anew for every run."""

WITH_ARTIFACTS = (SQLITE, "http://", "https://")
"""Kinds of tracking store that have a place for files: beside a SQLite file there is one, a server knows one."""

AT_ONCE = 32
"""Trials of a sweep whose pictures are drawn at the end of its run: more of them would take as long as a tiny sweep."""

EVERY = 25
"""Trials between two lines that say how far it is."""


@dataclass
class ArtifactReport:
    """What was written.

    Args:
        num_sweeps: parent runs that got a table and figures.
        num_trials: trials that got their pictures.
        num_left: trials whose pictures were left to `selfish sync`.
        models: sweep -> MLflow's id of the model that was logged.
        problems: one line each.
    """

    num_sweeps: int = 0
    num_trials: int = 0
    num_left: int = 0
    models: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Say what was done, for people; nothing where nothing was."""
        told = [f"tables and figures of {count(self.num_sweeps, 'sweep')}"] if self.num_sweeps else []
        told += [f"pictures of {count(self.num_trials, 'trial')}"] if self.num_trials else []
        told += [f"best model of {name}: models:/{model_id}" for name, model_id in sorted(self.models.items())]
        lines = [f"MLflow has {'; '.join(told)}"] if told else []
        left = f"pictures of {count(self.num_left, 'trial')} are left to `selfish sync`"
        return [*lines, *([left] if self.num_left else []), *(f"warning: {problem}" for problem in self.problems)]


@dataclass(frozen=True)
class Extent:
    """How much is written.

    Args:
        max_trials: where more trials of a sweep than so many lack their pictures, all of them are left; None: no limit.
        data: folder of the corpora, for the models' vocabularies; None for the default one.
    """

    max_trials: int | None = None
    data: Path | None = None


def write_artifacts(
    store: TrialStore,
    tracking_uri: str,
    sweeps: Iterable[Wanted],
    extent: Extent,
    say: Callable[[str], None] = lambda _line: None,
) -> ArtifactReport:
    """Bring the artifacts of sweeps that are not running up to date; call it when the projector has shown them.

    Args:
        store: the trial store.
        tracking_uri: of MLflow.
        sweeps: each with the trials that its search has chosen.
        extent: how much is written.
        say: takes a line now and then where there is much to do.
    """
    report = ArtifactReport()
    if not tracking_uri.startswith(WITH_ARTIFACTS):
        report.problems.append(
            "a database without a server keeps no artifacts, so MLflow gets no tables, figures or models; "
            "--no-pictures asks for none"
        )
        return report
    server = TrackingServer(tracking_uri, names.experiment_name(store.store_id))
    try:
        server.open(experiment_note(store.place))
        runs = server.runs()
        for wanted in sweeps:
            if not store.sweep(wanted.spec.name).is_owned():
                Exhibition(store, server, wanted, runs).write(extent, report, say)
    except (TrackingError, StoreError, InputError, OSError) as error:
        report.problems.append(str(error))
    except Exception as error:
        report.problems.append(f"artifacts for MLflow: {type(error).__name__}: {error}")
    return report


def stored_sweeps(store: TrialStore) -> list[Wanted]:
    """Return every sweep of a trial store by the newest version of its spec."""
    found = (load_saved(store, name) for name in store.sweep_names())
    return [wanted for wanted in found if wanted is not None]


class Exhibition:
    """One sweep's artifacts.

    Args:
        store: the trial store.
        server: MLflow, open.
        wanted: the sweep.
        runs: that MLflow has.
    """

    def __init__(self, store: TrialStore, server: TrackingServer, wanted: Wanted, runs: Sequence[KnownRun]) -> None:
        self._store = store
        self._server = server
        self._wanted = wanted
        self._parent = next((run for run in runs if run.tags.get(names.TAG_SWEEP) == wanted.spec.name), None)
        by_key = {run.tags.get(names.TAG_KEY): run for run in runs}
        self._runs = {trial.key: by_key[trial.key] for trial in wanted.trials if trial.key in by_key}

    @cached_property
    def evidence(self) -> Evidence:
        """What is recorded of the sweep, read when something is to be written."""
        return gather(self._wanted.spec, self._wanted.trials, self._store, None)

    def write(self, extent: Extent, report: ArtifactReport, say: Callable[[str], None]) -> None:
        """Write what is missing or made of other records.

        Raises:
            TrackingError: when MLflow refuses.
        """
        if self._parent is None or not self._runs:
            return
        is_new = self._write_parent(self._parent, report)
        if is_new or names.TAG_MODEL not in self._parent.tags:
            self._write_model(self._parent, extent, report)
        self._write_trials(extent, report, say)

    def _write_parent(self, run: KnownRun, report: ArtifactReport) -> bool:
        """Write the table and the figures; return whether they were not there."""
        digest = _digest([self._wanted.spec.text.decode(), *(_shown(self._runs[key]) for key in sorted(self._runs))])
        if run.tags.get(names.TAG_ARTIFACTS) == digest:
            return False
        for dataset in {dataset_of(trial.config.corpus): None for trial in self._wanted.trials}:
            self._server.log_dataset(run, dataset)
        files = files_of_sweep(self._wanted, self._store, self.evidence)
        self._server.log_files(run, files)
        self._server.tag_experiment(tags_of_views(self._wanted.spec))
        shown = f"{links(self._wanted.spec, self._server.experiment_id)}\n{files['table.md'].decode()}"
        note = with_table(without_table(run.tags.get(names.TAG_NOTE, "")), shown)
        self._server.log(run, tags={names.TAG_NOTE: note, names.TAG_ARTIFACTS: digest})
        report.num_sweeps += 1
        return True

    def _write_trials(self, extent: Extent, report: ArtifactReport, say: Callable[[str], None]) -> None:
        lacking = [trial for trial in self._wanted.trials if self._lacks(trial)]
        if extent.max_trials is not None and len(lacking) > extent.max_trials:
            report.num_left += len(lacking)
            return
        for number, trial in enumerate(lacking, start=1):
            run = self._runs[trial.key]
            self._server.log_dataset(run, dataset_of(trial.config.corpus))
            self._server.log_files(run, files_of_trial(self.evidence, trial))
            self._server.log(run, tags={names.TAG_ARTIFACTS: _digest([_shown(run)])})
            report.num_trials += 1
            if number % EVERY == 0:
                say(f"{self._wanted.spec.name}: pictures of {number} of {len(lacking)} trials")

    def _lacks(self, trial: Trial) -> bool:
        run = self._runs.get(trial.key)
        if run is None or not run.num_shown:
            return False
        return run.tags.get(names.TAG_ARTIFACTS) != _digest([_shown(run)])

    def _write_model(self, parent: KnownRun, extent: Extent, report: ArtifactReport) -> None:
        """Log the best network whose checkpoint is kept, if it is not the one that is there."""
        name = self._wanted.spec.name
        best = best_kept(self.evidence, self._store)
        if best is None or best.key not in self._runs:
            return
        of = f"{best.key}@{best.epoch}:{self._runs[best.key].tags.get(names.TAG_RECORDS, '')[:12]}"
        if parent.tags.get(names.TAG_MODEL) == of:
            return
        try:
            network, corpus = best.load(self._store, extent.data)
        except (CorpusError, StoreError) as error:
            report.problems.append(f"{name}: its best model is not in MLflow: {error}")
            return
        from orchestration.tracking_model import log_best

        report.models[name] = self._server.with_client(
            lambda client, experiment_id: log_best(client, experiment_id, parent.run_id, of, best, network, corpus)
        )
        self._server.log(parent, tags={names.TAG_MODEL: of})


def _shown(run: KnownRun) -> str:
    """Say what a trial's run shows, as far as artifacts are made of it."""
    return f"{run.tags.get(names.TAG_KEY)} {run.tags.get(names.TAG_STATE)} {run.tags.get(names.TAG_RECORDS)}"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([FORMAT, *texts]).encode()).hexdigest()
