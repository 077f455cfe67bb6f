"""Every method of the catalogue: its row, its first masks, its randomness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import cases

from selfish_core.accounting import tensor_targets
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.optimizers import OPTIMIZERS
from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import InputError
from selfish_core.optim.build import OPTIMIZERS as OPTIMIZER_CLASSES
from selfish_core.resolve import resolve
from selfish_core.training.loop import Training


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
    with pytest.raises(InputError, match=r"unknown method 'selfsh': known are deepr, dense, .*did you mean 'selfish'"):
        resolve({"method": "selfsh"})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.3, 0.9])
def test_first_counts_are_exact_or_within_six_sigma(method: str, level: float, tiny_corpus: Corpus) -> None:
    raw = cases.tiny_raw(method, "sgd")
    raw["sparsity"]["level"] = level
    row = METHODS[method]
    if level > 0 and row.parts.get("level") == 0.0:
        with pytest.raises(InputError, match="a dense trial has sparsity 0"):
            resolve(raw, epochs=cases.EPOCHS)
        return
    if level == 0.0 and method not in ("dense", "static", "iss"):
        with pytest.raises(InputError, match=r"sparsity 0 leaves no position to regrow at|needs a sparsity above 0"):
            resolve(raw, epochs=cases.EPOCHS)
        return
    config = resolve(raw, epochs=cases.EPOCHS)
    masks = start(config, tiny_corpus).updater.masks.tensors
    for target in tensor_targets(config):
        mask, size = masks.get(target.shape.name), target.shape.size
        active = size if mask is None else int(mask.sum())
        if mask is None or config.sparsity.initial_level is not None:
            assert active == size
        elif row.exact_count:
            assert active == target.num_active
        else:
            sigma = (size * target.density * (1 - target.density)) ** 0.5
            assert abs(active - target.density * size) <= 6 * sigma


@pytest.mark.parametrize("method", METHODS)
def test_a_row_declares_what_it_does(method: str, tiny_corpus: Corpus) -> None:
    row, config = METHODS[method], cases.tiny_trial(method, "sgd")
    training = start(config, tiny_corpus)
    assert row.keeps_inactive_values == (not training.updater.masks.tensors and config.sparsity.group_lasso is not None)
    period = {
        "steps": config.sparsity.update_every_steps,
        "epochs": config.sparsity.update_every_epochs,
        "rounds": config.sparsity.round_epochs,
        "never": None,
    }
    assert [name for name, value in period.items() if value is not None] == (
        [] if row.updates_every == "never" else [row.updates_every]
    )
    assert (len(row.phases) > 1) == (config.sparsity.initial_level is not None)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.parts["distribution"] == "uniform"])
def test_same_seed_same_masks_other_seed_other_masks(method: str, tiny_trial: Any, tiny_corpus: Corpus) -> None:
    def masks(seed: int) -> list[torch.Tensor]:
        training = start(tiny_trial(method, "sgd", seed=seed), tiny_corpus)
        for _ in range(3):
            training.run_epoch()
        return list(training.updater.masks.tensors.values())

    one, same, other = masks(1), masks(1), masks(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
