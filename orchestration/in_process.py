"""`selfish train`: the missing trials one after another in this process, over the session that Ray's workers run."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from orchestration import corpora
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
from selfish_core.training.fingerprint import pick_device
from selfish_core.training.peak_memory import is_out_of_memory, retold
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore
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
    with store.sweep(wanted.spec.name).owned():
        missing = [trial for trial in trials if not look_up(store, trial.key, trial.epochs).is_over]
        if not missing:
            say(f"all {count(len(trials), 'trial')} are answered; nothing to train")
            return 0
        corpora.verify({trial.key: trial.config for trial in missing}, settings)
        register(wanted.spec, wanted.trials, store)
        names = {key: f"{label} ({key[:8]})" for key, label in wanted.labels.items()}
        try:
            failed = [trial for trial in missing if not _train_one(trial, names[trial.key], store, settings, device)]
        except Stopped as stopped:
            error = InterruptedRunError("stopped; the same command goes on from the last whole epoch")
            error.exit_code = stopped.exit_code
            raise error from None
    if failed:
        say(f"{count(len(failed), 'trial')} of {len(missing)} failed")
    return 1 if failed else 0


def _train_one(trial: Trial, name: str, store: TrialStore, settings: Settings, device: str) -> bool:
    """Train one trial to its end and say whether that worked; an error that is none of ours is a bug and passes."""
    torch.set_num_threads(max(1, int(trial.resources.cpu)))
    try:
        session = TrialSession(
            trial.config,
            epochs=trial.epochs,
            corpus=load_once(trial.config.corpus, settings.data),
            stored=store.trial(trial.key),
            device=device,
            reason="train",
        )
        while not session.is_finished:
            say(_epoch_line(name, session.step(), trial.epochs))
        session.close()
        return True
    except Exception as error:
        if not isinstance(error, SelfishError) and not is_out_of_memory(error):
            raise
        failure = classify(retold(error) if is_out_of_memory(error) else error)
    say(f"error: {name}: {failure.failure}: {failure.message}")
    return False


def _epoch_line(name: str, record: Record, epochs: int) -> str:
    if record.outcome == "diverged":
        return f"{name}: epoch {record.epoch}/{epochs}: diverged: {record.message}"
    speed = f"{record.timing.tokens_per_second:,.0f} tokens/s"
    return f"{name}: epoch {record.epoch}/{epochs}: val perplexity {record.metrics['val_perplexity']:.2f}, {speed}"
