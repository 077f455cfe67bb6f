from __future__ import annotations

import subprocess
import sys
from collections import Counter
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from selfish_core.catalogue.corpora import CORPORA, SPLITS, SyntheticCorpusConfig
from selfish_core.data import synthetic
from selfish_core.data.batching import batchify, segments
from selfish_core.data.corpora import Corpus, load
from selfish_core.data.synthetic import language

ROW = CORPORA["synthetic"]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load(SyntheticCorpusConfig(name="synthetic"), None, download=False)


@pytest.mark.parametrize("split", SPLITS)
def test_the_text_is_the_pinned_one(split, corpus):
    data = synthetic.text(split)
    assert sha256(data).hexdigest() == ROW.sha256[split]
    assert len(data) == ROW.files[split].num_bytes
    assert len(getattr(corpus, split)) == ROW.num_tokens[split]
    assert data.endswith(b"\n")
    assert not any(line.endswith(b" ") or not line for line in data.split(b"\n")[:-1])


def test_another_process_draws_the_same_bytes():
    code = (
        "import hashlib, sys; from selfish_core.data.synthetic import text; "
        "print(hashlib.sha256(text('test')).hexdigest(), 'torch' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": "5"}
    )
    assert told.stdout.split() == [ROW.sha256["test"], "False"]


def test_words_are_spelled_apart_and_all_in_train(corpus):
    words = [synthetic.spell(index) for index in range(language().num_words)]
    assert len(set(words)) == len(words) == ROW.vocabulary_size == len(corpus.vocabulary)
    assert set(words) == set(corpus.vocabulary)
    assert np.bincount(corpus.train).min() >= 5


def test_frequencies_are_those_of_the_model(corpus):
    indices = {synthetic.spell(index): index for index in range(language().num_words)}
    words = np.array([indices[word] for word in corpus.vocabulary])[corpus.train]
    law = language().speaks @ language().stationary
    counts = np.bincount(words, minlength=len(law))
    assert law.sum() == pytest.approx(1, abs=1e-12)
    # Words of one topic come in bursts, so their counts vary more than independent draws; the shares of classes do not.
    assert np.abs(counts / len(words) - law).sum() < 0.1
    every_line = law[0] * len(words)
    assert counts[0] == pytest.approx(every_line, abs=5 * every_line**0.5)
    openers = counts[1 : 1 + 30]
    assert stats.chisquare(openers, openers.sum() * law[1:31] / law[1:31].sum()).pvalue > 1e-3


def test_openers_and_closers_agree_over_a_distance():
    starts = {}
    num_words = 1
    for name, kind in synthetic._KINDS.items():
        starts[name] = num_words
        num_words += kind.num_sets * kind.num_words
    indices = {synthetic.spell(index): index for index in range(num_words)}
    distances = []
    for line in synthetic.text("test").decode().splitlines():
        words = [indices[word] for word in line.split()]
        closers = [at for at, word in enumerate(words) if starts["closer"] <= word < starts["article"]]
        assert len(closers) == 1
        assert (words[0] - starts["opener"]) // 5 == (words[closers[0]] - starts["closer"]) // 14
        distances.append(closers[0])
    assert np.mean(distances) > 4
    assert max(distances) > 12


def test_topics_last_for_many_lines():
    num_tokens, states = 20_000, []
    for state, _ in language().draw(synthetic.SplitMix64(5), 0):
        states.append(synthetic._PLACES[state])
        if len(states) == num_tokens:
            break
    topics = [place.topic for place in states if place.kind == "opener"]
    changes = sum(a != b for a, b in pairwise(topics))
    assert changes / len(topics) == pytest.approx(1 / 20, abs=0.015)
    assert all(a.topic == b.topic or a.kind == "<eos>" for a, b in pairwise(states))


def test_the_state_space_is_small():
    assert len(language().moves) <= 400


@pytest.mark.parametrize("batch_size", [1, 7, 10])
def test_best_log_probabilities_are_of_the_scored_tokens(corpus, batch_size):
    rows_TB = batchify(corpus.test, batch_size).numpy()
    best_TB = corpus.best_log_probabilities("test", batch_size)
    targets_TB = np.concatenate([y.numpy() for _, y in segments(batchify(corpus.test, batch_size), 35)])
    assert best_TB.shape == targets_TB.shape
    assert best_TB.max() <= 0
    assert np.exp(-best_TB.mean()) == pytest.approx(40, abs=2)
    # Single predictions, from the tokens before them in their own stream only.
    indices = {synthetic.spell(index): index for index in range(language().num_words)}
    words = np.array([indices[word] for word in corpus.vocabulary])
    for t, b in [(0, 0), (3, batch_size - 1), (40, batch_size // 2)]:
        prediction = language().predict(words[rows_TB[: t + 1, b]])
        assert prediction.sum() == pytest.approx(1, abs=1e-12)
        assert np.log(prediction[words[targets_TB[t, b]]]) == pytest.approx(best_TB[t, b], abs=1e-9)


def test_a_stream_does_not_see_the_end_of_the_one_before(corpus):
    whole = corpus.best_log_probabilities("test", 1)[:, 0]
    halves = corpus.best_log_probabilities("test", 2)
    num_rows = len(corpus.test) // 2
    assert np.array_equal(halves[:, 0], whole[: num_rows - 1])
    second = whole[num_rows : 2 * num_rows - 1]
    assert halves[0, 1] != pytest.approx(second[0], abs=1e-9)
    assert halves[-1000:, 1] == pytest.approx(second[-1000:], abs=1e-3)


def test_the_prior_of_a_split_is_that_of_its_first_word(corpus):
    """Given a first word that is an opener, the stationary distribution is the one that a split starts from."""
    opener = {synthetic.spell(index): index for index in range(language().num_words)}[
        synthetic.text("valid").split()[0].decode()
    ]
    after = language().stationary * language().speaks[opener]
    places = [place for place, p in zip(synthetic._PLACES, after, strict=True) if p > 0]
    assert {place.kind for place in places} == {"opener"}
    assert len({place.group for place in places}) == 1
    shares = after[after > 0] / after.sum()
    assert shares == pytest.approx(np.full(synthetic.NUM_TOPICS, 1 / synthetic.NUM_TOPICS), abs=1e-9)


def test_the_generator_beats_a_bigram_model_which_beats_a_unigram_model(corpus):
    size = len(corpus.vocabulary)
    targets = batchify(corpus.test, 1)[1:, 0].numpy()
    unigram = (np.bincount(corpus.train, minlength=size) + 0.1) / (len(corpus.train) + 0.1 * size)
    unigram_perplexity = np.exp(-np.log(unigram[targets]).mean())
    bigram_perplexity = _kneser_ney_perplexity(corpus.train, corpus.test, size)
    best_perplexity = np.exp(-corpus.best_log_probabilities("test", 1).mean())
    assert 150 < unigram_perplexity < 250
    assert 38 < best_perplexity < 45
    assert best_perplexity < 0.6 * bigram_perplexity < bigram_perplexity < 0.5 * unigram_perplexity


def _kneser_ney_perplexity(train: np.ndarray, test: np.ndarray, size: int) -> float:
    """Perplexity of an interpolated Kneser-Ney bigram model, the discount estimated by Ney's formula."""
    pairs = Counter(zip(train.tolist(), train[1:].tolist(), strict=False))
    once, twice = sum(n == 1 for n in pairs.values()), sum(n == 2 for n in pairs.values())
    discount = once / (once + 2 * twice)
    continuations, followers, totals = np.zeros(size), np.zeros(size), np.zeros(size)
    for (before, after), n in pairs.items():
        continuations[after] += 1
        followers[before] += 1
        totals[before] += n
    lower = (continuations + 0.1) / (continuations.sum() + 0.1 * size)
    logs = [
        np.log((max(pairs[a, b] - discount, 0) + discount * followers[a] * lower[b]) / totals[a])
        for a, b in zip(test.tolist(), test[1:].tolist(), strict=False)
    ]
    return float(np.exp(-np.mean(logs)))
