"""The loop: evaluation against a float64 sum, order of events in an epoch, and what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from selfish_core.accounting import steps_of_epoch, training_flops
from selfish_core.data.batching import batchify
from selfish_core.data.corpora import Corpus
from selfish_core.training.evaluate import evaluate
from selfish_core.training.loop import Epoch, Training


def start(config: Any, corpus: Corpus) -> Training:
    torch.set_num_threads(1)
    return Training(config, corpus, torch.device("cpu"))


def test_evaluation_carries_the_state_and_scores_every_token_but_the_first_of_a_stream(
    tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    training = start(tiny_trial(), tiny_corpus)
    rows = batchify(tiny_corpus.test, 3)
    found = evaluate(training.model, rows, training.model.initial_state(3))
    with torch.no_grad():
        logits = training.model(rows[:-1], training.model.initial_state(3)).scores_TBV
        log_probabilities = logits.double().log_softmax(dim=2)
    scored = [
        log_probabilities[time, stream, rows[time + 1, stream]].item()
        for time in range(len(rows) - 1)
        for stream in range(3)
    ]
    assert found == pytest.approx(-sum(scored) / len(scored), rel=1e-6)


def test_an_epoch_takes_the_steps_that_accounting_counts(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = tiny_trial()
    training = start(config, tiny_corpus)
    epoch = Epoch()
    metrics = training.run_epoch(epoch).metrics
    steps = steps_of_epoch(config)
    assert (len(epoch.losses), training.progress.step) == (steps.num_steps, steps.num_steps)
    assert sum(rows for rows, _ in epoch.losses) * config.training.batch_size == steps.num_scored_tokens
    assert metrics["training_flops"] == training_flops(config, 1)
    assert metrics["train_perplexity"] == pytest.approx(math.exp(metrics["train_loss_nats"]))


def test_averaging_starts_after_the_trigger_epoch_which_updates_no_mask(
    tiny_trial: Any, tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses 5, 4, 6: with a window of 1 epoch 3 fires, for 6 > 5."""
    losses = iter([5.0, 9.9, 4.0, 9.9, 6.0, 3.0, 9.9])  # a test loss, 9.9, follows each new minimum
    monkeypatch.setattr(Training, "_loss", lambda self, rows: next(losses))
    training = start(tiny_trial("selfish", "snt_asgd"), tiny_corpus)
    found = [training.run_epoch().metrics for _ in range(4)]
    assert [metrics["is_averaging"] for metrics in found] == [0.0, 0.0, 0.0, 1.0]
    assert [metrics["num_mask_updates"] for metrics in found] == [1.0, 2.0, 2.0, 3.0]
    assert found[2]["turnover_fraction"] == 0.0
    assert ["test_loss_nats" in metrics for metrics in found] == [True, True, False, True]


def test_the_weights_that_are_trained_are_never_the_averages(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    training = start(tiny_trial("dense", "nt_asgd"), tiny_corpus)
    for loss in (1.0, 2.0, 3.0):
        training.optimizer.end_epoch(loss)
    for _ in range(2):
        training._train(Epoch())
    iterate = training.parameters()["decoder.weight"].detach().clone()
    with training.optimizer.evaluation_weights():
        assert not torch.equal(training.parameters()["decoder.weight"], iterate)
    assert torch.equal(training.parameters()["decoder.weight"], iterate)


def test_rigl_updates_its_mask_in_place_of_a_step_and_ends_when_told(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = tiny_trial("rigl", "sgd")
    assert config.sparsity.update_every_steps == 5
    training = start(config, tiny_corpus)
    before_update = [training.run_epoch().metrics["num_mask_updates"] for _ in range(6)]
    # eleven steps an epoch; the horizon is 6 epochs of 100 rows / 9, so 66 steps, of which three quarters: 49.5
    assert before_update == [2.0, 4.0, 6.0, 8.0, 9.0, 9.0]


def test_gradients_are_clipped_by_their_global_norm(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    training = start(tiny_trial("dense", "sgd", optimizer={"clip_norm": 1e-3, "weight_decay": 0.0}), tiny_corpus)
    before = {name: weight.detach().clone() for name, weight in training.parameters().items()}
    rows = batchify(tiny_corpus.train, 4)
    training._step(Epoch(), rows[:9], rows[1:10], training.model.initial_state(4), 1.0, 0)
    moved = sum((training.parameters()[name] - weight).square().sum() for name, weight in before.items()) ** 0.5
    assert float(moved.detach()) == pytest.approx(5.0 * 1e-3, rel=1e-3)
