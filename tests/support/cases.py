"""Tiny trials of everything: each method with each optimizer on each architecture, and which of them mean nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.optimizers import OPTIMIZERS
from selfish_core.config import TrialConfig
from selfish_core.resolve import resolve

VOCABULARY_SIZE = 30
NUM_TOKENS = {"train": 400, "valid": 120, "test": 120}
EPOCHS = 6

_AWD_RATES = {"embedding_dropout": 0.1, "input_dropout": 0.2, "hidden_dropout": 0.2, "output_dropout": 0.2}

TINY: dict[str, dict[str, Any]] = {
    "stacked_lstm": {"hidden_size": 8, "embedding_size": 6, "dropout": 0.3},
    "gru": {"num_layers": 1, "hidden_size": 8, "embedding_size": 6, "dropout": 0.3},
    "rhn": {"depth": 2, "hidden_size": 8, "embedding_size": 8, **_AWD_RATES},
    "on_lstm": {"num_layers": 2, "hidden_size": 12, "embedding_size": 8, "chunk_size": 4, **_AWD_RATES},
    "awd_lstm": {"num_layers": 2, "hidden_size": 10, "embedding_size": 6, **_AWD_RATES},
    "awd_lstm_mos": {
        "num_layers": 2,
        "hidden_size": 10,
        "last_hidden_size": 8,
        "embedding_size": 6,
        "num_experts": 3,
        **_AWD_RATES,
    },
}
"""Sizes of each architecture for tests."""

TINY_PARTS: dict[str, dict[str, Any]] = {
    "dense": {},
    "iss": {"group_lasso": 0.01, "zero_threshold": 1e-3},
    "rigl": {"level": 0.5, "update_every_steps": 5},
    "dsr": {"level": 0.5, "update_every_steps": 5, "initial_threshold": 0.03},
    "deepr": {"level": 0.5, "l1_penalty": 0.01, "gradient_noise": 0.01},
    "gmp": {"level": 0.5, "update_every_steps": 5},
}
"""Parts that make something happen in few steps; level 0.5 for the others."""

Case = tuple[str, str, str]
"""Method, optimizer, architecture."""

PRODUCT: tuple[Case, ...] = tuple(itertools.product(METHODS, OPTIMIZERS, ARCHITECTURES))


def is_meaningless(case: Case) -> bool:
    """List what has no meaning.

    - SNFS regrows where the momentum is largest: not without momentum.
    - ISS takes whole hidden units out: not where units are tied into chunks, or feed a mixture of softmaxes.
    """
    method, optimizer, architecture = case
    if method == "snfs" and optimizer in ("nt_asgd", "snt_asgd"):
        return True
    return method == "iss" and not ARCHITECTURES[architecture].has_unit_groups


def pairwise() -> Iterator[Case]:
    """Choose cases so that every pair of method, optimizer and architecture that means something is in one of them."""
    covered: set[tuple[str, str]] = set()
    meaningful = [case for case in PRODUCT if not is_meaningless(case)]
    rotated = sorted(range(len(meaningful)), key=lambda index: (index * 7) % len(meaningful))
    for least in (3, 2, 1):
        for case in (meaningful[index] for index in rotated):
            pairs = set(itertools.combinations(case, 2))
            if len(pairs - covered) >= least:
                covered |= pairs
                yield case


def tiny_raw(method: str, optimizer: str, architecture: str = "stacked_lstm", *, seed: int = 1) -> dict[str, Any]:
    """Write a trial with 30 words and few units; averaging starts at once where it can."""
    values: dict[str, Any] = {"name": optimizer, "learning_rate": 0.01 if optimizer.startswith("adam") else 5.0}
    if optimizer in ("nt_asgd", "snt_asgd"):
        values["non_monotone_window"] = 1
    if method == "snfs" and optimizer == "sgd":
        values["learning_rate"] = 1.0
    return {
        "method": method,
        "corpus": {
            "name": "folder",
            "path": "nowhere",
            "sha256": dict.fromkeys(NUM_TOKENS, "0" * 64),
            "num_tokens": NUM_TOKENS,
            "vocabulary_size": VOCABULARY_SIZE,
        },
        "architecture": {"name": architecture, **TINY.get(architecture, {})},
        "sparsity": dict(TINY_PARTS.get(method, {"level": 0.5})),
        "optimizer": values,
        "training": {"batch_size": 4, "bptt_length": 9, "eval_batch_size": 4},
        "seed": seed,
    }


def tiny_trial(
    method: str = "selfish",
    optimizer: str = "snt_asgd",
    /,
    *,
    seed: int = 1,
    architecture: str | dict[str, Any] = "stacked_lstm",
    **sections: Any,
) -> TrialConfig:
    """Resolve a tiny trial, six epochs long.

    Args:
        method: of the catalogue.
        optimizer: of the catalogue.
        seed: of the trial.
        architecture: of the catalogue, or values to lay over the stacked LSTM's.
        sections: values to lay over.
    """
    name = architecture if isinstance(architecture, str) else "stacked_lstm"
    raw = tiny_raw(method, optimizer, name, seed=seed)
    if not isinstance(architecture, str):
        sections["architecture"] = architecture
    for section, values in sections.items():
        raw[section] = {**raw[section], **values}
    return resolve(raw, epochs=EPOCHS)
