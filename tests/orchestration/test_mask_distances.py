"""Topology distances between stored trials: from the newest kept masks, without those that have none."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from safetensors.torch import save

from orchestration import mask_distances
from selfish_core.accounting import parameter_shapes, tensor_targets
from selfish_core.config import TrialConfig
from selfish_core.sparsity.masks import Masks, pack
from selfish_core.sparsity.topology import topology_distance
from selfish_core.trial_store import TrialStore


def masks_of(config: TrialConfig, seed: int) -> dict[str, torch.Tensor]:
    return Masks.draw(tensor_targets(config), exact_count=True, generator=torch.Generator().manual_seed(seed)).tensors


def keep(store: TrialStore, trial: Any, epoch_seeds: dict[int, int], make_record: Any) -> None:
    """Store a trial with checkpoints that hold masks drawn with these seeds."""
    attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
    for epoch, seed in epoch_seeds.items():
        tensors = {f"masks/{name}": pack(mask) for name, mask in masks_of(trial.config, seed).items()}
        attempt.write_checkpoint(epoch, save({**tensors, "weights/w": torch.zeros(2)}), {"epoch": epoch})
        attempt.write_record(make_record(trial.key, epoch, attempt.number))


def test_distances_are_those_of_the_newest_masks_within_the_sweep(
    store: TrialStore, make_trial: Any, make_record: Any
) -> None:
    a, b, c = (make_trial(seed=seed) for seed in (1, 2, 3))
    keep(store, a, {1: 10, 2: 11, 3: 12}, make_record)
    keep(store, b, {1: 20, 2: 21}, make_record)
    keep(store, c, {1: 20, 2: 21}, make_record)
    found = mask_distances.between([a, b, c], store, epochs=2)
    expected = topology_distance(masks_of(a.config, 11), masks_of(b.config, 21), parameter_shapes(a.config))
    assert found.keys == (a.key, b.key, c.key)
    assert found.values[0][1] == found.values[1][0] == pytest.approx(expected)
    assert 0.0 < expected < 1.0
    assert found.values[1][2] == 0.0
    assert found.note == "Masks after epoch 2."


def test_trials_without_a_checkpoint_are_counted_and_left_out(
    store: TrialStore, make_trial: Any, make_record: Any, fill: Any
) -> None:
    kept, recorded, never = (make_trial(seed=seed) for seed in (1, 2, 3))
    keep(store, kept, {1: 1}, make_record)
    fill(store, recorded, 2)
    found = mask_distances.between([kept, recorded, never], store, epochs=3)
    assert found.keys == (kept.key,)
    assert "2 trials without a kept checkpoint" in found.note


def test_networks_of_different_sizes_have_no_distance(store: TrialStore, make_trial: Any, make_record: Any) -> None:
    wider = {"name": "stacked_lstm", "num_layers": 1, "hidden_size": 24, "embedding_size": 20}
    a, b = make_trial(), make_trial(architecture=wider)
    for trial in (a, b):
        keep(store, trial, {1: 1}, make_record)
    assert math.isnan(mask_distances.between([a, b], store, epochs=3).values[0][1])


@pytest.mark.parametrize("tensors", [b"junk", save({"masks/none.of.ours": torch.zeros(1, dtype=torch.uint8)})])
def test_a_checkpoint_that_holds_other_masks_counts_as_none(
    tensors: bytes, store: TrialStore, make_trial: Any, make_record: Any
) -> None:
    trial = make_trial()
    attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
    attempt.write_checkpoint(1, tensors, {"epoch": 1})
    attempt.write_record(make_record(trial.key, 1, attempt.number))
    found = mask_distances.between([trial], store, epochs=1)
    assert found.keys == ()
    assert "1 trial without a kept checkpoint" in found.note
