"""What a figure is made of besides a sweep's records: masks in checkpoints, and the points of a search."""

from __future__ import annotations

from dataclasses import replace

from results.evidence import Evidence
from results.figures.options import FigureOptions
from results.figures.registry import FIGURES
from results.figures.settings import settings
from selfish_core.trial_store import TrialStore


def complete(name: str, evidence: Evidence, store: TrialStore, options: FigureOptions) -> FigureOptions:
    """Return the options with what the figure needs from the trial store; as they are where it needs nothing.

    Args:
        name: of the figure, one of `results.figures.registry.FIGURES`.
        evidence: of the sweep.
        store: its trial store.
        options: as a user gave them.

    Raises:
        InputError: when no trial is to be shown.
    """
    made_of = FIGURES[name].made_of
    if made_of == "distances":
        from orchestration import mask_distances

        keys = {key for setting in settings(evidence, options) for key in setting.keys}
        trials = [trial for trial in evidence.trials if trial.key in keys]
        return replace(options, distances=mask_distances.between(trials, store, evidence.spec.epochs))
    if made_of == "searched":
        from orchestration import decisions, search_figures

        entries = decisions.read(store.sweep(evidence.spec.name))
        return replace(options, searched=search_figures.searched(evidence.spec, entries))
    return options
