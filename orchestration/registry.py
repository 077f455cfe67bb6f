"""What a sweep wants, written down in the trial store before it runs: its spec, its trials, and on which texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfish_core.catalogue.corpora import FolderCorpusConfig, facts
from selfish_core.config import TrialConfig
from selfish_core.errors import CorpusError, StoreError
from selfish_core.trial_store import TrialStore
from sweeps.expand import Expansion, Trial
from sweeps.spec import Spec

WANTED = "wanted"
"""Kind of the decision that names a sweep's trials: `{"trials": {key: point}}`."""


def register(spec: Spec, trials: Expansion | tuple[Trial, ...], store: TrialStore) -> None:
    """Store a sweep's spec, its trials' configs and which they are; a second time changes nothing.

    Raises:
        CorpusError: when a folder's text is another one than the sweep has trained on.
    """
    _check_same_texts(spec.name, trials, store)
    sweep = store.sweep(spec.name)
    sweep.save_spec(spec.text)
    for trial in trials:
        store.put(trial.config.to_dict(), trial.key)
    points = {trial.key: dict(trial.point) for trial in trials}
    if registered_points(store, spec.name) != points:
        sweep.decide(WANTED, {"trials": points})


def registered_points(store: TrialStore, sweep: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the trials that a sweep wanted when it last ran, each with its place in the sweep."""
    decided = [decision.body for decision in store.sweep(sweep).decisions() if decision.kind == WANTED]
    points: Mapping[str, Mapping[str, Any]] = decided[-1]["trials"] if decided else {}
    return points


def registered_trials(spec: Spec, store: TrialStore) -> tuple[Trial, ...]:
    """Return the same as trials, from the stored configs: for a spec whose texts are not at hand."""
    found = []
    for key, point in registered_points(store, spec.name).items():
        try:
            config = TrialConfig.from_dict(store.trial(key).config())
        except (StoreError, ValueError):
            continue
        found.append(Trial(config, key, spec.epochs, spec.resources, point))
    return tuple(found)


def _check_same_texts(sweep: str, trials: Expansion | tuple[Trial, ...], store: TrialStore) -> None:
    known: dict[str, Mapping[str, str]] = {}
    for key in registered_points(store, sweep):
        stored = store.trial(key)
        if stored.exists() and stored.answered_epochs():
            corpus = stored.config()["corpus"]
            if corpus["name"] == "folder":
                known[corpus["path"]] = corpus["sha256"]
    for trial in trials:
        text = trial.config.corpus
        if not isinstance(text, FolderCorpusConfig) or text.path not in known:
            continue
        for split, digest in facts(text).sha256.items():
            if digest != known[text.path][split]:
                raise CorpusError(
                    f"corpus {text.path}: {split}.txt has sha256 {digest[:12]}…, sweep {sweep!r} was trained on "
                    f"{known[text.path][split][:12]}…: restore the text, or give the sweep another name"
                )
