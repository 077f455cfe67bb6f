"""Every method of the catalogue, with every optimizer that can carry it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from selfish_core.accounting import tensor_targets
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.optimizers import OPTIMIZERS
from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import InputError
from selfish_core.optim.build import OPTIMIZERS as OPTIMIZER_CLASSES
from selfish_core.records import METRICS, is_known_metric
from selfish_core.resolve import resolve
from selfish_core.training.loop import Training

PAIRS = list(itertools.product(METHODS, OPTIMIZERS))
EPOCHS = 4


def start(config: TrialConfig, corpus: Corpus) -> Training:
    torch.set_num_threads(1)
    return Training(config, corpus, torch.device("cpu"))


def test_no_two_rows_are_equal_and_each_has_a_source() -> None:
    told = [(sorted(row.parts.items(), key=str), row.default_optimizer) for row in METHODS.values()]
    assert all(told.count(one) == 1 for one in told)
    assert all(row.source and row.description and row.name == name for name, row in METHODS.items())


def test_catalogue_and_code_name_the_same_optimizers() -> None:
    assert OPTIMIZERS.keys() == OPTIMIZER_CLASSES.keys()


def test_a_wrong_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown method 'selfsh': known are dense, .*did you mean 'selfish'"):
        resolve({"method": "selfsh"})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.3, 0.9])
def test_first_counts_are_exact_or_within_six_sigma(
    method: str, level: float, tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    if method == "dense" and level > 0:
        with pytest.raises(InputError, match="dense"):
            resolve({**tiny_trial("dense", "sgd").to_dict(), "sparsity": {"level": level}})
        return
    if level == 0.0 and METHODS[method].parts["removal"] != "none":
        with pytest.raises(InputError, match="sparsity 0 leaves no position to regrow at"):
            tiny_trial(method, "sgd", sparsity={"level": level})
        return
    config = tiny_trial(method, "sgd", **({} if method == "dense" else {"sparsity": {"level": level}}))
    masks = start(config, tiny_corpus).updater.masks.tensors
    for target in tensor_targets(config):
        mask = masks.get(target.shape.name)
        active = target.shape.size if mask is None else int(mask.sum())
        if config.sparsity.exact_count is False and mask is not None:
            sigma = (target.shape.size * target.density * (1 - target.density)) ** 0.5
            assert abs(active - target.density * target.shape.size) <= 6 * sigma
        else:
            assert active == target.num_active


@pytest.mark.parametrize(("method", "optimizer"), PAIRS)
def test_what_every_epoch_owes(
    method: str, optimizer: str, tiny_trial: Any, tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_trial(method, optimizer)
    training = start(config, tiny_corpus)
    masks = training.updater.masks
    storages = {name: weight.data_ptr() for name, weight in training.parameters().items()}
    shapes = {name: (weight.shape, weight.dtype) for name, weight in training.parameters().items()}
    plain_step, plain_loss = type(training.optimizer).step, Training._loss

    def inactive_are_zero() -> bool:
        parameters = training.parameters()
        return all(not parameters[name][~mask].any() for name, mask in masks.tensors.items())

    def checked_step(self: Any) -> None:
        plain_step(self)
        assert inactive_are_zero()

    def checked_loss(self: Training, rows: torch.Tensor) -> float:
        assert inactive_are_zero(), "the weights that are evaluated, averages too"
        return plain_loss(self, rows)

    monkeypatch.setattr(type(training.optimizer), "step", checked_step)
    monkeypatch.setattr(Training, "_loss", checked_loss)
    for _ in range(EPOCHS):
        result = training.run_epoch()
        assert not result.message
        assert inactive_are_zero()
        assert {metric.name for metric in METRICS if metric.is_always_there} <= result.metrics.keys()
        assert all(is_known_metric(name) for name in result.metrics)
        for name, mask in masks.tensors.items():
            if config.sparsity.exact_count:
                assert int(mask.sum()) == training.updater.targets[name]
            assert torch.equal(masks.multipliers[name], mask.float())
    assert {name: weight.data_ptr() for name, weight in training.parameters().items()} == storages
    assert {name: (weight.shape, weight.dtype) for name, weight in training.parameters().items()} == shapes
    moves = config.sparsity.schedule != "never"
    assert (training.updater.num_updates > 0) == moves
    assert (training.updater.explored_fraction() > 0.52) == (moves or not masks.tensors)
    if config.sparsity.exact_count is False:
        weights, targets = masks.num_weights(), sum(training.updater.targets.values())
        assert abs(masks.num_active() - targets) <= 6 * (weights * 0.5 * 0.5) ** 0.5


@pytest.mark.parametrize("method", [name for name in METHODS if name != "dense"])
def test_same_seed_same_masks_other_seed_other_masks(method: str, tiny_trial: Any, tiny_corpus: Corpus) -> None:
    def masks(seed: int) -> list[torch.Tensor]:
        training = start(tiny_trial(method, "sgd", seed=seed), tiny_corpus)
        training.run_epoch()
        return list(training.updater.masks.tensors.values())

    one, same, other = masks(1), masks(1), masks(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
