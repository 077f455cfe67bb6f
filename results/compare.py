"""Which method is best, and how sure that is: t tests paired by seed, Holm-corrected, from SciPy and statsmodels.

The best of a group is the one of lowest mean over all of its seeds (highest, where higher is better; of equal means the
first name). It is compared with each of the others over the seeds that both have, and those comparisons are one family
for Holm's correction. It is significantly best when every corrected comparison is significant and in its favour.
Perplexities are compared on their logarithm: that is what training lowers, and differences between trials are
shares of a perplexity rather than steps of it.

What cannot be tested is never significant, and counts in the family all the same: fewer than two pairs, and differences
without variance (exact ties and differences equal to the last digits), of which a t test would make p = 0.
"""

from __future__ import annotations

import gc
import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from results.verdict import Comparison, Interval, Verdict
from selfish_core.errors import InputError, shown

__all__ = ["Comparison", "Interval", "Verdict", "interval", "judge"]

CONFIDENCE = 0.95
POWER = 0.8
MOST_MORE_SEEDS = 1000
_BLOCK = 25
LEAST_SPREAD = 1e-12
"""Values that differ by less than this share of the largest differ by rounding alone."""


@dataclass(frozen=True)
class _Paired:
    """What the two samples of one comparison say before it is corrected, on the scale of the test."""

    num_pairs: int
    unpaired: tuple[int, ...]
    mean: float
    low: float = math.nan
    high: float = math.nan
    effect_size: float = math.nan
    p: float = math.nan


def interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Estimate a mean: mean ± t(n − 1) standard errors.

    Args:
        values: independent ones of one quantity.
        confidence: of the interval, in (0, 1).

    Raises:
        InputError: when a value is not finite, or the confidence is none.

    >>> found = interval([90.0, 92.0, 94.0])
    >>> found.mean, round(found.low, 3), round(found.high, 3)
    (92.0, 87.032, 96.968)
    """
    _check_share("confidence", confidence)
    known = [_finite(value, "a value") for value in values]
    if not known:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = statistics.fmean(known)
    if len(known) < 2 or not _has_spread(known, max(map(abs, known))):
        return Interval(mean, math.nan, math.nan, len(known))
    low, high = stats.t.interval(confidence, len(known) - 1, loc=mean, scale=stats.sem(known))
    return Interval(mean, float(low), float(high), len(known))


def judge(
    samples: Mapping[str, Mapping[int, float]],
    *,
    on_log: bool = True,
    is_lower_better: bool = True,
    alpha: float = 0.05,
) -> Verdict:
    """Find the best of a group and compare it with each of the others.

    Args:
        samples: name -> seed -> value; what did not finish or diverged is left out by the caller. A name without values
            cannot be best, and nobody is significantly better than it.
        on_log: whether to compare logarithms; the values are positive then.
        is_lower_better: as of a perplexity.
        alpha: share of wrong claims that is allowed, in (0, 1).

    Returns:
        The same verdict whatever the order of names and seeds.

    Raises:
        InputError: when a value is not finite, or not positive on log, or alpha is no share.
    """
    _check_share("alpha", alpha)
    scaled = {name: _scaled(name, samples[name], on_log=on_log) for name in sorted(samples)}
    sign = 1 if is_lower_better else -1
    means = {name: sign * statistics.fmean(values.values()) for name, values in scaled.items() if values}
    if not means:
        return Verdict(None, False, alpha, ())
    best = min(means, key=lambda name: (means[name], name))
    pairs = {other: _paired(scaled[best], values, on_log=on_log) for other, values in scaled.items() if other != best}
    comparisons = tuple(
        _comparison(best, other, pairs[other], p_holm, sign=sign, on_log=on_log, alpha=alpha, family=len(pairs))
        for other, p_holm in _holm({other: pair.p for other, pair in pairs.items()}).items()
    )
    is_significant = bool(comparisons) and all(comparison.is_significant for comparison in comparisons)
    return Verdict(best, is_significant, alpha, comparisons)


def _paired(best: Mapping[int, float], other: Mapping[int, float], *, on_log: bool) -> _Paired:
    seeds = sorted(best.keys() & other.keys())
    unpaired = tuple(sorted(best.keys() ^ other.keys()))
    if not seeds:
        return _Paired(0, unpaired, math.nan)
    ours, theirs = [best[seed] for seed in seeds], [other[seed] for seed in seeds]
    differences = [one - another for one, another in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(differences)
    largest = max(map(abs, (*ours, *theirs, 1.0 if on_log else 0.0)))
    if len(seeds) < 2 or not _has_spread(differences, largest):
        return _Paired(len(seeds), unpaired, mean)
    test = stats.ttest_rel(ours, theirs)
    ends = test.confidence_interval(CONFIDENCE)
    effect_size = float(test.statistic) / math.sqrt(len(seeds))
    return _Paired(len(seeds), unpaired, mean, float(ends.low), float(ends.high), effect_size, float(test.pvalue))


def _holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct a family; a comparison without a test counts as one that found nothing, and stays NaN."""
    if not p_values:
        return {}
    gc.freeze()  # multipletests collects garbage each time, which takes 0.1 s where much is loaded
    try:
        corrected = multipletests([1.0 if math.isnan(p) else p for p in p_values.values()], method="holm")[1]
    finally:
        gc.unfreeze()
    return {
        name: math.nan if math.isnan(p) else float(p_holm)
        for (name, p), p_holm in zip(p_values.items(), corrected, strict=True)
    }


def _comparison(
    best: str, other: str, pair: _Paired, p_holm: float, *, sign: int, on_log: bool, alpha: float, family: int
) -> Comparison:
    is_in_favour = sign * pair.mean < 0
    is_significant = is_in_favour and p_holm <= alpha
    difference, low, high = (_ratio(value) if on_log else value for value in (pair.mean, pair.low, pair.high))
    num_more_seeds = 0 if is_significant else _num_more_seeds(pair, alpha / family) if is_in_favour else None
    return Comparison(
        best=best,
        other=other,
        num_pairs=pair.num_pairs,
        unpaired=pair.unpaired,
        difference=difference,
        low=low,
        high=high,
        effect_size=pair.effect_size,
        p=pair.p,
        p_holm=p_holm,
        is_significant=is_significant,
        num_more_seeds=num_more_seeds,
    )


def _ratio(difference: float) -> float:
    return math.inf if difference > math.log(sys.float_info.max) else math.exp(difference)


def _num_more_seeds(pair: _Paired, alpha: float) -> int | None:
    """Count the pairs to add until the test finds the observed effect, in its direction, with power 0.8."""
    if math.isnan(pair.effect_size):
        return None
    block = _first_enough(pair, alpha, np.arange(_BLOCK, MOST_MORE_SEEDS + 1, _BLOCK))
    return None if block is None else _first_enough(pair, alpha, np.arange(block - _BLOCK, block) + 1)


def _first_enough(pair: _Paired, alpha: float, candidates: NDArray[np.int64]) -> int | None:
    power = TTestPower().power(abs(pair.effect_size), pair.num_pairs + candidates, alpha / 2, alternative="larger")
    enough = candidates[~(power < POWER)]  # NaN: so far above that the noncentral t has no digits left for it
    return int(enough[0]) if len(enough) else None


def _scaled(name: str, values: Mapping[int, float], *, on_log: bool) -> dict[int, float]:
    scaled = {}
    for seed in sorted(values):
        where = f"the value of {name!r} with seed {seed}"
        value = _finite(values[seed], where)
        if on_log and value <= 0:
            raise InputError(f"{where} must be above 0 to be compared on its logarithm, got {shown(value)}")
        scaled[seed] = math.log(value) if on_log else value
    return scaled


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise InputError(f"{where} must be finite to be tested, got {shown(value)}: leave it out, and say so")
    return float(value)


def _has_spread(values: Sequence[float], largest: float) -> bool:
    return max(values) - min(values) > LEAST_SPREAD * largest


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} must be above 0 and below 1, got {shown(value)}")
