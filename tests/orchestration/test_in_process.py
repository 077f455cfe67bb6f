"""`selfish train`: a trial that fails is told with its class, and the others go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestration.in_process import _train_one
from selfish_core.errors import CorpusError, StoreError
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore


def train(store: TrialStore, make_trial: Any) -> bool:
    trial = make_trial(epochs=1)
    store.put(trial.config.to_dict(), trial.key)
    meant: Any = SimpleNamespace(config=trial.config, epochs=1, key=trial.key, resources=SimpleNamespace(cpu=1))
    settings: Any = SimpleNamespace(data=None)
    return _train_one(meant, "this one", store, settings, "cpu")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (CorpusError("corpus ptb: gone"), "error: this one: data: CorpusError: corpus ptb: gone"),
        (StoreError("full"), "error: this one: crashed: StoreError: full"),
        (
            torch.OutOfMemoryError("CUDA out of memory"),
            "error: this one: out_of_memory: MemoryError: CUDA out of memory",
        ),
    ],
)
def test_a_failure_is_told_with_its_class(
    raised: Exception,
    said: str,
    store: TrialStore,
    make_trial: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(self: TrialSession) -> None:
        raise raised

    monkeypatch.setattr(TrialSession, "step", fail)
    assert not train(store, make_trial)
    assert said in capsys.readouterr().err


def test_a_bug_is_not_hidden(store: TrialStore, make_trial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: TrialSession) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TrialSession, "step", fail)
    with pytest.raises(ZeroDivisionError):
        train(store, make_trial)


def test_a_trial_is_trained_to_its_end(store: TrialStore, make_trial: Any) -> None:
    assert train(store, make_trial)
    assert store.trial(make_trial(epochs=1).key).answered_epochs() == 1
