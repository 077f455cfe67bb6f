"""SNIP's first mask: the largest |gradient x weight| of the first minibatch, at every granularity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from selfish_core.accounting import TensorTarget, count_parameters, tensor_targets
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.data.batching import batchify
from selfish_core.data.corpora import Corpus
from selfish_core.sparsity.snip import snip_masks
from selfish_core.training.loop import Training

TWO = (
    ParameterShape(name="ih", shape=(4, 2), layer="lstm0", gates=("input", "forget")),
    ParameterShape(name="hh", shape=(4, 2), layer="lstm0", gates=("input", "forget")),
)
WEIGHTS = {"ih": torch.ones(4, 2), "hh": torch.full((4, 2), -0.5)}
# |g w| of ih: 1, 2, … 8; of hh: .5, 1, … 4, its products being negative
GRADIENTS = {"ih": torch.arange(1.0, 9.0).view(4, 2), "hh": torch.arange(1.0, 9.0).view(4, 2)}


def masks(granularity: str, density: float = 0.5) -> dict[str, list[int]]:
    targets = [TensorTarget(shape, density) for shape in TWO]
    found = snip_masks(targets, granularity, WEIGHTS, GRADIENTS, torch.Generator())
    return {name: mask.flatten().int().tolist() for name, mask in found.items()}


def test_each_tensor_keeps_its_largest() -> None:
    assert masks("tensor") == {"ih": [0, 0, 0, 0, 1, 1, 1, 1], "hh": [0, 0, 0, 0, 1, 1, 1, 1]}


def test_each_gate_keeps_its_largest() -> None:
    assert masks("gate") == {"ih": [0, 0, 1, 1, 0, 0, 1, 1], "hh": [0, 0, 1, 1, 0, 0, 1, 1]}


@pytest.mark.parametrize("granularity", ["layer", "global"])
def test_tensors_that_compete_are_ranked_together(granularity: str) -> None:
    # eight of 1 2 3 4 5 6 7 8 and .5 1 1.5 2 2.5 3 3.5 4: 8 7 6 5 4 4 3.5 and, of the two 3, the one that stands first
    assert masks(granularity) == {"ih": [0, 0, 1, 1, 1, 1, 1, 1], "hh": [0, 0, 0, 0, 0, 0, 1, 1]}


@pytest.mark.parametrize("granularity", ["tensor", "gate", "layer", "global"])
@pytest.mark.parametrize("density", [0.3, 0.44, 0.7, 0.9])
def test_counts_are_those_of_the_densities(granularity: str, density: float) -> None:
    kept = sum(sum(mask) for mask in masks(granularity, density).values())
    assert kept == sum(TensorTarget(shape, density).num_active for shape in TWO)


def test_a_dense_tensor_has_no_mask() -> None:
    targets = [TensorTarget(TWO[0], 1.0), TensorTarget(TWO[1], 0.25)]
    assert snip_masks(targets, "tensor", WEIGHTS, GRADIENTS, torch.Generator()).keys() == {"hh"}


def test_a_trial_starts_from_the_gradient_of_its_first_minibatch_without_dropout(
    tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    torch.set_num_threads(1)
    config = tiny_trial("snip", "sgd")
    training = Training(config, tiny_corpus, torch.device("cpu"))
    dense = Training(tiny_trial("dense", "sgd"), tiny_corpus, torch.device("cpu"))
    rows = batchify(tiny_corpus.train, 4)[:10]
    scores = dense.model(rows[:-1], dense.model.initial_state(4)).scores_TBV
    functional.cross_entropy(scores.flatten(0, 1), rows[1:].flatten()).backward()
    parameters = dense.parameters()
    for target in tensor_targets(config):
        weight = parameters[target.shape.name]
        saliency = (weight * weight.grad).abs().flatten()
        kept = training.updater.masks.tensors[target.shape.name].flatten()
        assert int(kept.sum()) == target.num_active
        assert saliency[kept].min() >= saliency[~kept].max()
        assert torch.equal(training.parameters()[target.shape.name], weight * kept.view(weight.shape))
    assert training.updater.masks.num_active() == count_parameters(config).num_active
    assert all(weight.grad is None for weight in training.parameters().values())
