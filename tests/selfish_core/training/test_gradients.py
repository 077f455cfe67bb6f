"""Gradients between the backward pass and the step: norms and clipping by hand, penalties, noise, means of several."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ParameterShape, bias
from selfish_core.data.corpora import Corpus
from selfish_core.training.gradients import Gradients
from selfish_core.training.loop import Training

SHAPES = (
    ParameterShape(name="weight", shape=(2,), layer="layer"),
    ParameterShape(name="dense", shape=(2,), layer="layer"),
    bias("bias", 1, "layer"),
)


class Case:
    """A tensor whose second weight is inactive, one without a mask, and a bias; gradients 3 4, 0 0 and 12."""

    def __init__(self, clip_norm: float = 100.0, **parts: object) -> None:
        self.weights = {
            "weight": torch.nn.Parameter(torch.tensor([-2.0, 0.0])),
            "dense": torch.nn.Parameter(torch.tensor([5.0, 0.0])),
            "bias": torch.nn.Parameter(torch.tensor([7.0])),
        }
        for name, values in {"weight": [3.0, 4.0], "dense": [0.0, 0.0], "bias": [12.0]}.items():
            self.weights[name].grad = torch.tensor(values)
        config = SparsityConfig.model_validate({"level": 0.5, **METHODS["static"].parts, **parts})
        noise = torch.Generator().manual_seed(9)
        masks = {"weight": torch.tensor([1.0, 0.0])}
        self.gradients = Gradients(config, clip_norm, self.weights, masks, SHAPES, noise)

    def clipped(self) -> dict[str, list[float]]:
        self.gradients.clip_(self.gradients.norm())
        return {name: gradient.tolist() for name, gradient in self.gradients.by_name().items()}


def test_the_norm_is_of_all_gradients_also_those_of_inactive_weights() -> None:
    assert float(Case().gradients.norm()) == pytest.approx(13.0)  # 9 + 16 + 144 = 169


def test_the_norm_of_active_gradients_leaves_inactive_weights_out() -> None:
    assert float(Case(clip_on="active").gradients.norm()) == pytest.approx(153**0.5)  # 9 + 144


@pytest.mark.parametrize(("clip_on", "norm"), [("dense", 13.0), ("active", 153**0.5)])
def test_all_gradients_are_scaled_down_by_what_the_norm_is_too_large(clip_on: str, norm: float) -> None:
    found = Case(norm / 2, clip_on=clip_on).clipped()
    assert found["weight"] == pytest.approx([1.5, 2.0], rel=1e-5)
    assert found["bias"] == pytest.approx([6.0], rel=1e-5)


def test_a_small_norm_scales_nothing() -> None:
    assert Case(13.1).clipped() == {"weight": [3.0, 4.0], "dense": [0.0, 0.0], "bias": [12.0]}


def test_a_norm_between_the_two_is_clipped_by_one_and_not_by_the_other() -> None:
    assert Case(12.7, clip_on="active").clipped()["bias"] == [12.0]
    assert Case(12.7, clip_on="dense").clipped()["bias"] == pytest.approx([12.0 * 12.7 / 13], rel=1e-5)


def test_l1_adds_the_sign_of_active_weights_after_the_clipping() -> None:
    # halved to 1.5 2; then -.1 for the negative weight, nothing for the inactive one; +.1 for the positive one
    found = Case(6.5, l1_penalty=0.1).clipped()
    assert found["weight"] == pytest.approx([1.4, 2.0], rel=1e-5)
    assert found["dense"] == pytest.approx([0.1, 0.0])
    assert found["bias"] == pytest.approx([6.0], rel=1e-5)


def test_noise_is_drawn_for_every_maskable_weight_and_added_to_active_ones_after_the_clipping() -> None:
    found = Case(6.5, gradient_noise=0.01).clipped()
    generator = torch.Generator().manual_seed(9)
    weight, dense = (torch.empty(2).normal_(generator=generator) for _ in range(2))
    assert found["weight"] == pytest.approx([1.5 + 0.01 * float(weight[0]), 2.0], rel=1e-5)
    assert found["dense"] == pytest.approx((0.01 * dense).tolist(), rel=1e-5)
    assert found["bias"] == pytest.approx([6.0], rel=1e-5)


def test_a_parameter_without_a_gradient_is_passed_over() -> None:
    case = Case(6.5, l1_penalty=0.1, gradient_noise=0.01)
    case.weights["weight"].grad = None
    assert case.clipped().keys() == {"dense", "bias"}


def test_group_lasso_belongs_to_the_loss_so_it_is_in_the_norm() -> None:
    # one unit: row (3), column (4), norm 5; strength 10 gives 6 and 8, a norm of 10
    shapes = (
        ParameterShape(name="into", shape=(1, 1), layer="h", row_units="h", column_units="x"),
        ParameterShape(name="out", shape=(1, 1), layer="words", row_units="words", column_units="h"),
    )
    weights = {name: torch.nn.Parameter(torch.tensor([[value]])) for name, value in (("into", 3.0), ("out", 4.0))}
    for weight in weights.values():
        weight.grad = torch.zeros(1, 1)
    parts = SparsityConfig.model_validate({**METHODS["iss"].parts, "group_lasso": 10.0})
    gradients = Gradients(parts, 5.0, weights, {}, shapes, None)
    norm = gradients.norm()
    assert float(norm) == pytest.approx(10.0)
    gradients.clip_(norm)
    assert [float(gradient) for gradient in gradients.by_name().values()] == pytest.approx([3.0, 4.0], rel=1e-5)


class Watched:
    """A training of which every step's gradients and every mask update's mean gradients are written down."""

    def __init__(self, config: Any, corpus: Corpus) -> None:
        torch.set_num_threads(1)
        self.training = Training(config, corpus, torch.device("cpu"))
        self.steps: list[dict[str, Tensor]] = []
        self.updates: list[tuple[int, dict[str, Tensor | None]]] = []
        gradients, updater = self.training._gradients, self.training.updater
        plain_clip, plain_update = gradients.clip_, updater.update

        def clip(norm: Tensor) -> None:
            plain_clip(norm)
            self.steps.append({name: gradient.clone() for name, gradient in gradients.by_name().items()})

        def update(step: int, *rest: Any) -> Any:
            self.updates.append((step, updater.memory.mean_gradients()))
            return plain_update(step, *rest)

        gradients.clip_ = clip  # type: ignore[method-assign]
        updater.update = update  # type: ignore[method-assign]

    def assert_means_are_of_the_last(self, number: int) -> None:
        assert self.updates
        for step, means in self.updates:
            assert means.keys() == self.training.updater.masks.tensors.keys()
            for name, mean in means.items():
                last = [gradients[name] for gradients in self.steps[step - number : step]]
                assert mean is not None
                torch.testing.assert_close(mean, torch.stack(last).mean(0))


def test_regrowth_reads_the_mean_gradient_of_the_last_steps(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    parts = {"level": 0.5, "update_every_steps": 5, "gradient_steps": 3}
    watched = Watched(tiny_trial("rigl", "sgd", sparsity=parts), tiny_corpus)
    for _ in range(2):
        watched.training.run_epoch()
    assert [step for step, _ in watched.updates] == [5, 10, 15, 20]
    watched.assert_means_are_of_the_last(3)


def test_the_mean_at_an_epochs_end_is_of_its_last_steps(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    parts = {"level": 0.5, "regrowth": "gradient", "gradient_steps": 4}
    watched = Watched(tiny_trial("set", "sgd", sparsity=parts), tiny_corpus)
    for _ in range(3):
        watched.training.run_epoch()
    assert [step for step, _ in watched.updates] == [11, 22, 33]
    watched.assert_means_are_of_the_last(4)


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("set", {"regrowth": "gradient", "update_every_epochs": 2}),
        ("rigl", {"update_every_steps": 5, "update_start_fraction": 0.3}),
    ],
)
def test_steps_before_an_end_without_an_update_are_in_no_mean(
    method: str, parts: dict[str, Any], tiny_trial: Any, tiny_corpus: Corpus
) -> None:
    watched = Watched(tiny_trial(method, "sgd", sparsity={"level": 0.5, "gradient_steps": 3, **parts}), tiny_corpus)
    for _ in range(4):
        watched.training.run_epoch()
    watched.assert_means_are_of_the_last(3)
