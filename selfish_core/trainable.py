"""`SparseRNNTrainable`: one trial as a Tune trainable, one step an epoch, over the loop that `selfish train` runs.

With a store, recorded epochs come back one a step before anything is trained, and what Tune saves only names the epoch.
Without one, Tune's save, restore and pause carry the whole training, as for any trainable.

Whatever a trial raises ends with it: its memory is given back, and the next trial in the same actor starts anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import load_once
from selfish_core.errors import InputError, SelfishError, unknown_name
from selfish_core.resolve import resolve
from selfish_core.training.canary import Canary
from selfish_core.training.fingerprint import DEVICES
from selfish_core.training.peak_memory import give_back, is_out_of_memory, retold
from selfish_core.training.session import Retention, TrialSession
from selfish_core.training.watchdog import Watchdog, Watched
from selfish_core.trial_store import TrialStore

log = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "store": None,
    "data_dir": None,
    "threads": 1,
    "device": "auto",
    "keys": None,
    "stall_timeout": None,
    "canary_steps": 0,
    "keep_last": 2,
    "keep_best": True,
    "placement": None,
}
FIELDS = {"trial", "epochs", *DEFAULTS}

_WATCHDOG = Watchdog()
"""Of this process; it starts where a trial asks for it."""


class SparseRNNTrainable(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Train one sparse (or dense) recurrent language model.

    The Tune config is a mapping with

    - `trial`: the sections of a trial as in a spec's `base` (`method`, `corpus`, `architecture`, `sparsity`, …);
    - `epochs`: how many to train;
    - `store`: folder or URL of a trial store, or None;
    - `data_dir`: folder of the corpora, or None for the user's own;
    - `threads`: torch threads, 1 by default; `device`: `auto` by default;
    - `keys`: the content keys one of which the trial must have here too, or None; another one means other code;
    - `stall_timeout`: seconds without a step after which this process is killed and its stacks kept, or None;
    - `keep_last`, `keep_best`: how many of the newest checkpoints stay in the store (2), and if the best does (True);
    - `canary_steps`: 0, or how many steps to try without keeping anything: one step of Tune then, and no checkpoint.

    A step returns the record's metrics with `epoch`, `outcome`, `key` and `done`; that of a canary returns `canary`,
    `key`, `architecture`, `peak_bytes`, `device_bytes`, `seconds_per_step` and `done`.
    """

    _work: TrialSession | Canary | None = None
    _watched: Watched | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Open the trial that a config describes."""
        asked = _read(config)
        torch.set_num_threads(asked["threads"])
        trial = resolve(asked["trial"], epochs=asked["epochs"])
        _check_key(trial.key(), asked["keys"])
        if asked["stall_timeout"] is not None:
            store = None if asked["store"] is None else str(asked["store"])
            self._watched = Watched(float(asked["stall_timeout"]), trial.key(), store, _actor())
        self._work = _open(trial, asked)

    def step(self) -> dict[str, Any]:
        """Give the next epoch, or a canary's report.

        Raises:
            MemoryError: when there was not enough memory, on the GPU or beside it; the text names the peaks.
            SelfishError: as the session raises them; no step follows any of these.
        """
        try:
            return self._step()
        except Exception as error:
            self._work = None
            if not is_out_of_memory(error):
                raise
            out_of_memory = retold(error)
        give_back()
        raise out_of_memory

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write one safetensors file and one JSON file: a whole checkpoint, or with a store the epoch alone."""
        tensors, state = self._session().save()
        folder = Path(checkpoint_dir)
        (folder / "tensors.safetensors").write_bytes(tensors)
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go on from what `save_checkpoint` wrote."""
        folder = Path(checkpoint)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self._session().load((folder / "tensors.safetensors").read_bytes(), state)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave this actor's trial for another one; nothing of the first stays."""
        self._leave()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Seal what is finished, and end the watchdog."""
        self._leave()
        _WATCHDOG.close()

    def _step(self) -> dict[str, Any]:
        if self._watched is not None:
            _WATCHDOG.watch(self._watched)
        try:
            return _fly(self._work) if isinstance(self._work, Canary) else _next(self._session())
        finally:
            _WATCHDOG.rest()

    def _session(self) -> TrialSession:
        if not isinstance(self._work, TrialSession):
            raise ValueError("a canary, or a trial that has failed, has nothing to go on with")
        return self._work

    def _leave(self) -> None:
        """Seal what is finished; what goes wrong there is not the next trial's business."""
        work, self._work, self._watched = self._work, None, None
        try:
            if isinstance(work, TrialSession):
                work.close()
        except SelfishError as error:
            log.warning("trial %s was left unsealed: %s", work.config.key() if work is not None else "", error)


def _open(trial: TrialConfig, asked: Mapping[str, Any]) -> TrialSession | Canary:
    corpus = load_once(trial.corpus, Path(asked["data_dir"]) if asked["data_dir"] else None)
    if asked["canary_steps"]:
        return Canary(trial, corpus, num_steps=asked["canary_steps"], device=asked["device"], beat=_WATCHDOG.beat)
    return TrialSession(
        trial,
        epochs=asked["epochs"],
        corpus=corpus,
        stored=TrialStore.open(asked["store"]).put(trial.to_dict(), trial.key()) if asked["store"] else None,
        device=asked["device"],
        retention=Retention(asked["keep_last"], asked["keep_best"]),
        beat=_WATCHDOG.beat,
    )


def _next(session: TrialSession) -> dict[str, Any]:
    record = session.step()
    return {
        **record.metrics,
        "epoch": record.epoch,
        "outcome": record.outcome,
        "key": record.key,
        "done": session.is_finished,
    }


def _fly(canary: Canary) -> dict[str, Any]:
    seen = canary.fly()
    return {
        "canary": True,
        "key": canary.config.key(),
        "architecture": canary.config.architecture.name,
        "peak_bytes": seen.peak_bytes,
        "device_bytes": seen.device_bytes,
        "seconds_per_step": seen.seconds_per_step,
        "done": True,
    }


def _actor() -> str:
    """Return the id by which Ray will name this process when it is gone; empty outside of an actor."""
    return (ray.get_runtime_context().get_actor_id() or "") if ray.is_initialized() else ""


def _check_key(key: str, keys: Any) -> None:
    if keys is not None and key not in keys:
        raise InputError(
            f"trial {key} was not asked for: this process has another version of an extension than the one that "
            "planned the sweep; install the same on every node"
        )


def _read(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check a Tune config and fill in what it leaves out."""
    for name in config:
        if name not in FIELDS:
            raise InputError(unknown_name("key", name, FIELDS))
    asked = {**DEFAULTS, "epochs": None, "trial": None, **config}
    for name, least in {"epochs": 1, "threads": 1, "keep_last": 1, "canary_steps": 0}.items():
        if type(asked[name]) is not int or asked[name] < least:
            raise InputError(f"{name} must be a whole number of at least {least}, got {asked[name]!r}")
    timeout = asked["stall_timeout"]
    if timeout is not None and (type(timeout) not in (int, float) or not timeout > 0):
        raise InputError(f"stall_timeout must be a number of seconds above 0, or None, got {timeout!r}")
    if type(asked["keep_best"]) is not bool:
        raise InputError(f"keep_best must be true or false, got {asked['keep_best']!r}")
    if not isinstance(asked["trial"], Mapping):
        raise InputError(f"trial must be a mapping, got {asked['trial']!r}")
    if asked["device"] not in DEVICES:
        raise InputError(unknown_name("device", asked["device"], DEVICES))
    return asked
