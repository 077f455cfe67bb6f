"""Counts and FLOPs equal those that the paper's facts work out, without a model."""

from __future__ import annotations

from typing import Any

import pytest

from selfish_core.accounting import (
    built_architecture,
    count_parameters,
    forward_flops_per_token,
    parameter_shapes,
    steps_between_updates,
    steps_of_epoch,
    tensor_targets,
    training_flops,
)
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.methods import METHODS
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


@pytest.mark.parametrize("distribution", ["er", "erk"])
def test_er_densities_of_the_paper(distribution: str) -> None:
    """Embedding and decoder .315, LSTM matrices .3425; of matrices alone a kernel has nothing to add."""
    densities = [target.density for target in tensor_targets(paper(distribution=distribution))]
    assert densities == pytest.approx([0.31506, 0.34245, 0.34245, 0.34245, 0.34245, 0.31506], abs=1e-5)
    assert count_parameters(paper(distribution=distribution)).num_active == pytest.approx(21_780_000, abs=3)


def on(architecture: str, level: float, corpus: str = "ptb", **sparsity: Any) -> TrialConfig:
    """An architecture at the sizes of the paper."""
    return resolve(
        {
            "method": sparsity.pop("method", "static"),
            "architecture": architecture,
            "corpus": corpus,
            "sparsity": {"level": level, **sparsity},
            "optimizer": {"name": "sgd", "learning_rate": 15},
            "seed": 1,
        },
        epochs=100,
    )


@pytest.mark.parametrize(
    ("architecture", "level", "expected"),
    [
        # embedding; the input matrix and the ten recurrent ones
        ("rhn", 0.528, [0.378, *[0.5235] * 11]),
        # embedding, ih0, hh0, ih1, hh1, ih2, hh2
        ("on_lstm", 0.55, [0.766, 0.798, 0.317, 0.317, 0.317, 0.432, 0.912]),
    ],
)
def test_er_densities_of_the_papers_other_architectures(architecture: str, level: float, expected: list[float]) -> None:
    densities = [target.density for target in tensor_targets(on(architecture, level, distribution="er"))]
    assert densities == pytest.approx(expected, abs=6e-4)


def test_a_density_above_one_is_full_and_the_others_make_up_for_it() -> None:
    """The mixture's prior would have 15.6."""
    targets = tensor_targets(on("awd_lstm_mos", 0.55, "wikitext-2", distribution="er"))
    assert max(target.density for target in targets) == 1.0
    prior = next(target for target in targets if "prior" in target.shape.name)
    assert prior.density == 1.0
    active = sum(target.density * target.shape.size for target in targets)
    assert active == pytest.approx(0.45 * sum(target.shape.size for target in targets), rel=1e-9)


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


def test_the_level_is_split_over_the_tensors_that_are_included() -> None:
    densities = {target.shape.name: target.density for target in tensor_targets(paper("static", include="lstm.*"))}
    assert densities == {
        "embedding.weight": 1.0,
        **{f"lstm.{layer}.weight_{kind}_l0": pytest.approx(0.33) for layer in (0, 1) for kind in ("ih", "hh")},
        "decoder.weight": 1.0,
    }
    assert count_parameters(paper("static", include="lstm.*")).num_active == 30_000_000 + 0.33 * 36_000_000


def test_what_is_excluded_is_dense_even_where_it_is_included() -> None:
    trial = paper("static", include="lstm.*, decoder.*", exclude="*.weight_hh_*, lstm.1.*")
    sparse = [target.shape.name for target in tensor_targets(trial) if target.density < 1]
    assert sparse == ["lstm.0.weight_ih_l0", "decoder.weight"]


def test_er_looks_at_the_chosen_tensors_alone() -> None:
    trial = paper("static", distribution="er", exclude="embedding.*, decoder.*")
    densities = [target.density for target in tensor_targets(trial)]
    assert densities == pytest.approx([1.0, *[0.33] * 4, 1.0])  # the four have one shape


SMALL = [("stacked_lstm", 0.67, "ptb", (698, 699)), ("rhn", 0.528, "ptb", (517, 518))]


@pytest.mark.parametrize(("architecture", "level", "corpus", "widths"), SMALL)
def test_the_small_dense_networks_of_the_paper(
    architecture: str, level: float, corpus: str, widths: tuple[int, int]
) -> None:
    small = built_architecture(on(architecture, level, corpus, method="small_dense")).model_dump()
    assert small["hidden_size"] in widths
    assert small["embedding_size"] in widths


@pytest.mark.parametrize("level", [0.1, 0.5, 0.67, 0.9])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_small_dense_network_has_no_more_parameters_than_the_sparse_one(architecture: str, level: float) -> None:
    sparse = count_parameters(on(architecture, level))
    wanted = sparse.num_active + sparse.num_parameters - sparse.num_maskable
    trial = on(architecture, level, method="small_dense")
    counts, row = count_parameters(trial), ARCHITECTURES[architecture]
    assert counts.num_active == counts.num_maskable
    assert counts.num_parameters <= wanted
    narrow = built_architecture(trial)
    assert row.problem(narrow) is None
    # the next that is wider has more
    widths = range(narrow.model_dump()["hidden_size"] + 1, trial.architecture.model_dump()["hidden_size"] + 1)
    for width in widths:
        wider = sum(shape.size for shape in row.shapes(row.with_width(trial.architecture, width), 10_000))
        if wider != counts.num_parameters:
            assert wider > wanted
            return
    pytest.fail("no wider network was found")


def of(method: str, **sparsity: Any) -> TrialConfig:
    return paper(method, 0.0 if method in ("dense", "iss") else 0.67, **sparsity)


def per_step(trial: TrialConfig, epochs: int = 100) -> float:
    """Mean cost of a step, in dense forward passes."""
    tokens = epochs * steps_of_epoch(trial).num_scored_tokens
    return training_flops(trial, epochs) / tokens / forward_flops_per_token(paper("dense", 0.0))


SPARSE = pytest.approx(3 * 0.33, rel=1e-9)
COSTS = {
    "dense": 3.0,
    "iss": 3.0,  # nothing is masked
    "static": SPARSE,
    "set": SPARSE,
    "deepr": SPARSE,
    "dsr": SPARSE,
    "selfish": SPARSE,
    "selfish_figure": SPARSE,
    "hyperpruning": pytest.approx(3 * 0.33, rel=0.03),  # ER shifts weights from the embedding, which is free
    "snfs": pytest.approx(2 * 0.33 + 1, rel=1e-9),
    "rigl": pytest.approx((3 * 0.33 * 100 + 2 * 0.33 + 1) / 101, rel=1e-9),
    "snip": pytest.approx(3 * 0.33 + 3 * 700 / (100 * 929_560), rel=1e-9),  # and a dense step of 20 streams of 35
    # of 100 epochs 50 are on the way, at a mean of 3/4 of it
    "gmp": pytest.approx(3 * (1 - 0.67 * (0.5 * 0.75 + 0.5)), rel=1e-4),
    "lottery": pytest.approx(3 * (50 + 50 * 0.33) / 100, rel=1e-9),
    "small_dense": pytest.approx(3 * (4 * 4 * 698.5**2 + 10_000 * 698.5) / 51e6, rel=0.01),
}
"""Mean cost of a step at sparsity .67, in dense forward passes of the LSTM."""


def test_every_method_has_a_cost_here() -> None:
    assert METHODS.keys() <= COSTS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_training_costs_what_the_methods_rule_says(method: str) -> None:
    assert per_step(of(method)) == COSTS[method]


@pytest.mark.parametrize("epochs", [1, 13, 50, 77])
@pytest.mark.parametrize("parts", [{}, {"update_start_fraction": 0.2}, {"initial_level": 0.05}], ids=str)
def test_pruning_costs_the_sum_over_its_steps(epochs: int, parts: dict[str, float]) -> None:
    trial, first = of("gmp", **parts), 100 * parts.get("update_start_fraction", 0.0)
    num_steps = steps_of_epoch(trial).num_steps
    horizon = 46_479 / 35
    start = 1 - parts.get("initial_level", 0.0)
    total = 0.0
    for step in range(epochs * num_steps):
        progress = min(1.0, max(0.0, (step + 0.5 - first * horizon) / ((50 - first) * horizon)))
        total += 3 * (start + (0.33 - start) * (1 - (1 - progress) ** 3))
    assert per_step(trial, epochs) == pytest.approx(total / (epochs * num_steps), rel=1e-6)


def test_every_round_of_rewinding_costs_its_density() -> None:
    trial = of("lottery", rewind_rounds=2, round_epochs=10)
    # ten epochs dense, ten at the root of .33, then at .33
    assert per_step(trial, 8) == pytest.approx(3.0)
    assert per_step(trial, 20) == pytest.approx(3 * (10 + 10 * 0.33**0.5) / 20)
    assert per_step(trial, 35) == pytest.approx(3 * (10 + 10 * 0.33**0.5 + 15 * 0.33) / 35)


@pytest.mark.parametrize("gradient_steps", [2, 50])
def test_every_gradient_that_regrowth_reads_is_dense(gradient_steps: int) -> None:
    trial = of("rigl", gradient_steps=gradient_steps)
    cost = (3 * 0.33 * (101 - gradient_steps) + gradient_steps * (2 * 0.33 + 1)) / 101
    assert per_step(trial) == pytest.approx(cost, rel=1e-9)


def test_regrowth_by_gradient_once_an_epoch_pays_for_one_dense_gradient_an_epoch() -> None:
    trial = of("set", regrowth="gradient")
    assert per_step(trial) == pytest.approx((3 * 0.33 * 1328 + 2 * 0.33 + 1) / 1329, rel=1e-9)


def test_rounds_cost_what_the_densities_of_their_tensors_say() -> None:
    trial = of("lottery", rewind_rounds=2, round_epochs=10, exclude="decoder.*")
    # the LSTM is 36 of 51 million products; the decoder stays dense
    expected = 3 * (10 + 10 * (36 * 0.33**0.5 + 15) / 51) / 20
    assert per_step(trial, 20) == pytest.approx(expected)


def test_what_is_excluded_from_pruning_is_dense_from_the_start() -> None:
    trial = of("gmp", initial_level=0.5, exclude="decoder.*")
    # the LSTM goes from .5 to .33, 50 of 100 epochs long, at a mean of 3/4 of the way
    lstm = 0.5 - (0.5 - 0.33) * (0.5 * 0.75 + 0.5)
    assert per_step(trial) == pytest.approx(3 * (36 * lstm + 15) / 51, rel=1e-4)
