"""What the statistics say: a mean with its interval, a comparison of two, and who is best of a group."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A mean and its t interval.

    Args:
        mean: NaN where there is no value.
        low: lower end; NaN below two values and where they do not vary.
        high: upper end; NaN where `low` is.
        n: how many values.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """The best against one other, over the seeds that both have.

    Args:
        best: name of the best.
        other: name of the other.
        num_pairs: how many seeds both have.
        unpaired: seeds that one of them lacks, left out, sorted.
        difference: mean of best − other; on log, the ratio best / other of the geometric means. NaN without a pair.
        low: lower end of the difference's 95 % t interval, a ratio too on log; NaN where there is no test.
        high: its upper end.
        effect_size: Cohen's d_z, the mean difference by the standard deviation of the differences, on log where the
            test is; below zero where the best is lower. NaN where there is no test.
        p: two-sided, of the paired t test; NaN where there is no test.
        p_holm: the same, corrected for all comparisons of the group.
        is_significant: whether the corrected test says that the best is better.
        num_more_seeds: pairs to add to those there are until a test at Holm's strictest level (alpha by the number of
            comparisons) finds an effect of this size in four cases of five; 0 where it is significant; None where that
            cannot be said or is more than 1,000.
    """

    best: str
    other: str
    num_pairs: int
    unpaired: tuple[int, ...]
    difference: float
    low: float
    high: float
    effect_size: float
    p: float
    p_holm: float
    is_significant: bool
    num_more_seeds: int | None

    @property
    def trouble(self) -> str:
        """Say why there is no test; empty where there is one."""
        if self.num_pairs < 2:
            return "no seed in common" if self.num_pairs == 0 else "one seed in common, a test needs two"
        return "the differences do not vary, so no test can be made" if math.isnan(self.p) else ""


@dataclass(frozen=True)
class Verdict:
    """Who is best in a group, and whether that is more than chance.

    Args:
        best: of the best mean; None where nobody has a value.
        is_significant: whether every comparison is; never without another to compare with.
        alpha: level of the family.
        comparisons: the best with each of the others, by the other's name.
    """

    best: str | None
    is_significant: bool
    alpha: float
    comparisons: tuple[Comparison, ...]

    @property
    def p_holm(self) -> float:
        """The largest corrected p of all comparisons; NaN without one, or where one of them has none."""
        values = [comparison.p_holm for comparison in self.comparisons]
        return max(values) if values and not any(map(math.isnan, values)) else math.nan
