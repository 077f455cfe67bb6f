"""Canaries: a few steps of any trial, which leave no trace."""

from __future__ import annotations

import numpy as np
import pytest

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.methods import METHODS
from selfish_core.data.corpora import Corpus
from selfish_core.training.canary import Canary
from selfish_core.training.loop import Training


@pytest.fixture
def long_corpus(tiny_corpus: Corpus) -> Corpus:
    return Corpus(
        name="folder",
        vocabulary=tiny_corpus.vocabulary,
        train=np.tile(tiny_corpus.train, 50),
        valid=np.tile(tiny_corpus.valid, 50),
        test=np.tile(tiny_corpus.test, 50),
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What canaries do."""
    found: list[str] = []
    step, evaluate, update = Training._step, Training._loss, Training.update_masks
    monkeypatch.setattr(Training, "_step", lambda *given: (found.append("step"), step(*given))[1])
    monkeypatch.setattr(Training, "_loss", lambda *given: (found.append("evaluation"), evaluate(*given))[1])
    monkeypatch.setattr(Training, "update_masks", lambda *given: (found.append("update"), update(*given))[1])
    return found


def test_a_canary_makes_its_steps_and_no_more(tiny_trial, long_corpus: Corpus, seen: list[str]) -> None:
    found = Canary(tiny_trial(), long_corpus, num_steps=3, device="cpu").fly()
    assert seen[:3] == ["step"] * 3
    assert seen.count("step") == 3
    assert {"evaluation", "update"} <= set(seen)
    assert 0 < found.peak_bytes < found.device_bytes
    assert found.seconds_per_step > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_canary_of_every_method_updates_its_masks(
    method: str, tiny_trial, long_corpus: Corpus, seen: list[str]
) -> None:
    optimizer = "sgd" if method == "snfs" else "snt_asgd"
    config = tiny_trial(method, optimizer)
    Canary(config, long_corpus, num_steps=2, device="cpu").fly()
    part = config.sparsity
    has_updates = part.update_every_steps is not None or part.update_every_epochs is not None
    assert ("update" in seen) == has_updates


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_canary_of_every_architecture_flies(architecture: str, tiny_trial, long_corpus: Corpus) -> None:
    config = tiny_trial("selfish", "snt_asgd", architecture=architecture)
    assert Canary(config, long_corpus, num_steps=1, device="cpu").fly().peak_bytes > 0


def test_a_canary_averages_where_its_trial_may(
    tiny_trial, long_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_averaging = []
    plain = Training._step

    def step(self: Training, *given: object) -> object:
        was_averaging.append(self.optimizer.is_averaging)
        return plain(self, *given)

    monkeypatch.setattr(Training, "_step", step)
    Canary(tiny_trial("selfish", "snt_asgd"), long_corpus, num_steps=2, device="cpu").fly()
    assert was_averaging == [True, True]


def test_a_text_that_is_shorter_than_the_canary_is_enough(tiny_trial, tiny_corpus: Corpus, seen: list[str]) -> None:
    Canary(tiny_trial(), tiny_corpus, num_steps=1000, device="cpu").fly()
    assert 0 < seen.count("step") < 1000


def test_a_canary_beats(tiny_trial, long_corpus: Corpus) -> None:
    beats: list[None] = []
    Canary(tiny_trial(), long_corpus, num_steps=2, device="cpu", beat=lambda: beats.append(None)).fly()
    assert len(beats) >= 4
