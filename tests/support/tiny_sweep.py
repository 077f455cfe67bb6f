"""A sweep of two trials on the generated language, trained in this process in a few seconds."""

from __future__ import annotations

from pathlib import Path

import torch

from orchestration.registry import register
from orchestration.wanted import Wanted, load
from selfish_core.data.corpora import load_once
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore

SPEC = """
name: tiny
description: two trials
base:
  sparsity: 0.5
  corpus: {name: synthetic, train_fraction: 0.05}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 2}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 50}
axes:
  - grid: {method: [static, set]}
epochs: 3
seeds: [1]
"""


def train_tiny_sweep(folder: Path) -> tuple[TrialStore, Wanted]:
    """Make a trial store in a folder and train the sweep to its end.

    Args:
        folder: holds the store and the spec.
    """
    spec = folder / "tiny.yaml"
    spec.write_text(SPEC)
    wanted, store = load(str(spec)), TrialStore.open(folder / "store")
    register(wanted.spec, wanted.trials, store)
    torch.set_num_threads(1)
    for trial in wanted.trials:
        corpus = load_once(trial.config.corpus, None)
        session = TrialSession(trial.config, epochs=trial.epochs, corpus=corpus, stored=store.trial(trial.key))
        while not session.is_finished:
            session.step()
        session.close()
    return store, wanted
