"""`SparseRNNTrainable`: one trial as a Tune trainable, one step an epoch, over the loop that `selfish train` runs.

With a store, recorded epochs come back one a step before anything is trained, and what Tune saves only names the epoch.
Without one, Tune's save, restore and pause carry the whole training, as for any trainable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from ray import tune

from selfish_core.catalogue.corpora import CorpusConfig
from selfish_core.data.corpora import Corpus, load
from selfish_core.errors import InputError, unknown_name
from selfish_core.records import Record
from selfish_core.resolve import resolve
from selfish_core.training.fingerprint import DEVICES
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore

FIELDS = {"trial", "epochs", "store", "data_dir", "threads", "device", "keys"}


class SparseRNNTrainable(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Train one sparse (or dense) recurrent language model.

    The Tune config is a mapping with

    - `trial`: the sections of a trial as in a spec's `base` (`method`, `corpus`, `architecture`, `sparsity`, …);
    - `epochs`: how many to train;
    - `store`: folder of a trial store, or None;
    - `data_dir`: folder of the corpora, or None for the user's own;
    - `threads`: torch threads, 1 by default; `device`: `auto` by default;
    - `keys`: the content keys one of which the trial must have here too, or None; another one means other code.

    A step returns the record's metrics with `epoch`, `outcome`, `key` and `done`.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Open the trial that a config describes."""
        self._session = _open(config)
        self._record: Record | None = None

    def step(self) -> dict[str, Any]:
        """Give the next epoch."""
        self._record = record = self._session.step()
        return {
            **record.metrics,
            "epoch": record.epoch,
            "outcome": record.outcome,
            "key": record.key,
            "done": self._session.is_finished,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write one safetensors file and one JSON file: a whole checkpoint, or with a store the epoch alone."""
        tensors, state = self._session.save()
        folder = Path(checkpoint_dir)
        (folder / "tensors.safetensors").write_bytes(tensors)
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go on from what `save_checkpoint` wrote."""
        folder = Path(checkpoint)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self._session.load((folder / "tensors.safetensors").read_bytes(), state)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave this actor's trial for another one; nothing of the first stays."""
        self._session.close()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Seal what is finished."""
        self._session.close()


def _open(config: Mapping[str, Any]) -> TrialSession:
    _check(config)
    torch.set_num_threads(config.get("threads", 1))
    trial = resolve(config["trial"], epochs=config["epochs"])
    keys = config.get("keys")
    if keys is not None and trial.key() not in keys:
        raise InputError(
            f"trial {trial.key()} was not asked for: this process has another version of an extension than the one "
            "that planned the sweep; install the same on every node"
        )
    store = config.get("store")
    return TrialSession(
        trial,
        epochs=config["epochs"],
        corpus=_corpus(trial.corpus.model_dump_json(), config.get("data_dir")),
        stored=TrialStore.open(Path(store)).put(trial.to_dict(), trial.key()) if store else None,
        device=config.get("device", "auto"),
    )


def _check(config: Mapping[str, Any]) -> None:
    for name in config:
        if name not in FIELDS:
            raise InputError(unknown_name("key", name, FIELDS))
    for name, value in (("epochs", config.get("epochs")), ("threads", config.get("threads", 1))):
        if type(value) is not int or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
    if not isinstance(config.get("trial"), Mapping):
        raise InputError(f"trial must be a mapping, got {config.get('trial')!r}")
    if config.get("device", "auto") not in DEVICES:
        raise InputError(unknown_name("device", config["device"], DEVICES))


@lru_cache(maxsize=2)
def _corpus(config_json: str, data_dir: str | None) -> Corpus:
    """Load a text once for all trials of an actor that read it."""
    config = TypeAdapter[CorpusConfig](CorpusConfig).validate_json(config_json)
    return load(config, Path(data_dir) if data_dir else None, download=False)
