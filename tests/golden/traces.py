"""Seeded traces: what 54 steps of each method look like, step by step.

PYTHONPATH=tests python tests/golden/traces.py      writes traces.json anew; say why in CHANGELOG, under Numbers
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from support import cases

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.methods import METHODS
from selfish_core.data.corpora import load
from selfish_core.resolve import resolve
from selfish_core.training.fingerprint import fingerprint
from selfish_core.training.loop import Epoch, Training

FILE = Path(__file__).with_name("traces.json")
EPOCHS = 3
STACKED_LSTM = {"name": "stacked_lstm", "hidden_size": 24, "embedding_size": 24, "dropout": 0.2}
OPTIMIZER = {"learning_rate": 15.0, "non_monotone_window": 1}
OWN_SGD = ("deepr", "dsr", "snfs", "iss")
"""Methods whose own optimizer has no trigger."""


CASES = (*METHODS, *(f"selfish on {name}" for name in ARCHITECTURES if name != "stacked_lstm"))
"""Every method on the stacked LSTM, and one method on every other architecture."""


def trace(case: str) -> dict[str, Any]:
    """Train three short epochs on the synthetic corpus."""
    method, _, architecture = case.partition(" on ")
    torch.set_num_threads(1)
    sparsity: dict[str, Any] = {} if method in ("dense", "iss") else {"level": 0.6}
    if method in ("rigl", "dsr", "gmp"):
        sparsity["update_every_steps"] = 10
    config = resolve(
        {
            "method": method,
            "corpus": {"name": "synthetic", "train_fraction": 0.06},
            "architecture": {"name": architecture, **cases.TINY[architecture]} if architecture else STACKED_LSTM,
            "sparsity": sparsity,
            "optimizer": {"name": "sgd", "learning_rate": 5.0} if method in OWN_SGD else OPTIMIZER,
            "training": {"batch_size": 10, "bptt_length": 20, "eval_batch_size": 20},
            "seed": 3,
        },
        epochs=EPOCHS,
    )
    training = Training(config, load(config.corpus, None, download=False), torch.device("cpu"))
    steps: list[float] = []
    epochs = []
    for _ in range(EPOCHS):
        epoch = Epoch()
        epochs.append(training.run_epoch(epoch).metrics)
        steps += [loss for _, loss in epoch.losses]
    return {"train_loss_nats": steps, "epochs": epochs}


def main() -> None:
    """Write the file anew."""
    found = {"fingerprint": fingerprint(torch.device("cpu")), "traces": {case: trace(case) for case in CASES}}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
