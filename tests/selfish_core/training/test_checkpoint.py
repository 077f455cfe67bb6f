"""Checkpoints: whole, exact, and refused when they are not this trial's."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

import selfish_core
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError
from selfish_core.training.checkpoint import dump, restore
from selfish_core.training.loop import Training


@pytest.fixture
def training(tiny_trial: Any, tiny_corpus: Corpus) -> Training:
    trained = Training(tiny_trial(), tiny_corpus, torch.device("cpu"))
    for _ in range(4):
        trained.run_epoch()
    return trained


def fresh(training: Training, corpus: Corpus) -> Training:
    return Training(training.config, corpus, torch.device("cpu"))


def test_a_restored_training_is_the_same_in_every_byte(training: Training, tiny_corpus: Corpus) -> None:
    other = fresh(training, tiny_corpus)
    restore(other, *dump(training), "here")
    assert dump(other) == dump(training)
    assert other.run_epoch() == training.run_epoch()
    assert dump(other) == dump(training)


def test_it_holds_everything_by_name(training: Training) -> None:
    tensors, state = dump(training)
    groups = {name.split("/")[0] for name in load_tensors(tensors)}
    assert groups == {"weights", "masks", "explored", "optimizer", "overwritten", "overwritten_where", "generators"}
    kinds = {name.split("/")[1] for name in load_tensors(tensors) if name.startswith("optimizer/")}
    assert kinds == {"means", "sums", "births"}
    assert len(state["optimizer"]["val_losses"]) == 4


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda tensors, state: (tensors, {**state, "key": "0" * 32}), "not a checkpoint of format 1 of trial"),
        (lambda tensors, state: (tensors, {**state, "format": 2}), "not a checkpoint of format 1"),
        (lambda tensors, state: (b"no safetensors", state), "does not fit the trial"),
        (lambda tensors, state: (without(tensors, "weights/decoder.bias"), state), "weights are"),
        (lambda tensors, state: (without(tensors, "generators/dropout"), state), "does not fit the trial"),
        (lambda tensors, state: (reshaped(tensors, "weights/decoder.bias"), state), "decoder.bias has shape"),
        (lambda tensors, state: (reshaped(tensors, "masks/decoder.weight"), state), "a packed mask of shape"),
        (lambda tensors, state: (tensors, {**state, "progress": {"epoch": 1, "steps": 2}}), "does not fit the trial"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    damage: Any, said: str, training: Training, tiny_corpus: Corpus
) -> None:
    with pytest.raises(CorruptFileError, match=said) as found:
        restore(fresh(training, tiny_corpus), *damage(*dump(training)), "checkpoint 4")
    assert str(found.value).startswith("checkpoint 4: ")
    assert "\n" not in str(found.value)


def without(tensors: bytes, name: str) -> bytes:
    return save_tensors({key: tensor for key, tensor in load_tensors(tensors).items() if key != name})


def reshaped(tensors: bytes, name: str) -> bytes:
    loaded = load_tensors(tensors)
    loaded[name] = torch.cat([loaded[name], loaded[name]])
    return save_tensors(loaded)


def test_nothing_is_unpickled(training: Training, tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load")):
        monkeypatch.setattr(module, name, forbidden)
    restore(fresh(training, tiny_corpus), *dump(training), "here")


def test_no_module_of_ours_reads_pickles() -> None:
    root = Path(selfish_core.__file__).parents[1]
    for package in ("selfish_core", "sweeps", "orchestration", "results"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                    assert not {"pickle", "cloudpickle", "shelve", "marshal"} & set(names), path
                if isinstance(node, ast.Attribute) and node.attr == "load":
                    assert not (isinstance(node.value, ast.Name) and node.value.id == "torch"), path
