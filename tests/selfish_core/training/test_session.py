"""Sessions: replay, then training; interrupted anywhere, the bits are those of a run that was not."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError, FencedError, NondeterminismError, StorageFullError
from selfish_core.records import Record
from selfish_core.training import session as session_module
from selfish_core.training.loop import Training
from selfish_core.training.session import DiskPatience, Retention, TrialSession
from selfish_core.trial_store import StoredTrial, TrialStore

EPOCHS = 6


def stored_trial(folder: Path, config: TrialConfig) -> StoredTrial:
    return TrialStore.open(folder).put(config.to_dict(), config.key())


def run_to_end(session: TrialSession) -> list[Record]:
    records = []
    while not session.is_finished:
        records.append(session.step())
    session.close()
    return records


def science(records: list[Record]) -> list[str]:
    return [record.science() for record in records]


def last_checkpoint(trial: StoredTrial) -> tuple[bytes, object]:
    data = trial.load(trial.checkpoints()[0])
    return data.tensors, data.state


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("method", "optimizer"), [("selfish", "snt_asgd"), ("set", "nt_asgd"), ("rigl", "adam")])
def test_a_trial_killed_at_any_step_and_resumed_has_the_same_bits(
    method: str, optimizer: str, tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial(method, optimizer)
    undisturbed = stored_trial(tmp_path / "undisturbed", config)
    expected = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=undisturbed))
    if optimizer in ("nt_asgd", "snt_asgd"):
        assert any(record.metrics["is_averaging"] for record in expected), "the case must reach averaging"

    killed = stored_trial(tmp_path / "killed", config)
    steps_left = 0
    plain_step = Training._step

    def mortal_step(self: Training, *args: object) -> object:
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise Killed
        return plain_step(self, *args)

    monkeypatch.setattr(Training, "_step", mortal_step)
    for life in itertools.count():
        steps_left = 13 + 5 * life  # eleven steps an epoch: some lives end in their first epoch, some later
        try:
            run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=killed, reason="resume"))
            break
        except Killed:
            continue
    assert science(killed.records()) == science(expected)
    assert last_checkpoint(killed) == last_checkpoint(undisturbed)
    assert len(killed.attempts()) > 2


def test_a_finished_trial_is_replayed_without_an_attempt(tiny_trial, tiny_corpus: Corpus, tmp_path: Path) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    first = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    again = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    assert again == first
    assert len(trial.attempts()) == 1


def test_more_epochs_go_on_from_the_last_checkpoint(tiny_trial, tiny_corpus: Corpus, tmp_path: Path) -> None:
    config = tiny_trial()
    long = stored_trial(tmp_path / "long", config)
    expected = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=long))
    short = stored_trial(tmp_path / "short", config)
    run_to_end(TrialSession(config, epochs=4, corpus=tiny_corpus, stored=short))
    run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=short))
    assert science(short.records()) == science(expected)
    assert [attempt.first_epoch for attempt in short.attempts()] == [1, 5]


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_taken(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_trial()
    expected = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus))
    trial = stored_trial(tmp_path, config)
    run_to_end(TrialSession(config, epochs=4, corpus=tiny_corpus, stored=trial))
    newest = max(tmp_path.rglob("tensors.safetensors"))
    damaged = bytearray(newest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        records = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    assert science(records) == science(expected)
    assert science(trial.records()) == science(expected)
    assert "refused a damaged checkpoint" in caplog.text
    assert any(record.events for record in trial.records())


def test_without_any_checkpoint_the_trial_starts_over_and_compares(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    first = run_to_end(TrialSession(config, epochs=4, corpus=tiny_corpus, stored=trial))
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.unlink()
    records = run_to_end(TrialSession(config, epochs=5, corpus=tiny_corpus, stored=trial))
    assert science(records)[:4] == science(first)
    assert trial.answered_epochs() == 5


def test_an_epoch_that_comes_out_differently_is_told_loudly(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    run_to_end(TrialSession(config, epochs=2, corpus=tiny_corpus, stored=trial))
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.unlink()
    plain = Training._loss
    monkeypatch.setattr(Training, "_loss", lambda self, rows: plain(self, rows) + 1e-12)
    with pytest.raises(NondeterminismError, match="NONDETERMINISTIC: epoch 1"):
        run_to_end(TrialSession(config, epochs=3, corpus=tiny_corpus, stored=trial))


def test_a_later_attempt_fences_the_earlier_one(tiny_trial, tiny_corpus: Corpus, tmp_path: Path) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    zombie = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    zombie.step()
    successor = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial, reason="take over")
    records = [successor.step(), successor.step()]
    with pytest.raises(FencedError):
        zombie.step()
    assert trial.records() == records


def test_a_full_disk_is_waited_for_and_then_told(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    patience = DiskPatience(timeout_seconds=0.03, poll_seconds=0.01)
    session = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial, patience=patience)
    session.step()
    from selfish_core.store.attempt import Attempt

    plain = Attempt.write_checkpoint
    failures = 2

    def full(self: Attempt, *args: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StorageFullError("no space left on /store: 100 bytes needed, 3 free")
        return plain(self, *args)

    monkeypatch.setattr(Attempt, "write_checkpoint", full)
    session.step()
    assert caplog.text.count("waits for space") == 1
    failures = 100
    with pytest.raises(StorageFullError):
        session.step()
    assert trial.answered_epochs() == 2
    failures = 0
    expected = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus))
    run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    assert science(trial.records()) == science(expected)


def test_waiting_for_space_is_no_stall(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfish_core.store.attempt import Attempt

    config, beats = tiny_trial(), []
    trial, patience = stored_trial(tmp_path, config), DiskPatience(timeout_seconds=0.01, poll_seconds=0.001)
    session = TrialSession(
        config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial, patience=patience, beat=lambda: beats.append("beat")
    )
    session.step()
    beats.clear()

    def full(self: Attempt, *args: object) -> object:
        beats.append("full")
        raise StorageFullError("no space left on /store")

    monkeypatch.setattr(Attempt, "write_checkpoint", full)
    with pytest.raises(StorageFullError):
        session.step()
    waiting = beats[beats.index("full") :]
    assert waiting == ["full", "beat"] * (len(waiting) // 2) + ["full"]
    assert len(waiting) > 3


@pytest.mark.parametrize(
    ("retention", "kept"),
    [(Retention(), [6, 5, 3]), (Retention(1), [6, 3]), (Retention(3, False), [6, 5, 4]), (Retention(1, False), [6])],
)
def test_the_last_checkpoints_stay_and_the_best_one(
    retention: Retention,
    kept: list[int],
    tiny_trial,
    tiny_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Training.run_epoch

    def run_epoch(self: Training) -> object:
        result = plain(self)
        self.progress.best_epoch = min(3, self.progress.epoch)
        return result

    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    trial = stored_trial(tmp_path, tiny_trial())
    run_to_end(TrialSession(tiny_trial(), epochs=EPOCHS, corpus=tiny_corpus, stored=trial, retention=retention))
    assert [ref.epoch for ref in trial.checkpoints()] == kept


@pytest.mark.parametrize("where", ["loss", "gradient", "validation"])
def test_a_trial_that_diverges_ends_with_a_result(
    where: str, tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    session = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    session.step()
    training = session._trainer.training
    assert training is not None
    if where == "loss":
        with torch.no_grad():
            training.model.decoder.bias[0] = float("inf")
    elif where == "gradient":
        training.model.lstm[1].weight_hh_l0.register_hook(lambda gradient: gradient * float("nan"))
    else:
        monkeypatch.setattr(Training, "_loss", lambda self, rows: float("nan"))
    record = session.step()
    assert (record.outcome, record.epoch) == ("diverged", 2)
    said = {
        "loss": "training loss is nan",
        "gradient": "in lstm.1.weight_hh_l0",
        "validation": "validation loss is nan",
    }
    assert said[where] in record.message
    assert session.is_finished
    session.close()
    assert trial.is_diverged()
    again = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    assert science(run_to_end(again)) == science(trial.records())


def test_same_seed_same_bits_other_seed_other_bits(tiny_trial, tiny_corpus: Corpus) -> None:
    one, same, other = (
        run_to_end(TrialSession(tiny_trial(seed=seed), epochs=2, corpus=tiny_corpus)) for seed in (1, 1, 2)
    )
    assert science(one) == science(same)
    assert one[0].metrics["val_loss_nats"] != other[0].metrics["val_loss_nats"]


def test_a_checkpoint_of_another_kind_of_device_is_gone_on_from_and_told(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    plain_dump = session_module.dump

    def dump_as_on_a_gpu(training: Training) -> tuple[bytes, dict[str, object]]:
        tensors, state = plain_dump(training)
        named = load_tensors(tensors) | {"generators/dropout": torch.zeros(16, dtype=torch.uint8)}
        return save_tensors(named), {**state, "device": "cuda"}

    monkeypatch.setattr(session_module, "dump", dump_as_on_a_gpu)
    first = run_to_end(TrialSession(config, epochs=3, corpus=tiny_corpus, stored=trial))
    monkeypatch.setattr(session_module, "dump", plain_dump)
    run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    records = trial.records()
    assert records[:3] == first
    assert records[3].events == ("went on on cpu after cuda: dropout draws from a new sequence after epoch 3",)


def test_an_epoch_that_diverges_when_trained_again_ends_the_trial(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    run_to_end(TrialSession(config, epochs=2, corpus=tiny_corpus, stored=trial))
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.unlink()
    monkeypatch.setattr(session_module, "code_version", lambda: "another")
    monkeypatch.setattr(Training, "_loss", lambda self, rows: float("nan"))
    records = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial))
    assert [record.outcome for record in records] == ["trained", "trained", "diverged"]
    assert [(record.epoch, record.outcome) for record in trial.records()] == [(1, "diverged")]


def test_with_a_store_save_and_load_name_the_epoch_and_the_store_has_the_rest(
    tiny_trial, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    config = tiny_trial()
    trial = stored_trial(tmp_path, config)
    expected = run_to_end(TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus))
    run_to_end(TrialSession(config, epochs=4, corpus=tiny_corpus, stored=trial))
    first = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    first.step()
    second = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    second.load(*first.save())
    assert science(run_to_end(second)) == science(expected[1:])
    assert science(trial.records()) == science(expected)
    other = TrialSession(tiny_trial(seed=9), epochs=EPOCHS, corpus=tiny_corpus, stored=trial)
    with pytest.raises(CorruptFileError, match="not of the stored epochs"):
        other.load(*first.save())
