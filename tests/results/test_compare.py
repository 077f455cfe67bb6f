"""Who is best: against numbers worked out by hand, printed tables, SciPy and statsmodels."""

from __future__ import annotations

import doctest
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from results.compare import Comparison, Verdict, interval, judge
from selfish_core.errors import InputError

# Two-sided t quantiles at 95 %, from printed tables: degrees of freedom -> quantile.
T_95 = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def seeded(values: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(values, start=1))


def against(other: Sequence[float], best: Sequence[float], **options: object) -> Comparison:
    verdict = judge({"other": seeded(other), "best": seeded(best)}, **options)  # type: ignore[arg-type]
    assert verdict.best == "best"
    return verdict.comparisons[0]


def by_name(verdict: Verdict) -> dict[str, Comparison]:
    return {comparison.other: comparison for comparison in verdict.comparisons}


def with_effect(effect_size: float, n: int) -> list[float]:
    """Differences whose mean is the effect size and whose standard deviation is 1."""
    ramp = np.arange(n) - (n - 1) / 2
    return list(ramp / ramp.std(ddof=1) + effect_size)


def test_a_paired_difference_worked_by_hand() -> None:
    # Differences -1, -2, -3: mean -2, standard deviation 1, t = -2 sqrt(3) with 2 degrees of freedom, whose two-sided
    # p is 1 - |t| / sqrt(2 + t^2) = 1 - sqrt(12 / 14).
    found = against([11, 22, 33], [10, 20, 30], on_log=False)
    assert (found.num_pairs, found.unpaired, found.difference) == (3, (), -2)
    assert found.effect_size == pytest.approx(-2)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert found.p_holm == pytest.approx(found.p)
    assert (found.low, found.high) == pytest.approx(
        (-2 - T_95[2] / math.sqrt(3), -2 + T_95[2] / math.sqrt(3)), rel=1e-3
    )
    assert not found.is_significant


def test_on_log_the_difference_is_a_ratio() -> None:
    best = [90.0, 95.0, 100.0]
    found = against([value * math.exp(log) for value, log in zip(best, (0.1, 0.2, 0.3), strict=True)], best)
    half = 0.1 * T_95[2] / math.sqrt(3)
    assert found.difference == pytest.approx(math.exp(-0.2))
    assert (found.low, found.high) == pytest.approx((math.exp(-0.2 - half), math.exp(-0.2 + half)), rel=1e-3)
    assert found.effect_size == pytest.approx(-2)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))


def test_two_pairs_are_enough_for_a_test() -> None:
    # Differences -1 and -3: t = -2 with one degree of freedom, the Cauchy law: p = 1 - 2 atan(2) / pi.
    found = against([11, 13], [10, 10], on_log=False)
    assert found.p == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert found.low == pytest.approx(-2 - T_95[1], abs=1e-3)


def test_pairing_by_seed_finds_what_a_test_of_two_groups_does_not() -> None:
    other, best = [90, 100, 110, 120, 130], [89.1, 98.9, 108.8, 118.9, 128.7]
    found = against(other, best)
    assert found.is_significant
    assert found.p == pytest.approx(float(stats.ttest_rel(np.log(best), np.log(other)).pvalue))
    assert stats.ttest_ind(np.log(best), np.log(other)).pvalue > 0.5


def test_holm_worked_by_hand() -> None:
    # With 2 degrees of freedom p = 1 - |t| / sqrt(2 + t^2); an effect d gives t = d sqrt(3).
    effects = {"far": 20.0, "middle": 5.0, "near": 2.0}
    samples = {name: seeded([10 + shift for shift in with_effect(d, 3)]) for name, d in effects.items()}
    verdict = judge({"best": seeded([10, 10, 10]), **samples}, on_log=False)
    p = {name: 1 - d * math.sqrt(3) / math.sqrt(2 + 3 * d * d) for name, d in effects.items()}
    found = by_name(verdict)
    assert {name: found[name].p for name in p} == pytest.approx(p)
    assert found["far"].p_holm == pytest.approx(3 * p["far"])
    assert found["middle"].p_holm == pytest.approx(2 * p["middle"])
    assert found["near"].p_holm == pytest.approx(p["near"])
    assert [found[name].is_significant for name in effects] == [True, True, False]
    assert (verdict.best, verdict.is_significant) == ("best", False)
    assert verdict.p_holm == found["near"].p_holm


def test_one_that_passes_alone_can_fail_in_a_family() -> None:
    best = [10.0] * 5
    nearly = [10 + shift for shift in with_effect(1.4, 5)]
    also = [10 + shift for shift in with_effect(1.4, 5)[::-1]]
    assert against(nearly, best, on_log=False).is_significant
    both = judge({"best": seeded(best), "nearly": seeded(nearly), "also": seeded(also)}, on_log=False)
    assert not both.is_significant
    assert both.p_holm == pytest.approx(2 * against(nearly, best, on_log=False).p)


def test_the_best_of_all_is_significantly_best() -> None:
    verdict = judge({"a": seeded([10.0] * 5), "b": seeded(np.add(with_effect(5, 5), 10).tolist())}, on_log=False)
    assert verdict.is_significant
    assert verdict.comparisons[0].num_more_seeds == 0


def test_higher_can_be_better() -> None:
    low, high = seeded([1.0, 2.0, 3.0]), seeded([9.0, 10.5, 11.0])
    verdict = judge({"low": low, "high": high}, on_log=False, is_lower_better=False)
    assert (verdict.best, verdict.is_significant) == ("high", True)
    assert verdict.comparisons[0].difference > 0
    assert judge({"low": low, "high": high}, on_log=False).best == "low"


@pytest.mark.parametrize(
    ("effect_size", "num_in_all"),
    # Sample sizes of a two-sided paired t test, alpha 0.05, power 0.8, as printed in tables and given by G*Power.
    [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)],
)
def test_more_seeds_are_those_of_the_printed_tables(effect_size: float, num_in_all: int) -> None:
    found = against([10 + shift for shift in with_effect(effect_size, 5)], [10.0] * 5, on_log=False)
    assert found.effect_size == pytest.approx(-effect_size)
    assert not found.is_significant
    assert found.num_more_seeds == num_in_all - 5


@pytest.mark.parametrize("effect_size", [0.15, 0.4, 0.9, 1.4])
def test_more_seeds_are_at_the_strictest_level_of_the_family(effect_size: float) -> None:
    others = {name: seeded([10 + shift for shift in with_effect(effect_size, 4)]) for name in "bcd"}
    found = judge({"a": seeded([10.0] * 4), **others}, on_log=False).comparisons
    total = TTestPower().solve_power(effect_size=effect_size, alpha=0.05 / 3, power=0.8)
    assert [comparison.num_more_seeds for comparison in found] == [math.ceil(total) - 4] * 3


def test_two_pairs_far_apart_need_few_more() -> None:
    # 20 standard deviations with one degree of freedom are not significant among 4; one more pair would do.
    others = {name: seeded([10 + shift for shift in with_effect(20, 2)]) for name in "bcde"}
    found = judge({"a": seeded([10.0] * 2), **others}, on_log=False).comparisons
    assert [(comparison.is_significant, comparison.num_more_seeds) for comparison in found] == [(False, 1)] * 4


def test_more_than_a_thousand_more_are_not_named() -> None:
    found = against([10 + shift for shift in with_effect(0.05, 5)], [10.0] * 5, on_log=False)
    assert found.num_more_seeds is None


def test_seeds_that_one_lacks_are_left_out_and_told() -> None:
    verdict = judge({"a": {1: 80.0, 2: 81.0, 3: 79.0, 7: 80.5}, "b": {1: 90.0, 2: 92.0, 3: 90.5, 5: 91.0}})
    found = verdict.comparisons[0]
    shared = judge({"a": {1: 80.0, 2: 81.0, 3: 79.0}, "b": {1: 90.0, 2: 92.0, 3: 90.5}}).comparisons[0]
    assert (found.num_pairs, found.unpaired) == (3, (5, 7))
    assert (found.p, found.difference) == (shared.p, shared.difference)


def test_the_best_mean_that_loses_over_the_shared_seeds_is_not_significant() -> None:
    a = {1: 100.0, 2: 101.0, 3: 102.5, 4: 10.0}
    b = {1: 90.0, 2: 90.5, 3: 92.0}
    verdict = judge({"a": a, "b": b})
    found = verdict.comparisons[0]
    assert (verdict.best, verdict.is_significant) == ("a", False)
    assert found.p < 0.01
    assert found.difference > 1
    assert (found.is_significant, found.num_more_seeds) == (False, None)


@pytest.mark.parametrize(
    ("best", "other", "trouble"),
    [
        ({1: 80.0}, {1: 90.0}, "one seed in common"),
        ({1: 80.0, 2: 81.0}, {1: 90.0, 3: 91.0}, "one seed in common"),
        ({1: 80.0, 2: 81.0}, {3: 90.0, 4: 91.0}, "no seed in common"),
        ({1: 80.0, 2: 81.0}, {}, "no seed in common"),
        ({1: 80.0, 2: 81.0, 3: 82.0}, {1: 80.0, 2: 81.0, 3: 82.0}, "do not vary"),
        ({1: 80.0, 2: 81.0, 3: 83.0}, {1: 88.0, 2: 89.1, 3: 91.3}, "do not vary"),  # 1.1 times, up to rounding
    ],
)
def test_what_cannot_be_tested_is_never_significant(
    best: Mapping[int, float], other: Mapping[int, float], trouble: str
) -> None:
    verdict = judge({"best": best, "other": other})
    found = verdict.comparisons[0]
    assert (verdict.best, verdict.is_significant) == ("best", False)
    assert trouble in found.trouble
    assert all(map(math.isnan, (found.p, found.p_holm, found.low, found.high, found.effect_size, verdict.p_holm)))
    assert (found.is_significant, found.num_more_seeds) == (False, None)


def test_what_cannot_be_tested_counts_in_the_family() -> None:
    best, other = seeded([10.0] * 3), seeded([10 + shift for shift in with_effect(5, 3)])
    alone = judge({"a": best, "b": other}, on_log=False)
    beside = judge({"a": best, "b": other, "c": {1: 99.0}}, on_log=False)
    assert alone.is_significant
    assert not beside.is_significant
    assert by_name(beside)["b"].p_holm == pytest.approx(2 * alone.p_holm)


def test_a_difference_without_a_test_is_still_told() -> None:
    assert judge({"a": {1: 80.0}, "b": {1: 100.0}}).comparisons[0].difference == pytest.approx(0.8)
    assert math.isnan(judge({"a": {1: 80.0}, "b": {2: 100.0}}).comparisons[0].difference)


@pytest.mark.parametrize("samples", [{}, {"a": {}}, {"a": {}, "b": {}}])
def test_nobody_is_best_without_values(samples: Mapping[str, Mapping[int, float]]) -> None:
    verdict = judge(samples)
    assert (verdict.best, verdict.is_significant, verdict.comparisons) == (None, False, ())
    assert math.isnan(verdict.p_holm)


def test_one_alone_is_best_but_not_significantly() -> None:
    verdict = judge({"a": seeded([80, 81, 82])})
    assert (verdict.best, verdict.is_significant, verdict.comparisons) == ("a", False, ())


def test_of_equal_means_the_first_name_is_best() -> None:
    samples = {"b": {1: 2.0, 2: 3.0}, "a": {1: 3.0, 2: 2.0}}
    verdict = judge(samples, on_log=False)
    assert (verdict.best, verdict.is_significant) == ("a", False)
    assert verdict.comparisons[0].num_more_seeds is None


def test_values_far_apart_have_a_ratio_that_is_infinite_at_worst() -> None:
    found = judge({"a": {1: 80.0, 2: 81.0}, "b": {1: 90.0, 2: 1e300}}).comparisons[0]
    assert (found.low, found.high) == (0, math.inf)
    assert not found.is_significant


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (math.nan, {}, "the value of 'b' with seed 2 must be finite to be tested, got nan"),
        (math.inf, {"on_log": False}, "the value of 'b' with seed 2 must be finite to be tested, got inf"),
        (0.0, {}, "the value of 'b' with seed 2 must be above 0 to be compared on its logarithm, got 0.0"),
        (-1.0, {}, "must be above 0"),
        (1.0, {"alpha": 0.0}, "alpha must be above 0 and below 1, got 0.0"),
        (1.0, {"alpha": 1}, "alpha must be above 0 and below 1, got 1"),
        (1.0, {"alpha": math.nan}, "alpha must be above 0 and below 1, got nan"),
    ],
)
def test_what_is_no_sample_is_refused_in_one_line(value: float, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        judge({"a": {1: 80.0}, "b": {1: 90.0, 2: value}}, **options)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_values_may_be_below_zero_off_the_log_scale() -> None:
    assert judge({"a": {1: -3.0, 2: -4.0}, "b": {1: 0.0, 2: 0.5}}, on_log=False).best == "a"


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_intervals_are_those_of_the_printed_t_table(n: int) -> None:
    values = with_effect(90, n)  # standard deviation 1
    found = interval(values)
    half = T_95[n - 1] / math.sqrt(n)
    assert (found.mean, found.low, found.high) == pytest.approx((90, 90 - half, 90 + half), abs=1e-3)
    assert found.n == n


def test_a_wider_confidence_makes_a_wider_interval() -> None:
    found = interval(with_effect(90, 5), confidence=0.99)
    assert found.high - 90 == pytest.approx(4.604 / math.sqrt(5), abs=1e-3)  # t table: 4 degrees of freedom, 99 %


@pytest.mark.parametrize(("values", "mean", "n"), [([], math.nan, 0), ([90.0], 90.0, 1), ([90.0] * 3, 90.0, 3)])
def test_an_interval_without_spread_has_no_ends(values: list[float], mean: float, n: int) -> None:
    found = interval(values)
    assert (found.mean, found.n) == (pytest.approx(mean, nan_ok=True), n)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize(("values", "confidence"), [([1.0, math.inf], 0.95), ([math.nan], 0.95), ([1.0, 2.0], 95)])
def test_an_interval_of_what_is_no_sample_is_refused(values: list[float], confidence: float) -> None:
    with pytest.raises(InputError):
        interval(values, confidence)


def test_the_example_of_the_docs_gives_what_it_says() -> None:
    page = Path(__file__).parents[2] / "docs/statistics.md"
    ran = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert ran.attempted > 3
    assert ran.failed == 0


perplexities = st.integers(500, 5000).map(lambda tenths: tenths / 10)


@st.composite
def groups(draw: st.DrawFn) -> dict[str, dict[int, float]]:
    """Two to five methods over the same three to six seeds, with one best mean."""
    num_seeds = draw(st.integers(3, 6))
    values = st.lists(perplexities, min_size=num_seeds, max_size=num_seeds)
    samples = {name: seeded(draw(values)) for name in "abcde"[: draw(st.integers(2, 5))]}
    means = sorted(np.log(list(sample.values())).mean() for sample in samples.values())
    assume(means[1] - means[0] > 1e-6)
    return samples


def in_numbers(verdict: Verdict) -> dict[str, list[float]]:
    return {
        found.other: [found.difference, found.low, found.high, found.effect_size, found.p, found.p_holm]
        for found in verdict.comparisons
    }


@settings(max_examples=15, deadline=None)
@given(groups())
def test_it_agrees_with_scipy_and_statsmodels(samples: dict[str, dict[int, float]]) -> None:
    verdict = judge(samples)
    logs = {name: np.log([values[seed] for seed in sorted(values)]) for name, values in samples.items()}
    best = min(logs, key=lambda name: float(logs[name].mean()))
    others = [name for name in sorted(logs) if name != best]
    assume(all(np.ptp(logs[best] - logs[other]) > 1e-6 for other in others))
    tests = [stats.ttest_rel(logs[best], logs[other]) for other in others]
    rejected, corrected = multipletests([test.pvalue for test in tests], alpha=0.05, method="holm")[:2]
    assert (verdict.best, verdict.is_significant) == (best, bool(rejected.all()))
    for found, test, p_holm in zip(verdict.comparisons, tests, corrected, strict=True):
        ends = np.exp(test.confidence_interval(0.95))
        assert [found.p, found.p_holm, found.low, found.high] == pytest.approx([test.pvalue, p_holm, *ends])


@settings(max_examples=25, deadline=None)
@given(groups(), st.randoms(use_true_random=False))
def test_the_order_of_names_and_seeds_changes_nothing(samples: dict[str, dict[int, float]], random: object) -> None:
    names = list(samples)
    random.shuffle(names)  # type: ignore[attr-defined]
    turned = {name: dict(sorted(samples[name].items(), reverse=True)) for name in names}
    assert repr(judge(turned)) == repr(judge(samples))


@settings(max_examples=25, deadline=None)
@given(groups(), st.permutations(range(100, 106)))
def test_which_number_a_seed_has_changes_nothing(samples: dict[str, dict[int, float]], numbers: Sequence[int]) -> None:
    renamed = {name: {numbers[seed - 1]: value for seed, value in values.items()} for name, values in samples.items()}
    assert judge(renamed).best == judge(samples).best
    expected = in_numbers(judge(samples))
    for other, found in in_numbers(judge(renamed)).items():
        assert found == pytest.approx(expected[other], rel=1e-6, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(groups(), st.lists(st.floats(0.5, 2), min_size=6, max_size=6))
def test_what_a_seed_does_to_all_methods_alike_changes_nothing(
    samples: dict[str, dict[int, float]], factors: list[float]
) -> None:
    moved = {
        name: {seed: value * factors[seed - 1] for seed, value in values.items()} for name, values in samples.items()
    }
    assert judge(moved).best == judge(samples).best
    expected = in_numbers(judge(samples))
    for other, found in in_numbers(judge(moved)).items():
        assert found == pytest.approx(expected[other], rel=1e-6, abs=1e-9, nan_ok=True)
