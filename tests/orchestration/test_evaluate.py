"""`selfish evaluate` and `selfish show --weights`: the numbers that were recorded, from the files that are kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.tiny_sweep import train_tiny_sweep
from torch.nn import functional

from orchestration import evaluate as evaluating
from orchestration.settings import read as read_settings
from orchestration.verbs.evaluate import evaluate
from orchestration.verbs.stored import show
from orchestration.wanted import Wanted
from selfish_core.accounting import built_architecture
from selfish_core.data.batching import batchify
from selfish_core.data.corpora import load_once
from selfish_core.errors import InputError
from selfish_core.models.build import build
from selfish_core.scoring.stored import best_record
from selfish_core.trial_store import TrialStore


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialStore, Wanted]:
    return train_tiny_sweep(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture
def key(sweep: tuple[TrialStore, Wanted]) -> str:
    """The trial whose masks are updated after each epoch."""
    return next(trial.key for trial in sweep[1].trials if trial.config.method == "set")


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("split", "name"), [("valid", "val"), ("test", "test")])
def test_a_split_scores_as_it_was_recorded(
    split: str, name: str, sweep: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = sweep[0]
    evaluate(key[:8], split=split, device="cpu", store=store.place, as_json=True)
    found, best = answer(capsys), best_record(store.trial(key).records())
    assert best is not None
    assert (found["key"], found["epoch"], found["split"]) == (key, best.epoch, split)
    assert found["loss_nats"] == best.metrics[f"{name}_loss_nats"] == found["recorded_loss_nats"]
    assert found["perplexity"] == best.metrics[f"{name}_perplexity"]
    assert (found["is_as_recorded"], found["notes"]) == (True, [])


def test_train_is_scored_without_dropout_and_compared_with_nothing(
    sweep: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(key, split="train", device="cpu", store=sweep[0].place)
    shown = capsys.readouterr()
    assert "train: perplexity" in shown.out
    assert "recorded" not in shown.out
    assert shown.err == ""


def test_the_text_says_that_every_bit_is_the_recorded_one(
    sweep: Any, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(key, device="cpu", store=sweep[0].place)
    assert "valid: perplexity" in (out := capsys.readouterr().out)
    assert "the same to the last bit" in out


def test_a_score_that_differs_says_why(sweep: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "code_version", lambda: "another")
    monkeypatch.setattr(evaluating, "fingerprint", lambda device: {"torch": "0"})
    monkeypatch.setattr(evaluating, "split_loss", lambda *_: 1.0)
    settings = read_settings({"store": sweep[0].place}, {}, is_insecure_tracking_allowed=False)
    done = evaluating.evaluate(sweep[0].trial(key), "test", settings, "cpu")
    assert done.is_as_recorded is False
    assert done.perplexity == math.e
    assert [note.partition(":")[0] for note in done.notes] == ["the fingerprint is another", "the code is another"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "vald"}, "unknown split 'vald': known are .*; did you mean 'valid'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_wrong_options_are_named_before_anything_is_read(options: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        evaluate("abc", store=str(tmp_path / "nowhere"), **options)


def test_a_trial_without_its_checkpoint_is_refused(store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    with pytest.raises(InputError, match="the checkpoint of its best epoch, 3, is not kept here"):
        evaluate(trial.key, device="cpu", store=store.place)


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_weights_are_a_plain_state_dict_that_gives_the_recorded_loss(
    ending: str, sweep: Any, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"weights{ending}"
    show(key, weights=str(path), store=sweep[0].place, as_json=True)
    assert answer(capsys)["file"] == str(path)
    state = load_file(path) if ending == ".safetensors" else torch.load(path, weights_only=True)
    trial = next(one for one in sweep[1].trials if one.key == key)
    corpus = load_once(trial.config.corpus, None)
    model = build(built_architecture(trial.config), len(corpus.vocabulary), torch.Generator().manual_seed(9))
    model.load_state_dict(state, strict=True)
    rows_TB = batchify(corpus.valid, trial.config.training.eval_batch_size)
    with torch.no_grad():
        scores_TBV = model(rows_TB[:-1], model.initial_state(rows_TB.shape[1])).scores_TBV
    loss = functional.cross_entropy(scores_TBV.double().flatten(0, 1), rows_TB[1:].flatten()).item()
    best = best_record(sweep[0].trial(key).records())
    assert best is not None
    assert loss == pytest.approx(best.metrics["val_loss_nats"], rel=1e-5)


def test_a_safetensors_file_tells_where_its_weights_come_from(sweep: Any, key: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    show(key, weights=str(path), store=sweep[0].place)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["selfish"])
    assert (about["key"], about["method"], about["corpus"]["name"]) == (key, "set", "synthetic")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there.pt", "there.pt: is there already; name a new file"),
        ("weights.bin", r"the name must end in .safetensors or .pt"),
        ("no/folder.pt", "there is no such folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "there.pt").write_text("mine")
    with pytest.raises(InputError, match=said):
        show("abc", weights=str(tmp_path / name), store=str(tmp_path / "nowhere"))
    assert (tmp_path / "there.pt").read_text() == "mine"
