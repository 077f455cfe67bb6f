"""Each method's first three mask updates on eight weights, worked by hand.

Three updates at steps 1, 2, 3 of a horizon of 3: half a cosine from d to e takes the rates e + .75 (d - e),
e + .25 (d - e) and e. Where a method draws, the numbers are those of torch's generator, seed 0, eight at a time:

    D1  .4963 .7682 .0885 .1320 .3074 .6341 .4901 .8964        D4  .4194 .5529 .9527 .0362 .1852 .3734 .3051 .9320
    D2  .4556 .6323 .3489 .4017 .0223 .1689 .2939 .5185        D5  .1759 .2698 .1507 .0317 .2081 .9298 .7231 .7423
    D3  .6977 .8000 .1610 .2823 .6816 .9152 .3971 .8742        D6  .5263 .2437 .5846 .0332 .1387 .2422 .8155 .7932
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from selfish_core.accounting import TensorTarget
from selfish_core.catalogue.distributions import DISTRIBUTIONS
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.optimizers import SGDConfig
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.optim.plain import SGD
from selfish_core.sparsity.group_lasso import zero_small_
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.snip import snip_masks
from selfish_core.sparsity.updater import MaskUpdate, MaskUpdater
from selfish_core.training.gradients import Gradients
from selfish_core.training.rewind import Rewinding

DRAWS = (
    [0.4963, 0.7682, 0.0885, 0.1320, 0.3074, 0.6341, 0.4901, 0.8964],
    [0.4556, 0.6323, 0.3489, 0.4017, 0.0223, 0.1689, 0.2939, 0.5185],
    [0.6977, 0.8000, 0.1610, 0.2823, 0.6816, 0.9152, 0.3971, 0.8742],
    [0.4194, 0.5529, 0.9527, 0.0362, 0.1852, 0.3734, 0.3051, 0.9320],
    [0.1759, 0.2698, 0.1507, 0.0317, 0.2081, 0.9298, 0.7231, 0.7423],
    [0.5263, 0.2437, 0.5846, 0.0332, 0.1387, 0.2422, 0.8155, 0.7932],
)

Numbers = Sequence[float]
HALF = [1, 1, 1, 1, 0, 0, 0, 0]
_ = 9
"""What training writes at an inactive position: it is zero before the update sees it."""


class Bench:
    """One method's mask updates; tensors `a`, `b`, … of eight weights each, half of them to be active.

    Args:
        method: of the catalogue.
        weights: of each tensor, at the start.
        mask: the first mask, the same for all.
        gates: number of equal gates of each tensor.
        window: first and last step of the horizon.
        parts: laid over the method's.
    """

    def __init__(
        self,
        method: str,
        *weights: Numbers,
        mask: Sequence[int] = HALF,
        gates: int = 1,
        window: tuple[float, float] | None = (0, 3),
        **parts: object,
    ) -> None:
        names = "ab"[: len(weights)]
        config = SparsityConfig.model_validate({"level": 0.5, **METHODS[method].parts, **parts})
        gate_names = tuple(f"gate{index}" for index in range(gates))
        shapes = [ParameterShape(name=name, shape=(8,), layer=name, gates=gate_names) for name in names]
        self.weights = {name: torch.tensor(row, dtype=torch.float32) for name, row in zip(names, weights, strict=True)}
        densities = DISTRIBUTIONS[config.distribution](config.level, shapes)
        targets = [TensorTarget(shape, density) for shape, density in zip(shapes, densities, strict=True)]
        generator = torch.Generator().manual_seed(0)
        self.masks = Masks.full(targets)
        for name in self.masks.tensors:
            self.masks.set(name, torch.tensor(mask, dtype=torch.bool))
        self.masks.apply_(self.weights)
        self.updater = MaskUpdater(config, self.masks, targets, self.weights, window=window, generator=generator)

    def train(self, *values: Numbers) -> None:
        """Let optimizer steps have led to these weights; inactive ones stay zero."""
        for weight, row in zip(self.weights.values(), values, strict=True):
            weight.copy_(torch.tensor(row, dtype=torch.float32))
        self.masks.apply_(self.weights)

    def update(self, step: int, gradient: Numbers = (), *momenta: Numbers) -> MaskUpdate:
        gradients: dict[str, Tensor | None] = {"a": torch.tensor(gradient, dtype=torch.float32)} if gradient else {}
        return self.updater.update(
            step,
            self.weights,
            gradients,
            {name: torch.tensor(row, dtype=torch.float32) for name, row in zip("ab", momenta, strict=False)},
        )

    def expect(self, mask: Sequence[int], weights: Numbers, name: str = "a") -> None:
        assert self.masks.tensors[name].int().tolist() == mask
        assert torch.equal(self.weights[name], torch.tensor(weights, dtype=torch.float32))

    def expect_nothing_ever_due(self) -> None:
        for time in (1, 2, 3):
            assert not self.updater.is_due_at_step(time)
            assert not self.updater.is_due_after_epoch(time, time)


def places(mask: Tensor) -> list[int]:
    return [int(place) for place in mask.nonzero()]


def expect_no_masks(bench: Bench) -> None:
    for time in (1, 2, 3):
        bench.train([time] * 8)
        assert bench.masks.tensors == {}
        assert bench.weights["a"].tolist() == [time] * 8
    bench.expect_nothing_ever_due()


def test_every_method_has_a_case() -> None:
    assert {f"test_{name}" for name in METHODS} <= globals().keys()


def test_the_draws_are_those_of_the_head() -> None:
    generator = torch.Generator().manual_seed(0)
    for row in DRAWS:
        assert torch.rand(8, generator=generator).tolist() == pytest.approx(row, abs=5.1e-5)
    assert torch.randperm(8, generator=torch.Generator().manual_seed(0)).tolist()[:4] == [4, 0, 7, 3]


def test_dense() -> None:
    expect_no_masks(Bench("dense", [4, -1, 2, -3, 5, -6, 7, -8]))


def test_small_dense() -> None:
    expect_no_masks(Bench("small_dense", [4, -1, 2, -3, 5, -6, 7, -8]))


def test_static() -> None:
    # Half of eight is four: the first four of the permutation 4 0 7 3 …
    shape = ParameterShape(name="a", shape=(8,), layer="a")
    drawn = Masks.draw([TensorTarget(shape, 0.5)], exact_count=True, generator=torch.Generator().manual_seed(0))
    first = [1, 0, 0, 1, 1, 0, 0, 1]
    assert drawn.tensors["a"].int().tolist() == first
    bench = Bench("static", [1, 2, 3, 4, 5, 6, 7, 8], mask=first)
    bench.expect(first, [1, 0, 0, 4, 5, 0, 0, 8])
    for _time in (1, 2, 3):
        bench.train([2] * 8)
        bench.expect(first, [2, 0, 0, 2, 2, 0, 0, 2])
    bench.expect_nothing_ever_due()


def test_set() -> None:
    # rates .375, .125, 0 of four weights: 2, 1 and 0 go, rounded up; what goes cannot return at once
    bench = Bench("set", [4, -1, 2, -3, 0, 0, 0, 0])
    # -1 and 2 go; free are 4 … 7, of which D1 ranks 7 (.8964) and 5 (.6341) first
    update = bench.update(1)
    bench.expect([1, 0, 0, 1, 0, 1, 0, 1], [4, 0, 0, -3, 0, 0, 0, 0])
    assert (update.removal_rate, update.num_exchanged, update.num_active) == (pytest.approx(0.375), 2, 4)
    # .5 goes; free are 1, 2, 4, 6, of which D2 ranks 1 (.6323) first
    bench.train([4, _, _, -3, _, 0.5, _, -2])
    bench.update(2)
    bench.expect([1, 1, 0, 1, 0, 0, 0, 1], [4, 0, 0, -3, 0, 0, 0, -2])
    # nothing goes, so nothing comes
    bench.train([4, 0.1, _, -3, _, _, _, -2])
    assert bench.update(3).removal_rate == 0.0
    bench.expect([1, 1, 0, 1, 0, 0, 0, 1], [4, 0.1, 0, -3, 0, 0, 0, -2])


def test_deepr() -> None:
    # An update that regrows draws eight ranks, then eight signs: positive below .5. Four are to be active.
    bench = Bench("deepr", [4, -1, 2, -3, 0, 0, 0, 0], window=None)
    assert bench.updater.is_due_at_step(1)
    # weight 1 has crossed zero; free are 1, 4 … 7, of which D1 ranks 7 (.8964) first; D2 says .5185: negative
    bench.train([4, 0.5, 2, -3, _, _, _, _])
    update = bench.update(1)
    bench.expect([1, 0, 1, 1, 0, 0, 0, 1], [4, 0, 2, -3, 0, 0, 0, -1e-12])
    assert (update.removal_rate, update.num_exchanged) == (0.25, 1)
    # none crosses: nothing moves, and nothing is drawn
    bench.train([3, _, 1, -2, _, _, _, -0.1])
    bench.update(2)
    bench.expect([1, 0, 1, 1, 0, 0, 0, 1], [3, 0, 1, -2, 0, 0, 0, -0.1])
    # 0 crosses downwards, 7 upwards, for it began negative; free are 0, 1, 4 … 7, of which D3 ranks 5 (.9152) and
    # 7 (.8742) first: 7 returns, but anew. D4 makes 5 (.3734) positive and 7 (.9320) negative.
    bench.train([-0.1, _, 1, -2, _, _, _, 0.2])
    change = bench.update(3).changes["a"]
    bench.expect([0, 0, 1, 1, 0, 1, 0, 1], [0, 0, 1, -2, 0, 1e-12, 0, -1e-12])
    assert (places(change.left), places(change.started)) == ([0], [5, 7])


def test_dsr() -> None:
    # A third of six, so two, are wanted to go; two positions are free, so what regrows is forced.
    first = [0.004, -0.0005, 0.0002, -0.003, 0.0008, 0.002, 0, 0]
    bench = Bench("dsr", first, mask=[1, 1, 1, 1, 1, 1, 0, 0], window=None, removal_rate=1 / 3)
    thresholds = bench.updater.memory.thresholds
    assert thresholds is not None
    assert thresholds.values == [0.001]
    # three are below .001, more than 2.2: the threshold is halved; only two can be replaced, so the two smallest go
    bench.update(400)
    bench.expect([1, 0, 0, 1, 1, 1, 1, 1], [0.004, 0, 0, -0.003, 0.0008, 0.002, 0, 0])
    assert thresholds.values == [0.0005]
    # two are below .0005, between 1.8 and 2.2: the threshold stays; 1 and 2 are the only ones free
    bench.train([0.004, _, _, -0.003, 0.0004, 0.002, 0.0001, -0.0006])
    bench.update(800)
    bench.expect([1, 1, 1, 1, 0, 1, 0, 1], [0.004, 0, 0, -0.003, 0, 0.002, 0, -0.0006])
    assert thresholds.values == [0.0005]
    # none is below .0005, fewer than 1.8: the threshold is doubled, and nothing moves
    bench.train([0.004, 0.001, -0.001, -0.003, _, 0.002, _, -0.0006])
    assert bench.update(1200).removal_rate == 0.0
    bench.expect([1, 1, 1, 1, 0, 1, 0, 1], [0.004, 0.001, -0.001, -0.003, 0, 0.002, 0, -0.0006])
    assert thresholds.values == [0.001]


def test_snfs() -> None:
    # Rates .37625, .12875, .005. Shares are mean |momentum| of what is active before the removal; eight in all.
    bench = Bench("snfs", [4, -1, 2, -3, 0, 0, 0, 0], [0.4, -0.1, 0.2, -0.3, 0, 0, 0, 0])
    # 1.5 of four, so two go in each: 1 and 2. Means (.2 + 3 + 3 + 1.8) / 4 = 2 and (1 + .5 + .2 + .3) / 4 = .5, so of
    # four a has 3.2 and b .8: 3 and 1. Largest in a: 1 (3), 2 (3), 5 (.9); in b: 7 (.9). 1 and 2 keep their values.
    bench.update(1, (), [0.2, -3, 3, -1.8, 0.5, -0.9, 0.7, 0.1], [1, -0.5, 0.2, -0.3, 0.1, 0.2, 0.3, -0.9])
    bench.expect([1, 1, 1, 1, 0, 1, 0, 0], [4, -1, 2, -3, 0, 0, 0, 0], "a")
    bench.expect([1, 0, 0, 1, 0, 0, 0, 1], [0.4, 0, 0, -0.3, 0, 0, 0, 0], "b")
    # .64 of five and .39 of three: one each, a's 2 (.5) and b's 7 (.1). Means 1 and (3 + 2.5 + .5) / 3 = 2, so of two
    # a has .67 and b 1.33: 1 and 1. Largest in a: 2 (1), which returns; in b: 6 (.9).
    bench.train([4, -1, 0.5, -3, _, 2, _, _], [0.4, _, _, -0.3, _, _, _, 0.1])
    bench.update(2, (), [1, 1, 1, -1, 0.2, 1, 0.3, 0.1], [3, 0.4, 0.6, -2.5, 0.7, 0.8, 0.9, 0.5])
    bench.expect([1, 1, 1, 1, 0, 1, 0, 0], [4, -1, 0.5, -3, 0, 2, 0, 0], "a")
    bench.expect([1, 0, 0, 1, 0, 0, 1, 0], [0.4, 0, 0, -0.3, 0, 0, 0, 0], "b")
    # one each again: a's 2 (.5), b's 6 (.2). a's active momentum is 0, so b has both: 6 (1), which returns, and 2 (.6)
    bench.train([4, -1, 0.5, -3, _, 2, _, _], [0.4, _, _, -0.3, _, _, 0.2, _])
    bench.update(3, (), [0, 0, 0, 0, 5, 0, 5, 5], [1, 0.1, -0.6, 1, 0.5, 0.2, 1, -0.4])
    bench.expect([1, 1, 0, 1, 0, 1, 0, 0], [4, -1, 0, -3, 0, 2, 0, 0], "a")
    bench.expect([1, 0, 1, 1, 0, 0, 1, 0], [0.4, 0, 0, -0.3, 0, 0, 0.2, 0], "b")


def test_rigl() -> None:
    # Steps 100, 200, 300 of 400: rates .256, .15, .044 of four weights: 2, 1 and 1 go.
    bench = Bench("rigl", [4, -1, 2, -3, 0, 0, 0, 0], window=(0, 400))
    assert [step for step in range(1, 600) if bench.updater.is_due_at_step(step)] == [100, 200, 300]
    # -1 and 2 go; of 1, 2, 4 … 7 the gradient is largest at 5 (.8) and 2 (.7): 2 returns with its value
    change = bench.update(100, [9, 0.1, 0.7, 9, 0.2, -0.8, 0.3, 0.4]).changes["a"]
    bench.expect([1, 0, 1, 1, 0, 1, 0, 0], [4, 0, 2, -3, 0, 0, 0, 0])
    assert (places(change.left), places(change.started)) == ([1], [5])
    # .5 goes; of 1, 4 … 7 the gradient is largest at 4 (.9)
    bench.train([5, _, 1, -3, _, 0.5, _, _])
    bench.update(200, [9, 0.2, 9, 9, -0.9, 0.6, 0.3, 0.1])
    bench.expect([1, 0, 1, 1, 1, 0, 0, 0], [5, 0, 1, -3, 0, 0, 0, 0])
    # .4 goes, and its own gradient (.8) is the largest of 1, 2, 5, 6, 7
    bench.train([5, _, 0.4, -3, 0.6, _, _, _])
    assert bench.update(300, [9, 0.1, 0.8, 9, 9, 0.3, 0.2, 0.1]).num_exchanged == 0
    bench.expect([1, 0, 1, 1, 1, 0, 0, 0], [5, 0, 0.4, -3, 0.6, 0, 0, 0])


def test_selfish() -> None:
    # Rates .60125, .20375, .005; each inactive weight has a coin: quota / number of inactive ones.
    bench = Bench("selfish", [4, -1, 2, -3, 0, 0, 0, 0])
    # 2.4 of four, so three go; quota 3 of seven, .4286: D1 is below it at 2, 3, 4; 2 and 3 return with their values
    change = bench.update(1).changes["a"]
    bench.expect([1, 0, 1, 1, 1, 0, 0, 0], [4, 0, 2, -3, 0, 0, 0, 0])
    assert (places(change.left), places(change.started)) == ([1], [4])
    # .8 of four, so one: .5 goes; quota 1 of five, .2: D2 is below it at 4 and 5, one more than the quota
    bench.train([5, _, 1, -3, 0.5, _, _, _])
    bench.update(2)
    bench.expect([1, 0, 1, 1, 1, 1, 0, 0], [5, 0, 1, -3, 0.5, 0, 0, 0])
    # .25 goes; four are left, as at first, so the quota is 0 and the drift is made good
    bench.train([5, _, 0.25, -3, 0.5, 1, _, _])
    bench.update(3)
    bench.expect([1, 0, 0, 1, 1, 1, 0, 0], [5, 0, 0, -3, 0.5, 1, 0, 0])


def test_selfish_figure() -> None:
    # Gates are 0-1, 2-3, 4-5, 6-7; six are active, exactly; rates as for selfish.
    bench = Bench("selfish_figure", [6, 0.5, 5, -1, 0.1, 2, 0, 0], mask=[1, 1, 1, 1, 1, 1, 0, 0], gates=4)
    # 3.6 of six, so four go, all but 6 and 5; one comes in every gate: 1 and 3 are the only ones free in theirs, D1
    # ranks 5 above 4 and 7 above 6. 1, 3 and 5 return with their values.
    bench.update(1)
    bench.expect([1, 1, 1, 1, 0, 1, 0, 1], [6, 0.5, 5, -1, 0, 2, 0, 0])
    # 1.2, so two go: 7 (.2) and 1 (.5). Two for three gates with room, 1 | 4 | 6 7: the first two have one each
    bench.train([6, 0.5, 5, -1, _, 2, _, 0.2])
    bench.update(2)
    bench.expect([1, 1, 1, 1, 1, 1, 0, 0], [6, 0.5, 5, -1, 0, 2, 0, 0])
    # .03, so one: 4 (.3). One for two gates with room, 4 | 6 7: the first has it, and it returns
    bench.train([6, 0.5, 5, -1, 0.3, 2, _, _])
    bench.update(3)
    bench.expect([1, 1, 1, 1, 1, 1, 0, 0], [6, 0.5, 5, -1, 0.3, 2, 0, 0])


def test_hyperpruning() -> None:
    # Rates .52625, .17875, .005 of both tensors together; coins for a, then for b.
    bench = Bench("hyperpruning", [4, -1, 2, -3, 0, 0, 0, 0], [0.4, -5, 6, -0.3, 0, 0, 0, 0])
    # 4.2 of eight, so five go: .3 .4 1 2 3. One and two are left: of five a has 1.67 and b 3.33, so 2 and 3.
    # a: 2 of seven, .286: D1 is below it at 2, 3. b: 3 of six, .5: D2 is below it at 0, 3, 4, 5, 6.
    bench.update(1)
    bench.expect([1, 0, 1, 1, 0, 0, 0, 0], [4, 0, 2, -3, 0, 0, 0, 0], "a")
    bench.expect([1, 1, 1, 1, 1, 1, 1, 0], [0.4, -5, 6, -0.3, 0, 0, 0, 0], "b")
    # 1.8 of ten, so two go: .3 and .4. Eight are left, as at first: nothing comes, though D3 and D4 are drawn
    bench.train([4, _, 2, -3, _, _, _, _], [0.4, -5, 6, -0.3, 1, 1, 1, _])
    bench.update(2)
    bench.expect([1, 0, 1, 1, 0, 0, 0, 0], [4, 0, 2, -3, 0, 0, 0, 0], "a")
    bench.expect([0, 1, 1, 0, 1, 1, 1, 0], [0, -5, 6, 0, 1, 1, 1, 0], "b")
    # one goes: .5. Three and four are left: of one a has .43 and b .57, so 0 and 1. D5 is for a's coins of chance 0;
    # b: 1 of four, .25: of 0, 3, 6, 7 D6 is below it at 3.
    bench.train([4, _, 2, -3, _, _, _, _], [_, -5, 6, _, 1, 1.5, 0.5, _])
    bench.update(3)
    bench.expect([1, 0, 1, 1, 0, 0, 0, 0], [4, 0, 2, -3, 0, 0, 0, 0], "a")
    bench.expect([0, 1, 1, 1, 1, 1, 0, 0], [0, -5, 6, 0, 1, 1.5, 0, 0], "b")


def test_gmp() -> None:
    # Steps 100, 200, 300 of 400: shares of the way 1 - .75³ = .5781, 1 - .5³ = .875, 1 - .25³ = .9844, so densities
    # .7109, .5625, .5078, and 5.69, 4.5, 4.06 weights: 6, 5 (halves up) and 4.
    first = [8, -1, 6, -3, 5, 0.5, -7, 2]
    bench = Bench("gmp", first, mask=[1] * 8, window=(0, 400))
    assert not bench.updater.is_at_target()
    assert [step for step in range(1, 600) if bench.updater.is_due_at_step(step)] == [100, 200, 300, 400, 500]
    update = bench.update(100)  # .5 and 1 go
    bench.expect([1, 0, 1, 1, 1, 0, 1, 1], [8, 0, 6, -3, 5, 0, -7, 2])
    assert (update.removal_rate, update.num_exchanged) == (0.25, 2)
    bench.train([8, _, 6, -3, 5, _, -7, 2])
    bench.update(200)  # 2 goes
    bench.expect([1, 0, 1, 1, 1, 0, 1, 0], [8, 0, 6, -3, 5, 0, -7, 0])
    bench.train([8, _, 0.1, -3, 5, _, -7, _])
    bench.update(300)  # .1 goes
    bench.expect([1, 0, 0, 1, 1, 0, 1, 0], [8, 0, 0, -3, 5, 0, -7, 0])
    assert bench.updater.is_at_target()
    assert not bench.updater.is_due_at_step(400)


def test_iss() -> None:
    # Two units; eight weights: their rows (3, 0) and (0, .06), and the decoder's columns (4, 0) and (0, .08).
    # A unit's norm shrinks by rate · strength = .1 · .5 = .05 a step, the loss being flat. Norms: 5 and .1.
    parts = SparsityConfig.model_validate({**METHODS["iss"].parts, "group_lasso": 0.5, "zero_threshold": 0.05})
    rows = ParameterShape(name="a", shape=(2, 2), layer="a", row_units="h", column_units="x")
    columns = ParameterShape(name="b", shape=(2, 2), layer="b", row_units="words", column_units="h")
    weights = {
        "a": torch.nn.Parameter(torch.tensor([[3, 0], [0, 0.06]])),
        "b": torch.nn.Parameter(torch.tensor([[4, 0], [0, 0.08]])),
    }
    gradients = Gradients(parts, 100, weights, {}, (rows, columns), None)
    optimizer = SGD(SGDConfig(name="sgd", learning_rate=0.1, weight_decay=0), weights, {})
    for norm in (4.95, 4.90, 4.85):  # the first unit: 3/5 and 4/5 of its norm
        for weight in weights.values():
            weight.grad = torch.zeros_like(weight)
        gradients.clip_(gradients.norm())
        optimizer.step()
        assert parts.zero_threshold is not None
        zero_small_(weights, parts.zero_threshold)
        # the second unit: half of .06 and .08, so .03 and .04, which are below the threshold: gone in the first step
        assert weights["a"].flatten().tolist() == pytest.approx([0.6 * norm, 0, 0, 0], abs=1e-6)
        assert weights["b"].flatten().tolist() == pytest.approx([0.8 * norm, 0, 0, 0], abs=1e-6)
    expect_no_masks(Bench("iss", [1] * 8))


def test_snip() -> None:
    # |g w| = .4 2 1 .6 3 .4 3 .5: the four largest are 4, 6, 1, 2
    shape = ParameterShape(name="a", shape=(8,), layer="a")
    weights = [4, -1, 2, -3, 1, 1, -2, 0.5]
    gradient = torch.tensor([0.1, 2, 0.5, 0.2, 3, -0.4, 1.5, -1])
    generator = torch.Generator()
    masks = snip_masks([TensorTarget(shape, 0.5)], "tensor", {"a": torch.tensor(weights)}, {"a": gradient}, generator)
    first = [0, 1, 1, 0, 1, 0, 1, 0]
    assert masks["a"].int().tolist() == first
    bench = Bench("snip", weights, mask=first)
    bench.expect(first, [0, -1, 2, 0, 1, 0, -2, 0])
    for _time in (1, 2, 3):
        bench.train([3] * 8)
        bench.expect(first, [0, 3, 3, 0, 3, 0, 3, 0])
    bench.expect_nothing_ever_due()


def test_lottery() -> None:
    # Three rounds of two epochs to density .5: .5^⅓ = .794, .5^⅔ = .63, .5, so 6.35, 5.04 and 4 weights: 6, 5, 4.
    first = [1, 2, 3, 4, 5, 6, 7, 8]
    bench = Bench("lottery", first, mask=[1] * 8, window=None, rewind_rounds=3, round_epochs=2)
    rewinding = Rewinding.of(bench.updater.parts, bench.weights)
    assert rewinding is not None
    assert [rewinding.rounds_done(epoch) for epoch in range(1, 9)] == [None, 1, None, 2, None, 3, None, None]
    rounds = (
        # 0 and 2 are the smallest two; the others go back to where they were
        ([0.1, 8, -0.2, 7, 1, 2, 3, 4], [0, 1, 0, 1, 1, 1, 1, 1], [0, 2, 0, 4, 5, 6, 7, 8]),
        # 1 is the smallest of those that are left
        ([_, 0.5, _, 4, 5, 6, 7, 8], [0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 4, 5, 6, 7, 8]),
        # 7 is
        ([_, _, _, 4, -5, 6, 7, -1], [0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 4, 5, 6, 7, 0]),
    )
    for done, (trained, mask, weights) in enumerate(rounds, start=1):
        assert not bench.updater.is_at_target()
        bench.train(trained)
        bench.updater.prune_round(done / rewinding.rounds, bench.weights)
        rewinding.put_back(bench.weights)
        bench.masks.apply_(bench.weights)
        bench.expect(mask, weights)
    assert bench.updater.is_at_target()
    assert not any(bench.updater.is_due_at_step(step) for step in range(1, 10))
