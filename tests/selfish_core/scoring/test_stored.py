"""A stored trial's best network is the one that was evaluated: its losses are the recorded ones to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.scoring.splits import num_scored_tokens, split_loss
from selfish_core.scoring.stored import best_record, best_weights, load_best
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import CheckpointData, StoredTrial, TrialStore

CPU = torch.device("cpu")
SLOW_START = {"learning_rate": 0.5}

TRIALS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "averages that forget, masks updated after the epoch": ("selfish", "snt_asgd", {}),
    "averages that remember": ("set", "nt_asgd", {}),
    "no averages": ("set", "sgd", {"optimizer": SLOW_START}),
    "dense": ("dense", "sgd", {"optimizer": SLOW_START}),
    "rewound after the round": ("lottery", "sgd", {"sparsity": {"round_epochs": 2}, "optimizer": SLOW_START}),
    "another test batch": ("selfish", "adam", {"training": {"test_batch_size": 2}}),
}


def trained(store: TrialStore, config: TrialConfig, corpus: Corpus, epochs: int = 6) -> StoredTrial:
    stored = store.put(config.to_dict(), config.key())
    session = TrialSession(config, epochs=epochs, corpus=corpus, stored=stored)
    while not session.is_finished:
        session.step()
    session.close()
    return stored


@pytest.mark.parametrize("name", TRIALS)
def test_the_best_checkpoint_scores_what_was_recorded(
    name: str, tiny_trial: Any, tiny_corpus: Corpus, store: TrialStore
) -> None:
    method, optimizer, parts = TRIALS[name]
    trial = trained(store, tiny_trial(method, optimizer, **parts), tiny_corpus)
    network = load_best(trial)
    assert network.is_as_evaluated
    assert network.record.metrics["val_loss_nats"] == min(
        record.metrics["val_loss_nats"] for record in trial.records() if record.metrics["is_selectable"]
    )
    assert split_loss(network, tiny_corpus, "valid", CPU) == network.record.metrics["val_loss_nats"]
    assert split_loss(network, tiny_corpus, "test", CPU) == network.record.metrics["test_loss_nats"]
    assert split_loss(network, tiny_corpus, "train", CPU) > 0


def test_what_the_update_after_the_evaluation_took_is_in_the_checkpoint_of_the_best_epoch_alone(
    tiny_trial: Any, tiny_corpus: Corpus, store: TrialStore
) -> None:
    trial = trained(store, tiny_trial("set", "sgd", optimizer=SLOW_START), tiny_corpus)
    best = load_best(trial).record.epoch
    data = {ref.epoch: trial.load(ref) for ref in trial.checkpoints()}
    names = data[best].state["overwritten"]
    tensors = load_tensors(data[best].tensors)
    assert names
    assert all(tensors[f"overwritten/{name}"].all() for name in names), "without averages, what was taken was not zero"
    assert {epoch: one.state["overwritten"] for epoch, one in data.items() if epoch > best} == {5: [], 6: []}


def test_a_checkpoint_of_an_older_version_gives_the_weights_after_the_update_and_says_so(
    tiny_trial: Any, tiny_corpus: Corpus, store: TrialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trained(store, tiny_trial("set", "sgd", optimizer=SLOW_START), tiny_corpus, epochs=2)
    whole = trial.load

    def older(ref: Any) -> CheckpointData:
        data = whole(ref)
        tensors = {name: one for name, one in load_tensors(data.tensors).items() if not name.startswith("overwritten")}
        return CheckpointData(
            save_tensors(tensors), {name: value for name, value in data.state.items() if name != "overwritten"}
        )

    monkeypatch.setattr(trial, "load", older)
    network = load_best(trial)
    assert not network.is_as_evaluated
    assert split_loss(network, tiny_corpus, "valid", CPU) != network.record.metrics["val_loss_nats"]


def test_only_the_first_epochs_count_where_a_sweep_wants_fewer(store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial(epochs=5)
    fill(store, trial, 5)
    records = store.trial(trial.key).records()
    epochs = [getattr(best_record(records, wanted), "epoch", None) for wanted in (0, 1, 2, 3, 4, None)]
    assert epochs == [None, 1, 2, 3, 3, 3], "the fixture's validation perplexity is lowest in epoch 3"


def test_a_trial_without_its_best_checkpoint_is_refused_in_one_line(
    store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    with pytest.raises(InputError, match=r"checkpoint of its best epoch, 3, is not kept here: an archive carries none"):
        load_best(store.trial(trial.key))
    diverged = make_trial(seed=2)
    fill(store, diverged, 1, diverges=True)
    with pytest.raises(InputError, match="no epoch that can be selected"):
        load_best(store.trial(diverged.key))


def test_a_checkpoint_whose_parts_do_not_fit_is_refused(
    tiny_trial: Any, tiny_corpus: Corpus, store: TrialStore
) -> None:
    config = tiny_trial("set", "sgd", optimizer=SLOW_START)
    trial = trained(store, config, tiny_corpus, epochs=1)
    data = trial.load(trial.checkpoints()[0])
    name = data.state["overwritten"][0]
    tensors = {one: tensor for one, tensor in load_tensors(data.tensors).items() if one != f"overwritten/{name}"}
    with pytest.raises(CorruptFileError, match="here: does not fit the trial"):
        best_weights(config, CheckpointData(save_tensors(tensors), data.state), "here")


def test_tokens_that_are_scored_are_counted(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = tiny_trial(training={"test_batch_size": 7})
    assert num_scored_tokens(config, tiny_corpus, "valid") == (120 // 4 - 1) * 4
    assert num_scored_tokens(config, tiny_corpus, "test") == (120 // 7 - 1) * 7
