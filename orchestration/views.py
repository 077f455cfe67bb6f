"""What MLflow is to show of a trial store: every sweep by its newest spec, then the trials that no sweep wants."""

from __future__ import annotations

from orchestration.tracking import SweepView
from orchestration.wanted import load_saved, stored_wishes
from selfish_core.trial_store import TrialStore


def stored_views(store: TrialStore) -> list[SweepView]:
    """Return the views of all that is stored; a sweep that runs now is live."""
    views = []
    shown: set[str] = set()
    for name in store.sweep_names():
        wanted = load_saved(store, name)
        if wanted is not None:
            views.append(SweepView(name, wanted.trials, wanted.spec.description, is_live=store.sweep(name).is_owned()))
            shown.update(trial.key for trial in wanted.trials)
    rest = stored_wishes(store, sorted(set(store.keys()) - shown))
    return [*views, SweepView("", rest)] if rest else views
