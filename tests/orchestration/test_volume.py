"""Predicted sizes of checkpoints beside those of real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from orchestration.volume import bytes_text, checkpoint_bytes, num_finished, num_running, volume
from selfish_core.data.corpora import Corpus
from selfish_core.files import encode_json
from selfish_core.resolve import resolve
from selfish_core.training.checkpoint import dump
from selfish_core.training.loop import Training
from sweeps.sections import Keep

ARCHITECTURE = {"name": "stacked_lstm", "num_layers": 2, "hidden_size": 48, "embedding_size": 48}

TRIALS: dict[str, dict[str, Any]] = {
    "plain SGD": {"method": "dense", "optimizer": {"name": "sgd", "learning_rate": 1.0}},
    "SGD with momentum": {"method": "snfs", "optimizer": {"name": "sgd", "learning_rate": 1.0, "momentum": 0.9}},
    "Adam": {"method": "set", "optimizer": {"name": "adam"}},
    "averages": {"method": "set", "optimizer": {"name": "nt_asgd", "learning_rate": 1.0, "non_monotone_window": 1}},
    "averages that forget": {
        "method": "selfish",
        "optimizer": {"name": "snt_asgd", "learning_rate": 1.0, "non_monotone_window": 1},
    },
    "signs": {"method": "deepr"},
    "pruning": {"method": "gmp"},
    "rewinding": {"method": "lottery", "sparsity": {"level": 0.8, "rewind_to_epoch": 1, "round_epochs": 2}},
    "mean gradients": {"method": "rigl", "sparsity": {"level": 0.8, "gradient_steps": 5, "update_every_steps": 10}},
    "warm-up": {"method": "set", "sparsity": {"level": 0.8, "regrown_state": "warm_up", "warm_up_steps": 10}},
    "a tied architecture": {
        "method": "set",
        "architecture": {"name": "awd_lstm_mos", "hidden_size": 40, "last_hidden_size": 40, "embedding_size": 40},
    },
    "topology distances": {"method": "set", "training": {"topology_distance": True}},
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """As many words as the synthetic corpus has, and little text."""
    generator = np.random.default_rng(7)
    draw = {split: generator.integers(0, 507, size) for split, size in (("train", 1200), ("valid", 200), ("test", 200))}
    return Corpus(name="folder", vocabulary=tuple(f"w{index}" for index in range(507)), **draw)


@pytest.mark.parametrize("name", TRIALS)
def test_a_real_checkpoint_is_as_large_as_predicted(name: str, corpus: Corpus) -> None:
    raw = {
        "corpus": {"name": "synthetic", "train_fraction": 0.02},
        "architecture": ARCHITECTURE,
        **({} if TRIALS[name]["method"] == "dense" else {"sparsity": 0.8}),
        "optimizer": {"learning_rate": 1.0},
        "seed": 1,
        **TRIALS[name],
    }
    training_part = {"batch_size": 10, "bptt_length": 20, "eval_batch_size": 10, **raw.get("training", {})}
    config = resolve({**raw, "training": training_part}, epochs=4)
    training = Training(config, corpus, torch.device("cpu"))
    training.run_epoch()
    for loss in range(10):  # whatever the first epoch gave, averaging starts
        training.optimizer.end_epoch(loss)
    tensors, state = dump(training)
    assert checkpoint_bytes(config) == pytest.approx(len(tensors) + len(encode_json(state)), rel=0.02)


@pytest.mark.parametrize(
    ("keep", "running", "finished"),
    [
        (Keep(), 3, 3),
        (Keep(last=1, best_of_trial=False), 1, 1),
        (Keep(finished="best_of_trial"), 3, 2),
        (Keep(finished="best_of_sweep"), 3, 1),
        (Keep(finished="none"), 3, 0),
        (Keep(last=9), 5, 5),
    ],
)
def test_a_policy_leaves_so_many_checkpoints(keep: Keep, running: int, finished: int) -> None:
    assert (num_running(keep, epochs=5), num_finished(keep, epochs=5)) == (running, finished)


def test_the_best_of_the_sweep_is_one_more(make_trial: Callable[..., Any]) -> None:
    configs = [make_trial(seed=seed).config for seed in (1, 2, 3)]
    one = checkpoint_bytes(configs[0])
    told = volume(configs, Keep(finished="best_of_sweep"), epochs=5)
    assert (told.running, told.kept) == (9 * one, 4 * one)


def test_bytes_are_told_short() -> None:
    assert [bytes_text(number) for number in (0, 999, 1000, 2.5e9)] == ["0 B", "999 B", "1 kB", "2.5 GB"]
