"""How often the tables' claims hold: made-up tables of which the truth is known, judged as the real ones are.

    python benchmarks/significance.py

A perplexity is 70 × exp(seed + noise − lead): what a seed does to every method alike, what it does to one, and how far
the true best is ahead. All three are normal on the log scale. Asked of 1,000 tables for each number of methods:

- false best: among equals, somebody is called significantly best: at most 7 % at α = 0.05; the same where two equals
  share a lead over the others, which is the harder case, as only those two need to come out apart;
- power: one leads all others by 3 standard deviations of a paired difference and is called so: at least 80 %;
- coverage: 95 % intervals, of a method's mean and of the leader's differences, that hold the true value: 93 to 97 %.

Beside them, without a limit, stands the coverage for whoever came out best among equals: an interval knows nothing of
how its method was chosen, so it is too narrow there, the more so the more there were to choose from.

The exit status is 1 where a limit is broken. The same options give the same numbers.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple

import numpy as np

from results.compare import Verdict, interval, judge

LEVEL = 70.0
SEED_STD, NOISE_STD = 0.010, 0.005
PAIRED_STD = math.sqrt(2) * NOISE_STD

MOST_FALSE, LEAST_POWER, LEAST_COVERAGE, MOST_COVERAGE = 0.07, 0.80, 0.93, 0.97

Samples = dict[str, dict[int, float]]


class Found(NamedTuple):
    """Shares of what was asked, for one number of methods."""

    num_methods: int
    false_best: float
    false_of_two: float
    power: float
    mean_coverage: float
    difference_coverage: float
    chosen_coverage: float

    def broken(self) -> list[str]:
        """Name the limits that do not hold."""
        limits = {
            f"false best {self.false_best:.1%}": self.false_best <= MOST_FALSE,
            f"false best of two {self.false_of_two:.1%}": self.false_of_two <= MOST_FALSE,
            f"power {self.power:.1%}": self.power >= LEAST_POWER,
            f"coverage of means {self.mean_coverage:.1%}": LEAST_COVERAGE <= self.mean_coverage <= MOST_COVERAGE,
            f"coverage of differences {self.difference_coverage:.1%}": LEAST_COVERAGE
            <= self.difference_coverage
            <= MOST_COVERAGE,
        }
        return [f"{self.num_methods} methods: {text}" for text, holds in limits.items() if not holds]


def draw(generator: np.random.Generator, num_methods: int, num_seeds: int, lead: float, num_leaders: int) -> Samples:
    """Make one group; its first methods, m0 and so on, lead by so much on the log scale."""
    shared = generator.normal(0, SEED_STD, num_seeds)
    logs = shared + generator.normal(0, NOISE_STD, (num_methods, num_seeds))
    logs[:num_leaders] -= lead
    return {
        f"m{place}": {seed: float(value) for seed, value in enumerate(LEVEL * np.exp(row), start=1)}
        for place, row in enumerate(logs)
    }


def covered(verdict: Verdict, ratio: float) -> list[bool]:
    """Say of each interval of a difference whether it holds the true ratio."""
    return [comparison.low <= ratio <= comparison.high for comparison in verdict.comparisons]


def covers_mean(values: dict[int, float]) -> bool:
    """Say whether the interval of a method that does not lead holds its true mean, that of a log-normal law."""
    found = interval(values.values())
    return found.low <= LEVEL * math.exp((SEED_STD**2 + NOISE_STD**2) / 2) <= found.high


def simulate(num_methods: int, *, num_tables: int, num_seeds: int, effect: float, alpha: float, seed: int) -> Found:
    """Judge tables of equals, tables with two leaders and tables with one.

    Args:
        num_methods: in each group.
        num_tables: of each kind.
        num_seeds: values of each method.
        effect: the lead, in standard deviations of a paired difference.
        alpha: level of the claims.
        seed: of the made-up numbers.
    """
    generator = np.random.default_rng([seed, num_methods])
    lead = effect * PAIRED_STD
    false_best, false_of_two, found_best = [], [], []
    of_means, of_differences, of_chosen = [], [], []
    for _ in range(num_tables):
        equals, with_two, with_one = (draw(generator, num_methods, num_seeds, lead, leaders) for leaders in (0, 2, 1))
        verdict = judge(equals, alpha=alpha)
        false_best.append(verdict.is_significant)
        of_chosen += covered(verdict, 1.0)
        of_means += [covers_mean(values) for values in equals.values()]
        false_of_two.append(judge(with_two, alpha=alpha).is_significant)
        verdict = judge(with_one, alpha=alpha)
        found_best.append(verdict.is_significant and verdict.best == "m0")
        of_differences += covered(verdict, math.exp(-lead)) if verdict.best == "m0" else []
    asked = (false_best, false_of_two, found_best, of_means, of_differences, of_chosen)
    shares = (float(np.mean(each)) for each in asked)
    return Found(num_methods, *shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, nargs="+", default=[2, 3, 5, 8], help="numbers of methods in a group")
    parser.add_argument("--tables", type=int, default=1000, help="of each kind, for each number of methods")
    parser.add_argument("--seeds", type=int, default=5, help="values of each method")
    parser.add_argument("--effect", type=float, default=3.0, help="lead in paired standard deviations")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1, help="of the made-up numbers")
    asked = parser.parse_args()
    print("methods  false best  of two   power  coverage of: means  differences  (of whoever came out best)")
    broken = []
    for num_methods in asked.methods:
        found = simulate(
            num_methods,
            num_tables=asked.tables,
            num_seeds=asked.seeds,
            effect=asked.effect,
            alpha=asked.alpha,
            seed=asked.seed,
        )
        broken += found.broken()
        print(
            f"{num_methods:7d} {found.false_best:11.1%} {found.false_of_two:7.1%} {found.power:7.1%}"
            f" {found.mean_coverage:19.1%} {found.difference_coverage:12.1%} {found.chosen_coverage:28.1%}"
        )
    if broken:
        sys.exit("broken: " + "; ".join(broken))


if __name__ == "__main__":
    main()
