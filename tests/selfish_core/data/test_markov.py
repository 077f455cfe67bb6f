from __future__ import annotations

from itertools import islice, pairwise, product

import numpy as np
import pytest
from scipy import stats

from selfish_core.data.markov import HiddenMarkovModel, SplitMix64
from selfish_core.errors import CorpusError

TINY = HiddenMarkovModel(
    moves=(((1, 3), (2, 1)), ((0, 1), (1, 1), (2, 2)), ((0, 5),)),
    words=(((0, 2), (1, 1)), ((1, 4), (2, 1)), ((0, 1), (2, 2), (3, 7))),
    num_words=4,
)


def _matrices(model: HiddenMarkovModel) -> tuple[np.ndarray, np.ndarray]:
    moves_SS = np.zeros((len(model.moves), len(model.moves)))
    speaks_SV = np.zeros((len(model.moves), model.num_words))
    for state, weights in enumerate(model.moves):
        for after, weight in weights:
            moves_SS[state, after] = weight / sum(w for _, w in weights)
        for word, weight in model.words[state]:
            speaks_SV[state, word] = weight / sum(w for _, w in model.words[state])
    return moves_SS, speaks_SV


def _brute_force(model: HiddenMarkovModel, words: tuple[int, ...]) -> float:
    """The probability of a text as the sum over every path of states."""
    moves_SS, speaks_SV = _matrices(model)
    values, vectors = np.linalg.eig(moves_SS.T)
    start = np.real(vectors[:, np.argmax(np.real(values))])
    start /= start.sum()
    total = 0.0
    for path in product(range(len(model.moves)), repeat=len(words)):
        p = start[path[0]]
        for t, (state, word) in enumerate(zip(path, words, strict=True)):
            p *= speaks_SV[state, word] * (moves_SS[path[t - 1], state] if t else 1.0)
        total += p
    return total


def test_splitmix_gives_the_published_numbers():
    generator = SplitMix64(1234567)
    assert [generator.next() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_below_is_uniform():
    generator = SplitMix64(7)
    counts = np.bincount([generator.below(10) for _ in range(20_000)], minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("words", [(0,), (3, 0), (1, 2, 0), (0, 1, 1, 2, 3), (2, 3, 0, 1, 3, 0, 2)])
def test_the_forward_algorithm_agrees_with_the_sum_over_all_paths(words):
    logs = TINY.log_probabilities(words)
    for length in range(1, len(words) + 1):
        assert logs[:length].sum() == pytest.approx(np.log(_brute_force(TINY, words[:length])), rel=1e-12)


def test_the_probabilities_of_all_texts_sum_to_one():
    total = 0.0
    for words in product(range(4), repeat=4):
        try:
            total += np.exp(TINY.log_probabilities(words).sum())
        except CorpusError:
            assert _brute_force(TINY, words) == 0
    assert total == pytest.approx(1, abs=1e-12)


def test_predictions_sum_to_one_and_are_what_is_scored():
    words = [word for _, word in islice(TINY.draw(SplitMix64(3), 0), 30)]
    logs = TINY.log_probabilities(words)
    for t in range(len(words)):
        prediction = TINY.predict(words[:t])
        assert prediction.sum() == pytest.approx(1, abs=1e-12)
        assert np.log(prediction[words[t]]) == pytest.approx(logs[t], abs=1e-12)


def test_stationary_does_not_move():
    moves_SS, _ = _matrices(TINY)
    assert TINY.stationary @ moves_SS == pytest.approx(TINY.stationary, abs=1e-15)
    assert TINY.stationary.sum() == pytest.approx(1, abs=1e-15)


def test_a_periodic_chain_has_a_stationary_share_too():
    model = HiddenMarkovModel(moves=(((1, 1),), ((0, 1),)), words=(((0, 1),), ((1, 1),)), num_words=2)
    assert model.stationary.tolist() == [0.5, 0.5]
    assert np.exp(model.log_probabilities((0, 1, 0))) == pytest.approx([0.5, 1, 1])


def test_a_text_that_cannot_be_is_refused():
    with pytest.raises(CorpusError, match="cannot speak word 3 at position 1"):
        TINY.log_probabilities((3, 3))


def test_what_is_drawn_follows_the_weights():
    drawn = list(islice(TINY.draw(SplitMix64(11), 0), 30_000))
    moves_SS, speaks_SV = _matrices(TINY)
    moved = np.zeros_like(moves_SS)
    spoken = np.zeros_like(speaks_SV)
    for (state, word), (after, _) in pairwise(drawn):
        moved[state, after] += 1
        spoken[state, word] += 1
    for counts, law in [*zip(moved, moves_SS, strict=True), *zip(spoken, speaks_SV, strict=True)]:
        assert counts[law == 0].sum() == 0
        possible = law > 0
        if possible.sum() > 1:
            assert stats.chisquare(counts[possible], counts.sum() * law[possible]).pvalue > 1e-3
