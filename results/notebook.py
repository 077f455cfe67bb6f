"""A sweep in a notebook: one call to a tidy frame that can be grouped by what its trials differ in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from results.evidence import Evidence
from results.evidence import gather as gather_from
from selfish_core.errors import InputError
from selfish_core.places import user_file, user_folder
from selfish_core.resolve import field_path
from selfish_core.trial_store import TrialStore
from sweeps import spec as specs
from sweeps import yaml_reader
from sweeps.expand import Trial, chosen_trials, expand
from sweeps.spec import Spec

GROUPS: Mapping[str, str] = {
    "method": "method",
    "architecture": "architecture.name",
    "corpus": "corpus.name",
    "sparsity_level": "sparsity.level",
    "optimizer": "optimizer.name",
    "seed": "seed",
}
"""Column -> the config's field: what every trial has. `sparsity` itself is a metric: what was measured."""


def load(spec: str | Path, store: str | Path | None = None, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return all that is recorded of a sweep's trials, one row per trial and epoch.

    The columns are `key`; what the trial is (`method`, `architecture`, `corpus`, `sparsity_level`, `optimizer`, `seed`,
    then each other field that the sweep varies, by its dotted name); `epoch`, `outcome`, `code_version`, `fingerprint`;
    then the metrics that MLflow is given (`selfish_core.records.METRICS`), and gate densities. What an epoch does not
    have is NaN.

    Args:
        spec: as of `gather`.
        store: as of `gather`.
        tracking_uri: as of `gather`.

    Raises:
        InputError: as `gather`.
    """
    return with_settings(_read(spec, store, tracking_uri))


def gather(spec: str | Path, store: str | Path | None = None, tracking_uri: str | None = None) -> Evidence:
    """Return what is recorded of a sweep, for `results.tables.build` and the figures.

    It is read from MLflow where that shows all that is recorded, else from the records, with a Python warning.

    Args:
        spec: a YAML file, or the name of a shipped sweep.
        store: the trial store's folder or URL; else `SELFISH_STORE`, the user file's `store`, the user's folder.
        tracking_uri: MLflow's, absolute; else `SELFISH_TRACKING_URI`, the user file's `tracking_uri`, the database
            in the user's folder.

    Raises:
        InputError: when there is no such spec, it is wrong, or there is no trial store.
    """
    return _read(spec, store, tracking_uri)


def _read(spec: str | Path, store: str | Path | None, tracking_uri: str | None) -> Evidence:
    """Do what `gather` does; warnings name the line that called `results.load` or `results.gather`."""
    wanted = specs.load(spec)
    settings = _user_settings()
    place = _setting("store", store, settings, str(user_folder() / "store"))
    uri = _setting("tracking_uri", tracking_uri, settings, f"sqlite:///{user_folder() / 'mlflow.db'}")
    found = TrialStore.find(place)
    if found is None:
        raise InputError(f"there is no trial store at {place}: run a sweep, import trials, or name another by store=")
    evidence = gather_from(wanted, _trials(wanted, found), found, uri)
    for warning in evidence.warnings:
        warnings.warn(f"what is read is {warning}", stacklevel=4)
    return evidence


def with_settings(evidence: Evidence) -> pd.DataFrame:
    """Join a tidy frame with what its trials are: see `load`."""
    flats = {trial.key: dict(trial.config.flat()) for trial in evidence.trials}
    fields = dict(GROUPS)
    for name in sorted({name for trial in evidence.trials for name in trial.point}):
        dotted = ".".join(field_path(name))
        if dotted not in fields.values() and any(dotted in flat for flat in flats.values()):
            fields[dotted] = dotted
    told = {column: [flat.get(field) for flat in flats.values()] for column, field in fields.items()}
    settings = pd.DataFrame({"key": pd.array(list(flats), dtype="str"), **told})
    joined = evidence.frame.merge(settings, on="key", how="left")
    rest = [name for name in evidence.frame.columns if name != "key"]
    return joined[["key", *fields, *rest]]


def _trials(spec: Spec, store: TrialStore) -> Sequence[Trial]:
    """Return a sweep's trials; of a search those of the points that it has chosen and that the spec still allows."""
    if spec.search is None:
        return expand(spec).trials
    decisions = store.sweep(spec.name).decisions()
    return chosen_trials(spec, (decision.body["point"] for decision in decisions if decision.kind == "asked"))


def _setting(name: str, given: str | Path | None, in_file: Mapping[str, Any], default: str) -> str:
    variable = os.environ.get(f"SELFISH_{name.upper()}")
    return str(given or variable or in_file.get(name) or default)


def _user_settings() -> Mapping[str, Any]:
    path = user_file()
    text = path.read_bytes() if path.is_file() else b""
    return yaml_reader.read(text, str(path)).data if text.strip() else {}
