"""A hidden Markov model with integer weights: draws the same text on every machine, knows the best prediction.

Drawing uses integers only (SplitMix64 and cumulative weights), so no rounding of floats can change a byte.
Predicting is the forward algorithm in float64. It avoids BLAS, whose sums depend on the number of threads.

Letters: S hidden states, V words, E edges of the state graph.
Source: SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, and Vigna's
public-domain code. Forward algorithm: Rabiner, A Tutorial on Hidden Markov Models, 1989, sections III.A and V.A.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from selfish_core.errors import CorpusError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Weights = tuple[tuple[int, int], ...]
"""Pairs of an outcome and its weight, an integer ≥ 1."""

_MASK_64 = 2**64 - 1


class SplitMix64:
    """A stream of 64-bit integers from a seed.

    >>> generator = SplitMix64(0)
    >>> hex(generator.next())
    '0xe220a8397b1dcdaf'
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK_64

    def next(self) -> int:
        """Return the next integer, uniform in [0, 2^64)."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK_64
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound); its bias is at most bound / 2^64."""
        return (self.next() * bound) >> 64


@dataclass(frozen=True)
class HiddenMarkovModel:
    """A language: each hidden state speaks one word, then moves to the next state.

    Args:
        moves: for each state, the states that may follow, with weights; [S].
        words: for each state, the words that it may speak, with weights; [S], words in [0, V).
        num_words: V.
    """

    moves: tuple[Weights, ...]
    words: tuple[Weights, ...]
    num_words: int

    def draw(self, generator: SplitMix64, first_state: int) -> Iterator[tuple[int, int]]:
        """Yield states and their words, for ever, the first one spoken in `first_state`."""
        moves = [_cumulative(weights) for weights in self.moves]
        words = [_cumulative(weights) for weights in self.words]
        state = first_state
        while True:
            yield state, _pick(words[state], generator)
            state = _pick(moves[state], generator)

    @cached_property
    def stationary(self) -> Floats:
        """The share of time spent in each state, in the long run; [S]."""
        share = np.full(len(self.moves), 1 / len(self.moves))
        for _ in range(100_000):
            after = (share + self._step(share)) / 2
            if np.abs(after - share).max() < 1e-17:
                break
            share = after
        return np.asarray(share / share.sum())

    @cached_property
    def speaks(self) -> Floats:
        """The probability that a state, second index, speaks a word, first index; [V, S]."""
        speaks_VS = np.zeros((self.num_words, len(self.words)))
        for state, weights in enumerate(self.words):
            total = sum(weight for _, weight in weights)
            for word, weight in weights:
                speaks_VS[word, state] = weight / total
        return speaks_VS

    def log_probabilities(self, words: Sequence[int] | Ints) -> Floats:
        """Return log p(words[t] | words[:t]) in nats for each t, the state before the first word being stationary.

        Args:
            words: word indices, [T]; they must be possible in this order.

        Raises:
            CorpusError: the model cannot have spoken these words.
        """
        probabilities = np.empty(len(words))
        before = self.stationary
        for t, word in enumerate(words):
            joint = before * self.speaks[word]
            probabilities[t] = total = joint.sum()
            if not total > 0:
                raise CorpusError(f"the generator cannot speak word {int(word)} at position {t}")
            before = self._step(joint / total)
        return np.log(np.minimum(probabilities, 1))

    def predict(self, words: Sequence[int] | Ints) -> Floats:
        """Return p(next word | words) for every word of the vocabulary; [V]."""
        before = self.stationary
        for word in words:
            joint = before * self.speaks[word]
            before = self._step(joint / joint.sum())
        return np.asarray((self.speaks * before).sum(axis=1))

    @cached_property
    def _edges(self) -> tuple[Ints, Ints, Floats]:
        edges = [
            (state, after, weight / sum(other for _, other in weights))
            for state, weights in enumerate(self.moves)
            for after, weight in weights
        ]
        sources, targets, probabilities = zip(*edges, strict=True)
        return np.array(sources), np.array(targets), np.array(probabilities)

    def _step(self, share: Floats) -> Floats:
        sources_E, targets_E, probabilities_E = self._edges
        flow_E = share[sources_E] * probabilities_E
        return np.bincount(targets_E, weights=flow_E, minlength=len(self.moves)).astype(np.float64)


def _cumulative(weights: Weights) -> tuple[list[int], list[int]]:
    return [outcome for outcome, _ in weights], list(accumulate(weight for _, weight in weights))


def _pick(table: tuple[list[int], list[int]], generator: SplitMix64) -> int:
    outcomes, bounds = table
    return outcomes[bisect_right(bounds, generator.below(bounds[-1]))]
