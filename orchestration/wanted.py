"""A sweep as one command sees it: its spec, its trials, and the trial store that answers them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration import decisions
from orchestration.registry import registered_trials
from orchestration.searched import chosen_trials
from orchestration.settings import Settings
from orchestration.terminal import say
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError, StoreError
from selfish_core.object_storage import is_url
from selfish_core.places import user_folder
from selfish_core.trial_store import TrialStore
from sweeps import spec as spec_module
from sweeps.expand import Trial, expand
from sweeps.spec import Spec


@dataclass(frozen=True)
class Wanted:
    """A spec and its trials, all checked.

    Args:
        spec: as it was read.
        trials: in the spec's order, at least one; of a search those that it has chosen so far.
    """

    spec: Spec
    trials: tuple[Trial, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Content key -> what people know the trial by: the values in which the sweep's trials differ."""
        seen: dict[str, set[str]] = {}
        for trial in self.trials:
            for name, value in trial.point.items():
                seen.setdefault(name, set()).add(str(value))
        telling = {name for name, values in seen.items() if len(values) > 1 or name == "method"}
        short = {trial.key: _label(trial, telling) for trial in self.trials}
        if len(set(short.values())) == len(short):
            return short
        return {trial.key: _label(trial, set(seen)) for trial in self.trials}

    @property
    def num_left_out(self) -> int:
        """Points times seeds that are no trial of their own: excluded, or the same as another."""
        num_points = sum(block.num_points for block in self.spec.axes) if self.spec.axes else 1
        return num_points * len(self.spec.seeds) - len(self.trials)


@dataclass(frozen=True)
class StoredWish:
    """A stored trial as it is, for what takes a wanted one.

    Args:
        key: content key.
        config: the resolved config.
        epochs: as many as there are.
    """

    key: str
    config: TrialConfig
    epochs: int


def load(spec: str) -> Wanted:
    """Read a spec, expand it, and say on stderr what is worth a note.

    Raises:
        InputError: with one line for everything that is wrong.
    """
    read = spec_module.load(spec)
    expansion = expand(read)
    for note in expansion.notes:
        say(f"note: {note}")
    return Wanted(read, expansion.trials)


def chosen(wanted: Wanted, store: TrialStore) -> Wanted:
    """Return a sweep with the trials that its search has chosen so far; one without a search as it is."""
    if wanted.spec.search is None:
        return wanted
    return replace(wanted, trials=chosen_trials(wanted.spec, decisions.read(store.sweep(wanted.spec.name))))


def load_saved(store: TrialStore, name: str) -> Wanted | None:
    """Return a stored sweep by the newest version of its spec; None where there is none that can be expanded."""
    saved = store.sweep(name).specs()
    if not saved:
        return None
    try:
        read = spec_module.parse(saved[-1].text, Path(f"{name}.yaml"))
    except InputError:
        return None
    try:
        return chosen(Wanted(read, expand(read).trials), store)
    except InputError:
        trials = registered_trials(read, store)
        return Wanted(read, trials) if trials else None


def _label(trial: Trial, fields: Collection[str]) -> str:
    """Return a trial's point in one short text: `set, sparsity 0.5, seed 1`."""
    point = {name: value for name, value in trial.point.items() if name in fields and name != "seed"}
    values = [str(value) if name == "method" else f"{name} {value}" for name, value in point.items()]
    return ", ".join([*values, f"seed {trial.config.seed}"])


def open_store(settings: Settings) -> TrialStore:
    """Open the trial store, or make it.

    Raises:
        StoreError: when it cannot be used.
    """
    return TrialStore.open(settings.store)


def find_store(settings: Settings) -> TrialStore | None:
    """Open the trial store if there is one, and make none."""
    return TrialStore.find(settings.store)


def require_store(settings: Settings) -> TrialStore:
    """Open the trial store that must be there.

    Raises:
        InputError: when there is none.
    """
    store = find_store(settings)
    if store is None:
        origin = settings.origins["store"].origin
        told = f"there is no trial store at {settings.store} ({origin})"
        raise InputError(f"{told}: run a sweep, import trials, or name another by --store")
    return store


def stored_wishes(store: TrialStore, keys: Sequence[str]) -> list[StoredWish]:
    """Return stored trials by key; those whose config cannot be read are left out, `doctor` names them."""
    found = []
    for key in keys:
        try:
            trial = store.trial(key)
            found.append(StoredWish(key, TrialConfig.from_dict(trial.config()), max(1, trial.answered_epochs())))
        except (StoreError, ValueError):
            continue
    return found


def num_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def log_file(store: TrialStore, sweep: str) -> Path:
    """Return the file of this machine that takes what Ray and the workers of a sweep print."""
    folder = user_folder() / "logs" / store.store_id if is_url(store.place) else Path(store.place) / "logs"
    return folder / f"{sweep}.log"
