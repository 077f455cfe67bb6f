"""`selfish train`: the missing trials one after another in this process, over the session that Ray's workers run."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from orchestration import corpora
from orchestration.decisions import Ended, Failed, Left, Running, Started, write
from orchestration.failures import classify
from orchestration.processes import Stopped
from orchestration.registry import register
from orchestration.settings import Settings
from orchestration.standing import look_up
from orchestration.terminal import count, say
from orchestration.wanted import Wanted
from selfish_core.data.corpora import load_once
from selfish_core.errors import InterruptedRunError, SelfishError
from selfish_core.records import Record
from selfish_core.store.wishes import fold
from selfish_core.training.fingerprint import pick_device
from selfish_core.training.peak_memory import is_out_of_memory, retold
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import StoredSweep, TrialStore
from sweeps.expand import Trial


def train_trials(wanted: Wanted, trials: Sequence[Trial], store: TrialStore, settings: Settings, device: str) -> int:
    """Train what is missing and return the exit code; a trial that fails does not keep the others from running.

    Args:
        wanted: the sweep, whose lock is held meanwhile.
        trials: those of its trials that are meant.
        store: the trial store.
        settings: of the command.
        device: `cpu`, `cuda` or `auto`.

    Raises:
        InputError: when the device is not there, or a text is not the one that the sweep has trained on.
        OwnedElsewhereError: when another process runs this sweep.
        CorpusError: when a corpus is missing or damaged.
        InterruptedRunError: when a stop was asked for; the running epoch is given up.
    """
    pick_device(device)
    sweep = store.sweep(wanted.spec.name)
    num_requests = sweep.num_requests()
    with sweep.owned():
        missing = [trial for trial in trials if not look_up(store, trial.key, trial.epochs).is_over]
        if not missing:
            say(f"all {count(len(trials), 'trial')} are answered; nothing to train")
            return 0
        corpora.verify({trial.key: trial.config for trial in missing}, settings)
        register(wanted.spec, wanted.trials, store)
        names = {key: f"{label} ({key[:8]})" for key, label in wanted.labels.items()}
        write(
            sweep,
            Started(num_requests=num_requests, host=socket.gethostname(), pid=os.getpid(), epochs=wanted.spec.epochs),
        )
        room = Room(store, sweep, settings, device, num_requests)
        try:
            left = [trial for trial in missing if not room.train(trial, names[trial.key])]
        except Stopped as stopped:
            write(sweep, Ended(reason="interrupted"))
            error = InterruptedRunError("stopped; the same command goes on from the last whole epoch")
            error.exit_code = stopped.exit_code
            raise error from None
        write(sweep, Ended(reason="done"))
    if left:
        say(f"{count(len(left), 'trial')} of {len(missing)} without an answer")
    return 1 if left else 0


@dataclass(frozen=True)
class Room:
    """Where trials are trained one after another.

    Args:
        store: the trial store.
        sweep: the sweep that they are of, whose lock is held.
        settings: of the command.
        device: `cpu`, `cuda` or `auto`.
        num_requests: number of the newest request when the run began: later ones are for it.
    """

    store: TrialStore
    sweep: StoredSweep
    settings: Settings
    device: str
    num_requests: int

    def train(self, trial: Trial, name: str) -> bool:
        """Train one trial and say whether it is answered; an error that is none of ours is a bug and passes."""
        if not self._is_wanted(trial.key):
            say(f"{name}: left, as asked")
            return False
        if not self.store.hold(self.sweep.name, [trial.key]):
            say(f"{name}: left to sweep {self.store.holder(trial.key)!r}, which runs it now")
            return False
        torch.set_num_threads(max(1, int(trial.resources.cpu)))
        write(self.sweep, Running(trial=trial.key))
        try:
            return self._train(trial, name)
        except Exception as error:
            if not isinstance(error, SelfishError) and not is_out_of_memory(error):
                raise
            failure = classify(retold(error) if is_out_of_memory(error) else error)
        write(self.sweep, Failed(trial=trial.key, failure=failure.failure, message=failure.message, is_final=True))
        say(f"error: {name}: {failure.failure}: {failure.message}")
        return False

    def _train(self, trial: Trial, name: str) -> bool:
        session = TrialSession(
            trial.config,
            epochs=trial.epochs,
            corpus=load_once(trial.config.corpus, self.settings.data),
            stored=self.store.trial(trial.key),
            device=self.device,
            reason="train",
        )
        while not session.is_finished:
            if not self._is_wanted(trial.key):
                write(self.sweep, Left(trial=trial.key))
                say(f"{name}: left after epoch {session.epoch}, as asked")
                return False
            say(_epoch_line(name, session.step(), trial.epochs))
        session.close()
        return True

    def _is_wanted(self, key: str) -> bool:
        """Whether nobody has asked for anything else; there is no waiting here, so a pause is a stop."""
        return fold(self.sweep.requests(), self.num_requests).of(key) == "run"


def _epoch_line(name: str, record: Record, epochs: int) -> str:
    if record.outcome == "diverged":
        return f"{name}: epoch {record.epoch}/{epochs}: diverged: {record.message}"
    speed = f"{record.timing.tokens_per_second:,.0f} tokens/s"
    return f"{name}: epoch {record.epoch}/{epochs}: val perplexity {record.metrics['val_perplexity']:.2f}, {speed}"
