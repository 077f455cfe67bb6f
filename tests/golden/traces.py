"""Seeded traces: what 54 steps of each method look like, step by step.

python tests/golden/traces.py      writes traces.json anew; say why in CHANGELOG, under Numbers
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from selfish_core.catalogue.methods import METHODS
from selfish_core.data.corpora import load
from selfish_core.resolve import resolve
from selfish_core.training.fingerprint import fingerprint
from selfish_core.training.loop import Epoch, Training

FILE = Path(__file__).with_name("traces.json")
EPOCHS = 3


def trace(method: str) -> dict[str, Any]:
    """Train three short epochs on the synthetic corpus."""
    torch.set_num_threads(1)
    sparsity: dict[str, Any] = {} if method == "dense" else {"level": 0.6}
    if method == "rigl":
        sparsity["update_every_steps"] = 10
    config = resolve(
        {
            "method": method,
            "corpus": {"name": "synthetic", "train_fraction": 0.06},
            "architecture": {"name": "stacked_lstm", "hidden_size": 24, "embedding_size": 24, "dropout": 0.2},
            "sparsity": sparsity,
            "optimizer": {"learning_rate": 15.0, "non_monotone_window": 1},
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
    found = {"fingerprint": fingerprint(torch.device("cpu")), "traces": {method: trace(method) for method in METHODS}}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
