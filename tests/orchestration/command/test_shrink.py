"""`selfish shrink`: which checkpoint it takes, what it writes and says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from orchestration.verbs.shrink import shrink
from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import InputError
from selfish_core.training.session import TrialSession
from selfish_core.training.shrink import read
from selfish_core.trial_store import StoredTrial, TrialStore

EPOCHS = 4


@pytest.fixture
def config(tiny_trial: Any) -> TrialConfig:
    parts = {"level": 0.0, "group_lasso": 0.02, "zero_threshold": 0.05}
    found: TrialConfig = tiny_trial("iss", "sgd", sparsity=parts, optimizer={"learning_rate": 1.0})
    return found


def train(store: TrialStore, config: TrialConfig, corpus: Corpus, epochs: int = EPOCHS) -> StoredTrial:
    stored = store.put(config.to_dict(), config.key())
    session = TrialSession(config, epochs=epochs, corpus=corpus, stored=stored)
    while not session.is_finished:
        session.step()
    session.close()
    return stored


def call(store: TrialStore, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(shrink)
    done = CliRunner().invoke(app, [*arguments, "--store", store.place])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_it_writes_a_network_that_can_be_read_back(
    store: TrialStore, config: TrialConfig, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    train(store, config, tiny_corpus)
    out = tmp_path / "small"
    report = json.loads(call(store, config.key()[:8], "--out", str(out), "--epoch", str(EPOCHS), "--json").stdout)
    model, found = read(out)
    assert found == report
    assert report["key"] == config.key()
    assert report["epoch"] == EPOCHS
    assert sum(report["units_after"].values()) < sum(report["units_before"].values()) == 16
    assert report["num_parameters_after"] < report["num_parameters_before"]
    assert model(torch.zeros(2, 1, dtype=torch.int64), model.initial_state(1)).scores_TBV.shape == (2, 1, 30)
    assert sorted(path.name for path in out.iterdir()) == ["shrunken.json", "weights.safetensors"]


def test_it_takes_the_best_epoch_and_prints_a_table(
    store: TrialStore, config: TrialConfig, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    stored = train(store, config, tiny_corpus)
    losses = {record.epoch: record.metrics["val_loss_nats"] for record in stored.records()}
    best = min(losses, key=lambda epoch: losses[epoch])
    done = call(store, config.key(), "--out", str(tmp_path / "small"))
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["units", "lstm0", "lstm1", "parameters"]
    assert done.stderr == f"{tmp_path / 'small'}: weights.safetensors and shrunken.json, of epoch {best}\n"
    assert read(tmp_path / "small")[1]["epoch"] == best


def test_it_says_so_where_the_best_checkpoint_is_gone(
    store: TrialStore, config: TrialConfig, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    stored = train(store, config, tiny_corpus)
    best = [record.epoch for record in stored.records() if "test_perplexity" in record.metrics][-1]
    assert best < EPOCHS
    (Path(store.place) / f"trials/{config.key()}/attempts/1/checkpoints/epoch-{best:05d}/manifest.json").unlink()
    done = call(store, config.key(), "--out", str(tmp_path / "small"))
    assert f"note: the checkpoint of the best epoch, {best}, is gone: this is epoch {EPOCHS}\n" in done.stderr


def test_a_folder_that_holds_something_is_left_alone(
    store: TrialStore, config: TrialConfig, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    store.put(config.to_dict(), config.key())
    with pytest.raises(InputError, match="is there already; name a new or empty folder"):
        call(store, config.key(), "--out", str(tmp_path))
    with pytest.raises(InputError, match="there is no such folder"):
        call(store, config.key(), "--out", str(tmp_path / "a" / "b"))


def test_a_trial_without_the_checkpoint_is_refused(
    store: TrialStore, config: TrialConfig, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    store.put(config.to_dict(), config.key())
    with pytest.raises(InputError, match=f"trial {config.key()} has no checkpoint: archives carry none"):
        call(store, config.key(), "--out", str(tmp_path / "small"))
    train(store, config, tiny_corpus, epochs=2)
    with pytest.raises(InputError, match="has no checkpoint of epoch 9: there are those of 1, 2"):
        call(store, config.key(), "--out", str(tmp_path / "small"), "--epoch", "9")
    assert not (tmp_path / "small").exists()


def test_an_architecture_that_cannot_be_shrunk_is_refused_by_name(
    store: TrialStore, tiny_trial: Any, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    config = tiny_trial("static", "sgd", architecture="on_lstm")
    train(store, config, tiny_corpus, epochs=1)
    with pytest.raises(InputError, match="architecture 'on_lstm' cannot be shrunk: known are rhn, stacked_lstm"):
        call(store, config.key(), "--out", str(tmp_path / "small"))


def test_a_sparse_trial_with_averages_shrinks_too(
    store: TrialStore, tiny_trial: Any, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    config = tiny_trial("selfish", "snt_asgd", sparsity={"level": 0.97})
    train(store, config, tiny_corpus)
    report = json.loads(call(store, config.key(), "--out", str(tmp_path / "small"), "--json").stdout)
    assert sum(report["units_after"].values()) < 16
    assert report["zero_threshold"] == 0.0
