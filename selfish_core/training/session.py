"""One trial over its trial store: first the recorded epochs, one a call, then training from the newest good checkpoint.

This is the loop of every way of running a trial: `selfish train`, the Tune trainable and the tests. Resume is replay:
whoever calls `step` sees epochs 1, 2, 3, … whether they were trained now or long ago.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from selfish_core.accounting import steps_of_epoch
from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError, NondeterminismError, StorageFullError
from selfish_core.provenance import code_version
from selfish_core.records import Provenance, Record, Timing
from selfish_core.training.checkpoint import dump, restore
from selfish_core.training.fingerprint import fingerprint, pick_device
from selfish_core.training.loop import EpochResult, Training
from selfish_core.training.watchdog import Beat, no_beat
from selfish_core.trial_store import Attempt, CheckpointRef, StoredTrial

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class DiskPatience:
    """How long a full disk is waited for.

    Args:
        timeout_seconds: after this the trial fails; nothing that was committed is lost.
        poll_seconds: between two tries.
    """

    timeout_seconds: float = 600.0
    poll_seconds: float = 5.0


@dataclass(frozen=True)
class Retention:
    """Which checkpoints stay while a trial goes on.

    Args:
        num_last: the newest so many, ≥ 1.
        keeps_best: whether the one with the lowest validation loss stays too.
    """

    num_last: int = 2
    keeps_best: bool = True


@dataclass(frozen=True)
class _Manner:
    """How a session trains; none of it changes a bit.

    Args:
        reason: why a new attempt starts.
        patience: with a full disk.
        retention: of checkpoints.
        beat: called wherever a step is made.
    """

    reason: str
    patience: DiskPatience
    retention: Retention
    beat: Beat


@dataclass
class _Replay:
    """What is recorded already, and what was noticed on the way back to training."""

    records: list[Record] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class TrialSession:
    """Give a trial's epochs in order.

    Args:
        config: the resolved trial.
        epochs: how many it is to have.
        corpus: its text.
        stored: its place in a trial store; None keeps nothing on disk.
        device: `cpu`, `cuda` or `auto`.
        reason: why a new attempt starts, where one must.
        patience: with a full disk.
        retention: of checkpoints.
        beat: called wherever a step is made.
    """

    def __init__(
        self,
        config: TrialConfig,
        *,
        epochs: int,
        corpus: Corpus,
        stored: StoredTrial | None = None,
        device: str = "cpu",
        reason: str = "run",
        patience: DiskPatience = DiskPatience(),
        retention: Retention = Retention(),
        beat: Beat = no_beat,
    ) -> None:
        torch.sparse.check_sparse_tensor_invariants.enable()  # type: ignore[no-untyped-call]  # torch has no annotation
        self.config = config
        self.epochs = epochs
        self.epoch = 0
        self._replay = _Replay(stored.records()[:epochs] if stored is not None else [])
        manner = _Manner(reason, patience, retention, beat)
        self._trainer = _Trainer(config, corpus, stored, device, manner)
        self._last: Record | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all epochs were given, or the trial diverged."""
        return self.epoch >= self.epochs or (self._last is not None and self._last.outcome == "diverged")

    def step(self) -> Record:
        """Return the next epoch's record.

        Raises:
            NondeterminismError: when an epoch that must be trained again differs from its record.
            FencedError: when a later attempt has taken the trial over.
            StoreError: when the trial store fails for longer than the patience.
        """
        if self.is_finished:
            raise ValueError(f"trial {self.config.key()} has no epoch after {self.epoch}")
        if self.epoch < len(self._replay.records):
            self._last = self._replay.records[self.epoch]
        else:
            self._last = self._trainer.next_record(self._replay)
        self.epoch += 1
        return self._last

    def save(self) -> tuple[bytes, dict[str, Any]]:
        """Return a checkpoint of the epoch just given, for Tune: a whole one, or with a trial store the epoch alone."""
        if self._trainer.stored is not None:
            return b"", {"key": self.config.key(), "epoch": self.epoch}
        return self._trainer.save(self._replay)

    def load(self, tensors: bytes, state: dict[str, Any]) -> None:
        """Go on from what `save` returned; with a trial store its own records and checkpoints say how.

        Raises:
            CorruptFileError: when it is another trial's, or reaches further than the trial store.
        """
        if self._trainer.stored is None:
            self.epoch = self._trainer.load(tensors, state)
        elif state.get("key") != self.config.key() or int(state["epoch"]) > len(self._replay.records):
            raise CorruptFileError(f"the given checkpoint is not of the stored epochs of trial {self.config.key()}")
        else:
            self.epoch = int(state["epoch"])
        self._last = None

    def close(self) -> None:
        """Seal the attempt if it is finished; the session is not used again."""
        if self.is_finished:
            self._trainer.seal()


class _Trainer:
    """The training half of a session: starts when the records are used up."""

    def __init__(
        self,
        config: TrialConfig,
        corpus: Corpus,
        stored: StoredTrial | None,
        device: str,
        manner: _Manner,
    ) -> None:
        self.config = config
        self.stored = stored
        self.training: Training | None = None
        self.attempt: Attempt | None = None
        self._corpus = corpus
        self._device = pick_device(device)
        self._manner = manner

    def next_record(self, replay: _Replay) -> Record:
        training = self._started(replay)
        while training.progress.epoch < len(replay.records):
            again = self._train_again(training, replay)
            if again.outcome == "diverged":
                replay.records[again.epoch - 1 :] = [again]
                return again
        record = self._train(training, replay)
        replay.records.append(record)
        return record

    def save(self, replay: _Replay) -> tuple[bytes, dict[str, Any]]:
        return dump(self._started(replay))

    def load(self, tensors: bytes, state: dict[str, Any]) -> int:
        training = self._new()
        restore(training, tensors, state, "the given checkpoint")
        self.training = training
        return training.progress.epoch

    def seal(self) -> None:
        if self.attempt is not None:
            self.attempt.seal()

    def _new(self) -> Training:
        return Training(self.config, self._corpus, self._device, self._manner.beat)

    def _started(self, replay: _Replay) -> Training:
        """Build the training and put it where the newest good checkpoint is, or at the start."""
        if self.training is None:
            self.training = self._new()
            resumes = self._resume(self.training, replay)
            if self.stored is not None:
                self.attempt = self.stored.claim(resumes, self._manner.reason)
        return self.training

    def _resume(self, training: Training, replay: _Replay) -> CheckpointRef | None:
        for ref in self.stored.checkpoints() if self.stored is not None else ():
            if ref.epoch > len(replay.records):
                continue
            where = f"checkpoint of epoch {ref.epoch}, attempt {ref.attempt}, trial {self.config.key()}"
            try:
                data = self.stored.load(ref) if self.stored is not None else None
                if data is not None:
                    replay.events += restore(training, data.tensors, data.state, where)
                    return ref
            except CorruptFileError as error:
                log.warning("refused a damaged checkpoint, taking the one before it: %s", error)
                replay.events.append(f"refused: {error}")
                training = self.training = self._new()
        return None

    def _train_again(self, training: Training, replay: _Replay) -> Record:
        """Train an epoch whose checkpoint is gone, and compare it with its record."""
        known = replay.records[training.progress.epoch]
        record = self._train(training, replay)
        if record.science() == known.science():
            return record
        if record.provenance == known.provenance:
            raise NondeterminismError(
                f"NONDETERMINISTIC: epoch {record.epoch} of trial {record.key}, trained again on the same fingerprint, "
                f"differs from its record (validation perplexity {record.metrics.get('val_perplexity')}, "
                f"recorded {known.metrics.get('val_perplexity')}): check the hardware, or answer anew"
            )
        log.warning(
            "epoch %d of trial %s differs from its record: code or machine have changed", record.epoch, record.key
        )
        return record

    def _train(self, training: Training, replay: _Replay) -> Record:
        started = time.time()
        result = training.run_epoch()
        record = self._record(training, result, replay, started)
        replay.events.clear()
        if self.attempt is not None:
            self._commit(self.attempt, training, record)
        return record

    def _record(self, training: Training, result: EpochResult, replay: _Replay, started: float) -> Record:
        finished = time.time()
        has_diverged = bool(result.message)
        tokens = steps_of_epoch(self.config).num_scored_tokens
        return Record(
            key=self.config.key(),
            attempt=self.attempt.number if self.attempt is not None else 1,
            epoch=training.progress.epoch + has_diverged,
            outcome="diverged" if has_diverged else "trained",
            metrics=result.metrics,
            message=result.message,
            events=tuple(replay.events),
            is_provisional=has_diverged,
            provenance=Provenance(code_version=code_version(), fingerprint=fingerprint(self._device)),
            timing=Timing(
                started_ms=int(started * 1000),
                finished_ms=int(finished * 1000),
                tokens_per_second=tokens / max(finished - started, 1e-9),
            ),
        )

    def _commit(self, attempt: Attempt, training: Training, record: Record) -> None:
        """Checkpoint first, then the record that relies on it; a diverged epoch has no checkpoint."""
        if record.outcome == "diverged":
            self._patiently(lambda: attempt.write_record(record))
            return
        tensors, state = dump(training)
        ref = self._patiently(lambda: attempt.write_checkpoint(record.epoch, tensors, state))
        self._patiently(lambda: attempt.write_record(record))
        self._retain(attempt, training, ref)

    def _retain(self, attempt: Attempt, training: Training, newest: CheckpointRef) -> None:
        """Keep what the retention says."""
        retention = self._manner.retention
        refs = self.stored.checkpoints() if self.stored is not None else []
        last = [ref for ref in refs if ref.epoch <= newest.epoch][: retention.num_last]
        best = [ref for ref in refs if ref.epoch == training.progress.best_epoch and retention.keeps_best]
        attempt.retain([*last, *best])

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """Do it; where the disk is full, say so once and wait for space."""
        patience, waited = self._manner.patience, 0.0
        while True:
            try:
                return action()
            except StorageFullError as error:
                if waited >= patience.timeout_seconds:
                    raise
                if waited == 0.0:
                    log.warning("the trial waits for space, up to %g s: %s", patience.timeout_seconds, error)
                time.sleep(patience.poll_seconds)
                waited += patience.poll_seconds
                self._manner.beat()
