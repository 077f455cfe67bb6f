"""`selfish train`: a trial that fails is told with its class, and the others go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestration import decisions
from orchestration.in_process import Room
from selfish_core.errors import CorpusError, StoreError
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore


def train(store: TrialStore, make_trial: Any) -> bool:
    trial = make_trial(epochs=1)
    store.put(trial.config.to_dict(), trial.key)
    meant: Any = SimpleNamespace(config=trial.config, epochs=1, key=trial.key, resources=SimpleNamespace(cpu=1))
    settings: Any = SimpleNamespace(data=None)
    sweep = store.sweep("s")
    with sweep.owned():
        return Room(store, sweep, settings, "cpu", 0).train(meant, "this one")


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


def test_a_failure_is_kept_for_others_to_see(
    store: TrialStore, make_trial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: TrialSession) -> None:
        raise StoreError("full")

    monkeypatch.setattr(TrialSession, "step", fail)
    train(store, make_trial)
    kinds = [entry.decision.kind for entry in decisions.read(store.sweep("s"))]
    assert kinds == ["running", "failed"]


@pytest.mark.parametrize("kind", ["stop", "cancel", "pause"])
def test_a_request_is_obeyed(store: TrialStore, make_trial: Any, kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    store.sweep("s").request(kind)
    assert not train(store, make_trial)
    assert "left, as asked" in capsys.readouterr().err


def test_a_trial_of_another_live_sweep_is_left_to_it(
    store: TrialStore, make_trial: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.sweep("other").owned():
        store.hold("other", [make_trial(epochs=1).key])
        assert not train(store, make_trial)
    assert "left to sweep 'other'" in capsys.readouterr().err
