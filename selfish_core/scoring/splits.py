"""The loss of a stored network on a split of its corpus, computed as training evaluates it."""

from __future__ import annotations

import torch

from selfish_core.catalogue.corpora import Split
from selfish_core.config import TrialConfig
from selfish_core.data.batching import batchify
from selfish_core.data.corpora import Corpus
from selfish_core.scoring.stored import StoredNetwork
from selfish_core.training.evaluate import evaluate


def num_streams(config: TrialConfig, split: Split) -> int:
    """Return how many streams a split is cut into for evaluation; train like valid."""
    return config.training.test_streams if split == "test" else config.training.eval_batch_size


def num_scored_tokens(config: TrialConfig, corpus: Corpus, split: Split) -> int:
    """Return how many tokens of a split are scored: all but the first of each stream, and the remainder."""
    streams = num_streams(config, split)
    return (len(getattr(corpus, split)) // streams - 1) * streams


def split_loss(network: StoredNetwork, corpus: Corpus, split: Split, device: torch.device) -> float:
    """Return the mean loss in nats per token, without dropout, the state carried through each stream.

    On the fingerprint of the trial's record the losses of valid and test are the recorded ones to the last bit.

    Args:
        network: a trial's best.
        corpus: of the trial.
        split: what is scored.
        device: where to compute.
    """
    model = network.model(device)
    rows_TB = batchify(getattr(corpus, split), num_streams(network.config, split)).to(device)
    return evaluate(model, rows_TB, model.initial_state(rows_TB.shape[1]))
