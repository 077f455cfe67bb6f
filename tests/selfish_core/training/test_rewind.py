"""Lottery tickets: when rounds end, what is put back, and what starts anew."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.accounting import tensor_targets
from selfish_core.catalogue.distributions import num_active
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.data.corpora import Corpus
from selfish_core.training.checkpoint import dump, restore
from selfish_core.training.loop import Training
from selfish_core.training.rewind import Rewinding


def start(config: Any, corpus: Corpus) -> Training:
    torch.set_num_threads(1)
    return Training(config, corpus, torch.device("cpu"))


def copies(training: Training) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in training.parameters().items()}


def test_only_rewinding_methods_rewind() -> None:
    for name, row in METHODS.items():
        parts = SparsityConfig.model_validate({"level": 0.5, **row.parts})
        given = parts.model_copy(update={"round_epochs": 2}) if name == "lottery" else parts
        assert (Rewinding.of(given, {}) is not None) == (name == "lottery")


@pytest.mark.parametrize(
    ("rounds", "round_epochs", "expected"),
    [(1, 3, [None, None, 1, None, None, None, None]), (3, 2, [None, 1, None, 2, None, 3, None])],
)
def test_a_round_ends_with_its_last_epoch_and_the_last_training_with_none(
    rounds: int, round_epochs: int, expected: list[int | None]
) -> None:
    rewinding = Rewinding(rounds, round_epochs, 0, {})
    assert [rewinding.rounds_done(epoch) for epoch in range(1, 8)] == expected


def test_the_weights_of_the_named_epoch_are_kept_as_copies() -> None:
    weight = torch.ones(2)
    rewinding = Rewinding(1, 3, 1, {"w": weight})
    assert rewinding.weights == {}
    for epoch in (1, 2):
        weight += 1
        rewinding.keep(epoch, {"w": weight})
    assert rewinding.weights["w"].tolist() == [2, 2]
    rewinding.put_back({"w": weight})
    assert weight.tolist() == [2, 2]
    assert rewinding.weights["w"] is not weight


def lottery(tiny_trial: Any, **parts: Any) -> Any:
    return tiny_trial("lottery", "nt_asgd", sparsity={"level": 0.6, **parts})


@pytest.mark.parametrize("to_epoch", [0, 1])
def test_survivors_go_back_to_their_early_values_and_biases_too(
    to_epoch: int, tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    training = start(lottery(tiny_trial, round_epochs=3, rewind_to_epoch=to_epoch), tiny_corpus)
    early = copies(training)
    for epoch in range(1, 4):
        before = copies(training)
        training.run_epoch()
        if epoch == to_epoch:
            early = copies(training)
    assert not torch.equal(before["decoder.bias"], early["decoder.bias"])
    for name, weight in training.parameters().items():
        mask = training.updater.masks.tensors.get(name)
        assert torch.equal(weight, early[name] if mask is None else early[name] * mask)


def test_the_smallest_weights_of_the_end_of_a_round_go(
    tiny_trial: Any, tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = start(lottery(tiny_trial, round_epochs=1), tiny_corpus)
    trained: list[dict[str, Tensor]] = []
    plain = training.updater.prune_round

    def watched(*given: Any) -> Any:
        trained.append(copies(training))
        return plain(*given)

    monkeypatch.setattr(training.updater, "prune_round", watched)
    training.run_epoch()
    for name, mask in training.updater.masks.tensors.items():
        magnitude = trained[0][name].abs()
        assert magnitude[mask].min() >= magnitude[~mask].max()


def test_every_round_keeps_the_same_share_and_the_last_reaches_the_level(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = lottery(tiny_trial, rewind_rounds=3, round_epochs=1)
    training = start(config, tiny_corpus)
    targets = tensor_targets(config)
    selectable = []
    for done in (1, 2, 3, 3, 3):
        selectable.append(training.run_epoch().metrics["is_selectable"])
        for target in targets:
            expected = num_active(target.density ** (done / 3), target.shape.size)
            assert int(training.updater.masks.tensors[target.shape.name].sum()) == expected
    # an epoch counts where it was trained at the last density
    assert selectable == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_the_optimizer_starts_anew_after_every_round(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    training = start(lottery(tiny_trial, rewind_rounds=1, round_epochs=4), tiny_corpus)
    for loss in (1.0, 2.0, 3.0):
        training.optimizer.end_epoch(loss)
    assert training.optimizer.is_averaging
    for _ in range(3):
        training.run_epoch()
    assert training.optimizer.is_averaging
    training.run_epoch()
    assert not training.optimizer.is_averaging
    assert training.optimizer.state().scalars["val_losses"] == []
    assert training.optimizer._multipliers is training.updater.masks.multipliers


@pytest.mark.parametrize("removal", ["magnitude", "signed_magnitude", "snip", "random"])
@pytest.mark.parametrize("granularity", ["tensor", "gate", "layer", "global"])
def test_every_counted_removal_reaches_the_level_exactly(
    removal: str, granularity: str, tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    config = lottery(tiny_trial, round_epochs=1, removal=removal, granularity=granularity, level=0.47)
    training = start(config, tiny_corpus)
    training.run_epoch()
    assert training.updater.masks.num_active() == sum(target.num_active for target in tensor_targets(config))
    assert training.updater.is_at_target()


def assert_resumes(config: Any, corpus: Corpus, epochs_before: int) -> None:
    whole = start(config, corpus)
    for _ in range(epochs_before):
        whole.run_epoch()
    tensors, state = dump(whole)
    resumed = start(config, corpus)
    assert restore(resumed, tensors, state, "a checkpoint") == []
    for _ in range(3):
        assert whole.run_epoch().metrics == resumed.run_epoch().metrics
    assert all(torch.equal(weight, copies(whole)[name]) for name, weight in copies(resumed).items())


@pytest.mark.parametrize("epochs_before", [1, 2, 3])
@pytest.mark.parametrize("to_epoch", [0, 1])
def test_a_resume_goes_back_to_the_same_weights(
    to_epoch: int, epochs_before: int, tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    config = lottery(tiny_trial, rewind_rounds=2, round_epochs=2, rewind_to_epoch=to_epoch)
    assert_resumes(config, tiny_corpus, epochs_before)


def test_a_resume_from_before_the_epoch_to_go_back_to(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    assert_resumes(lottery(tiny_trial, round_epochs=3, rewind_to_epoch=2), tiny_corpus, 1)
