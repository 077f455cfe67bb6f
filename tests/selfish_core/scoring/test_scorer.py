"""Sentences and next words: the numbers are those of a plain loop in double precision, for every architecture."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from support import cases

from selfish_core.accounting import built_architecture
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.errors import InputError
from selfish_core.models.build import build
from selfish_core.models.output import LanguageModel
from selfish_core.scoring.scorer import Scorer, SentenceScore
from selfish_core.scoring.vocabulary import Vocabulary

WORDS = ("<unk>", "the", "<eos>", *(f"w{index}" for index in range(3, cases.VOCABULARY_SIZE)))
LONG = " ".join(WORDS[3 + index % 20] for index in range(80))


@pytest.fixture(params=sorted(ARCHITECTURES))
def model(request: pytest.FixtureRequest, tiny_trial: Any) -> LanguageModel:
    config = built_architecture(tiny_trial(architecture=request.param))
    return build(config, len(WORDS), torch.Generator().manual_seed(3))


@pytest.fixture
def scorer(tiny_trial: Any) -> Scorer:
    config = built_architecture(tiny_trial())
    return Scorer(build(config, len(WORDS), torch.Generator().manual_seed(3)), Vocabulary(WORDS))


def log_probabilities(model: LanguageModel, ids: list[int]) -> list[list[float]]:
    """Feed one word after another in double precision, with logarithms taken by hand."""
    exact = copy.deepcopy(model).double()
    state = tuple(part.double() for part in exact.initial_state(1))
    rows = []
    for index in ids:
        with torch.no_grad():
            output = exact(torch.tensor([[index]]), state)
        state = output.state
        scores = output.scores_TBV[0, 0].tolist()
        top = max(scores)
        log_sum = top + math.log(sum(math.exp(score - top) for score in scores))
        rows.append([score - log_sum for score in scores])
    return rows


@pytest.mark.parametrize("sentence", ["the w3 w4 w5", LONG], ids=["short", "longer than a segment"])
def test_a_sentence_scores_as_a_loop_over_its_words(model: LanguageModel, sentence: str) -> None:
    end, ids = WORDS.index("<eos>"), [WORDS.index(word) for word in sentence.split()]
    rows = log_probabilities(model, [end, *ids])
    expected = sum(row[target] for row, target in zip(rows, [*ids, end], strict=True))
    found = Scorer(model, Vocabulary(WORDS)).score(sentence)
    assert (found.num_tokens, found.num_unknown) == (len(ids) + 1, 0)
    assert found.log_likelihood == pytest.approx(expected, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(-expected / (len(ids) + 1)), rel=1e-5)


def test_next_words_are_the_most_probable_ones(model: LanguageModel) -> None:
    last = log_probabilities(model, [WORDS.index(word) for word in ("<eos>", "the", "w7")])[-1]
    found = Scorer(model, Vocabulary(WORDS)).next_words("the w7", len(WORDS) + 5)
    assert [probability for _, probability in found] == pytest.approx(
        sorted(map(math.exp, last), reverse=True), rel=1e-4
    )
    assert dict(found) == pytest.approx(dict(zip(WORDS, map(math.exp, last), strict=True)), rel=1e-4)
    assert sum(probability for _, probability in found) == pytest.approx(1.0)
    assert Scorer(model, Vocabulary(WORDS)).next_words("the w7", 3) == found[:3]


def test_every_sentence_starts_anew(scorer: Scorer) -> None:
    first = scorer.score("the w3")
    scorer.score(LONG)
    assert scorer.score("the w3") == first


def test_unknown_words_are_read_as_unk_and_counted(scorer: Scorer) -> None:
    assert scorer.score("the zebra").log_likelihood == scorer.score("the <unk>").log_likelihood
    assert (scorer.score("the zebra").num_unknown, scorer.score("the <unk>").num_unknown) == (1, 0)


@pytest.mark.parametrize("text", ["", " \t", "\n"])
def test_an_empty_line_is_the_end_of_a_line_alone(text: str, scorer: Scorer) -> None:
    found = scorer.score(text)
    assert found.num_tokens == 1
    assert found.log_likelihood == pytest.approx(math.log(dict(scorer.next_words("", len(WORDS)))["<eos>"]))


def test_several_lines_have_an_end_each(scorer: Scorer) -> None:
    assert scorer.score("the w3\nw4\n").num_tokens == 5
    assert scorer.score("the w3\r\nw4") == scorer.score("the  w3\nw4")


@pytest.mark.parametrize(
    ("text", "said"),
    [("the <eos>", "the word <eos> is added to every line"), (7, "a sentence must be text, got int")],
)
def test_what_is_no_sentence_is_refused(text: Any, said: str, scorer: Scorer) -> None:
    with pytest.raises(InputError, match=said):
        scorer.score(text)


def test_an_unknown_word_is_refused_where_the_corpus_has_no_unk() -> None:
    words = Vocabulary(("a", "<eos>"))
    with pytest.raises(InputError, match="the word 'zebra' is not in the vocabulary, which has no <unk>"):
        words.encode("a zebra")


def test_at_least_one_word_is_asked_for(scorer: Scorer) -> None:
    with pytest.raises(InputError, match="top_k must be at least 1, got 0"):
        scorer.next_words("the", 0)


def test_a_hopeless_sentence_has_an_infinite_perplexity() -> None:
    assert SentenceScore(-1e6, 1, 0).perplexity == math.inf


@pytest.mark.parametrize("words", [("a", "a", "<eos>"), ("a", "b")])
def test_a_vocabulary_has_each_word_once_and_an_end(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="every word once"):
        Vocabulary(words)
