"""Tiny trials on a corpus of a few hundred words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.resolve import resolve

VOCABULARY_SIZE = 30
NUM_TOKENS = {"train": 400, "valid": 120, "test": 120}
EPOCHS = 6

MakeTrial = Callable[..., TrialConfig]


def _tiny_trial(method: str = "selfish", optimizer: str = "snt_asgd", /, *, seed: int = 1, **sections: Any) -> TrialConfig:
    raw: dict[str, Any] = {
        "method": method,
        "corpus": {
            "name": "folder",
            "path": "nowhere",
            "sha256": dict.fromkeys(NUM_TOKENS, "0" * 64),
            "num_tokens": NUM_TOKENS,
            "vocabulary_size": VOCABULARY_SIZE,
        },
        "architecture": {"name": "stacked_lstm", "hidden_size": 8, "embedding_size": 6, "dropout": 0.3},
        "sparsity": {} if method == "dense" else {"level": 0.5},
        "optimizer": {"name": optimizer, "learning_rate": 0.01 if optimizer == "adam" else 5.0},
        "training": {"batch_size": 4, "bptt_length": 9, "eval_batch_size": 4},
        "seed": seed,
    }
    if optimizer in ("nt_asgd", "snt_asgd"):
        raw["optimizer"]["non_monotone_window"] = 1
    if method == "rigl":
        raw["sparsity"]["update_every_steps"] = 5
    for name, section in sections.items():
        raw[name] = {**raw[name], **section}
    return resolve(raw, epochs=EPOCHS)


@pytest.fixture(scope="session")
def tiny_trial() -> MakeTrial:
    """Make a trial with 30 words and 8 hidden units, six epochs long; averaging starts at once where it can."""
    return _tiny_trial


@pytest.fixture(scope="session")
def tiny_corpus() -> Corpus:
    generator = np.random.default_rng(7)
    draw = {split: generator.integers(0, VOCABULARY_SIZE, size) for split, size in NUM_TOKENS.items()}
    return Corpus(name="folder", vocabulary=tuple(f"w{index}" for index in range(VOCABULARY_SIZE)), **draw)
