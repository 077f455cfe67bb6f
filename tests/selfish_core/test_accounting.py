"""Counts and FLOPs equal those that the paper's facts work out, without a model."""

from __future__ import annotations

from typing import Any

import pytest

from selfish_core.accounting import (
    count_parameters,
    forward_flops_per_token,
    parameter_shapes,
    steps_between_updates,
    steps_of_epoch,
    tensor_targets,
    training_flops,
)
from selfish_core.config import TrialConfig
from selfish_core.resolve import resolve


def paper(method: str = "selfish", level: float = 0.67, **sparsity: Any) -> TrialConfig:
    """The paper's stacked LSTM on Penn Treebank: 2×1500, untied, batch 20, BPTT 35, 100 epochs."""
    return resolve(
        {
            "method": method,
            "architecture": "stacked_lstm",
            "corpus": "ptb",
            "sparsity": {"level": level, **sparsity},
            "optimizer": {"name": "adam"} if sparsity.get("regrowth") == "momentum" else {"learning_rate": 40},
            "training": {"batch_size": 20, "bptt_length": 35},
            "seed": 1111,
        },
        epochs=100,
    )


def test_parameters_of_the_paper_s_lstm() -> None:
    counts = count_parameters(paper())
    assert counts.num_parameters == 66_034_000
    assert counts.num_maskable == 66_000_000
    assert counts.num_active == 21_780_000


def test_a_dense_trial_is_all_active() -> None:
    counts = count_parameters(paper("dense", 0.0))
    assert counts.num_active == counts.num_maskable == 66_000_000


def test_tensors_come_in_the_paper_s_order() -> None:
    """Embedding, ih0, hh0, two biases, ih1, hh1, two biases, decoder, its bias."""
    million = 1_000_000
    shapes = parameter_shapes(paper())
    assert [shape.size for shape in shapes if shape.is_maskable] == [15 * million, *[9 * million] * 4, 15 * million]
    assert [index for index, shape in enumerate(shapes) if not shape.is_maskable] == [3, 4, 7, 8, 10]
    assert [len(shape.gates) for shape in shapes if shape.is_maskable] == [1, 4, 4, 4, 4, 1]


def test_a_tied_decoder_counts_once() -> None:
    tied = resolve(
        {
            "method": "dense",
            "architecture": {"name": "stacked_lstm", "is_tied": True},
            "corpus": "ptb",
            "optimizer": {"learning_rate": 40},
            "seed": 1,
        }
    )
    assert count_parameters(tied).num_maskable == 51_000_000
    assert forward_flops_per_token(tied) == forward_flops_per_token(paper("dense", 0.0))


def test_er_densities_of_the_paper() -> None:
    densities = [target.density for target in tensor_targets(paper(distribution="er"))]
    assert densities == pytest.approx([0.31506, 0.34245, 0.34245, 0.34245, 0.34245, 0.31506], abs=1e-5)
    assert count_parameters(paper(distribution="er")).num_active == pytest.approx(21_780_000, abs=3)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.67, 0.99])
def test_er_keeps_the_global_sparsity_and_never_passes_one(level: float) -> None:
    targets = tensor_targets(paper(level=level, distribution="er"))
    assert all(0 <= target.density <= 1 for target in targets)
    active = sum(target.density * target.shape.size for target in targets)
    assert active == pytest.approx((1 - level) * 66_000_000, rel=1e-9)


def test_steps_of_an_epoch() -> None:
    steps = steps_of_epoch(paper())
    assert (steps.num_rows, steps.num_steps, steps.num_scored_tokens) == (46_479, 1_328, 929_560)


def test_dense_forward_flops_of_a_batch() -> None:
    assert 700 * forward_flops_per_token(paper("dense", 0.0)) == pytest.approx(7.14e10, rel=1e-12)


def test_dense_training_flops() -> None:
    """Steps of 700 tokens, 1,328 of them an epoch, make 2.85e16 in 100 epochs."""
    assert training_flops(paper("dense", 0.0), 100) == pytest.approx(2.85e16, rel=5e-3)


def ratio(trial: TrialConfig) -> float:
    return training_flops(trial, 1) / training_flops(paper("dense", 0.0), 1)


@pytest.mark.parametrize("method", ["static", "set", "selfish"])
def test_sparse_training_costs_its_density(method: str) -> None:
    assert ratio(paper(method)) == pytest.approx(0.33, abs=1e-9)


def test_rigl_pays_for_a_dense_gradient_at_each_update() -> None:
    rigl = paper("rigl")
    assert steps_between_updates(rigl) == 100
    assert ratio(rigl) == pytest.approx((3 * 0.33 * 100 + 2 * 0.33 + 1) / 101 / 3, rel=1e-9)
    assert ratio(rigl) == pytest.approx(0.332, abs=5e-4)


def test_momentum_regrowth_pays_for_a_dense_gradient_at_every_step() -> None:
    snfs = paper("set", regrowth="momentum")
    assert ratio(snfs) == pytest.approx(0.553, abs=5e-4)


def test_updates_once_an_epoch_are_an_epoch_of_steps_apart() -> None:
    assert steps_between_updates(paper("set")) == 1_328
    assert steps_between_updates(paper("set", update_every_epochs=3)) == 3 * 1_328
    assert steps_between_updates(paper("static")) is None
