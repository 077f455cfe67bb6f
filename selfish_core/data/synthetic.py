"""The generated language: lines of invented words whose best possible perplexity is known.

A line is an opener, a noun phrase, a closer that agrees with the opener, perhaps an object, and `<eos>`:

    opener  adjective*  noun  (link adjective* noun)*  closer  (article adjective* noun)?  <eos>

What a model can learn from it: word classes, from neighbours; agreement (each opener belongs to a group, and the closer
several words later comes from the same group); topics (each prefers its own nouns and adjectives, and lasts for many
lines, carried by the words alone). All of it is the hidden state of one Markov model, so the forward algorithm gives
the best possible prediction.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from selfish_core.catalogue.corpora import EOS, SPLITS, Split
from selfish_core.data.markov import Floats, HiddenMarkovModel, Ints, SplitMix64, Weights

NUM_TOPICS = 6
NUM_GROUPS = 6
NUM_TOKENS: dict[Split, int] = {"train": 60_000, "valid": 8_000, "test": 8_000}
"""A split ends with the first line that reaches this many tokens."""

_SEEDS: dict[Split, int] = {"train": 1, "valid": 2, "test": 3}
_LINES_PER_TOPIC = 20
_OWN_TOPIC_FACTOR = 8
_FREE = -1


class _Kind(NamedTuple):
    """A class of words: number of sets, number of words in a set, how flat the head of Zipf's law is."""

    num_sets: int
    num_words: int
    flatness: int


class _Place(NamedTuple):
    """A hidden state: the class of word to speak, the topic, and the group that the closer owes to the opener."""

    kind: str
    topic: int
    group: int


_KINDS = {
    "opener": _Kind(NUM_GROUPS, 5, 2),
    "adjective": _Kind(NUM_TOPICS, 20, 3),
    "noun": _Kind(NUM_TOPICS, 42, 5),
    "link": _Kind(1, 12, 2),
    "closer": _Kind(NUM_GROUPS, 14, 4),
    "article": _Kind(1, 8, 2),
}
_BEFORE_CLOSER = {
    "opener": (("adjective", 1), ("noun", 2)),
    "adjective": (("adjective", 1), ("noun", 4)),
    "noun": (("link", 1), ("closer", 1)),
    "link": (("adjective", 1), ("noun", 2)),
}
_AFTER_OPENING = {
    "closer": (("article", 3), (EOS, 2)),
    "article": (("adjective", 1), ("noun", 2)),
    "adjective": (("adjective", 1), ("noun", 4)),
    "noun": ((EOS, 1),),
}
_PLACES = (
    *(_Place(*place) for place in product((*_BEFORE_CLOSER, "closer"), range(NUM_TOPICS), range(NUM_GROUPS))),
    *(_Place(*place) for place in product(("article", "adjective", "noun", EOS), range(NUM_TOPICS), (_FREE,))),
)
_STATES = {place: state for state, place in enumerate(_PLACES)}


def spell(index: int) -> str:
    """Spell a word of the language; index 0 is `<eos>`.

    >>> [spell(index) for index in (0, 1, 2, 61)]
    ['<eos>', 'biba', 'buba', 'bibi']
    """
    if index == 0:
        return EOS
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aiueo"]
    return syllables[index % len(syllables)] + syllables[index // len(syllables)]


@cache
def language() -> HiddenMarkovModel:
    """Build the Markov model of the language."""
    sets: dict[str, list[range]] = {}
    num_words = 1
    for name, kind in _KINDS.items():
        starts = range(num_words, num_words + kind.num_sets * kind.num_words, kind.num_words)
        sets[name] = [range(start, start + kind.num_words) for start in starts]
        num_words = sets[name][-1].stop
    return HiddenMarkovModel(
        moves=tuple(_moves(place) for place in _PLACES),
        words=tuple(_words(place, sets) for place in _PLACES),
        num_words=num_words,
    )


@cache
def text(split: Split) -> bytes:
    """Draw the text of a split, as lines of words."""
    generator = SplitMix64(_SEEDS[split])
    opener = _Place("opener", generator.below(NUM_TOPICS), generator.below(NUM_GROUPS))
    words: list[str] = []
    for num_tokens, (_, word) in enumerate(language().draw(generator, _STATES[opener]), start=1):
        words.append("\n" if word == 0 else spell(word) + " ")
        if word == 0 and num_tokens >= NUM_TOKENS[split]:
            return "".join(words).replace(" \n", "\n").encode()
    raise AssertionError("the language ends")  # pragma: no cover


def texts() -> dict[Split, bytes]:
    """Draw the texts of all splits."""
    return {split: text(split) for split in SPLITS}


def log_probabilities(streams_BT: Ints, vocabulary: tuple[str, ...]) -> Floats:
    """Return log p(token | those before it in its stream), nats, of every token but the first of each stream.

    Every stream starts from the stationary distribution of the hidden state, conditioned on its first token. Where a
    split starts, with a line, that is the distribution it was drawn from: an opener tells its place and group, and all
    topics are equally likely.

    Args:
        streams_BT: token ids, [batch_size, num_rows], num_rows ≥ 1.
        vocabulary: word of each id.

    Returns:
        float64, [batch_size, num_rows - 1].
    """
    index_of = {spell(index): index for index in range(language().num_words)}
    indices = np.array([index_of[word] for word in vocabulary])
    return np.stack([language().log_probabilities(indices[stream])[1:] for stream in streams_BT])


def _moves(place: _Place) -> Weights:
    if place.kind == EOS:
        stay = (_LINES_PER_TOPIC - 1) * (NUM_TOPICS - 1)
        return tuple(
            (_STATES[_Place("opener", topic, group)], stay if topic == place.topic else 1)
            for topic, group in product(range(NUM_TOPICS), range(NUM_GROUPS))
        )
    if place.kind == "closer" or place.group == _FREE:
        return tuple((_STATES[_Place(kind, place.topic, _FREE)], weight) for kind, weight in _AFTER_OPENING[place.kind])
    return tuple((_STATES[place._replace(kind=kind)], weight) for kind, weight in _BEFORE_CLOSER[place.kind])


def _words(place: _Place, sets: dict[str, list[range]]) -> Weights:
    if place.kind == EOS:
        return ((0, 1),)
    zipf = [1_000_000 // (rank + _KINDS[place.kind].flatness) for rank in range(_KINDS[place.kind].num_words)]
    if place.kind in ("opener", "closer"):
        return tuple(zip(sets[place.kind][place.group], zipf, strict=True))
    return tuple(
        (word, weight * (_OWN_TOPIC_FACTOR if topic == place.topic else 1))
        for topic, words in enumerate(sets[place.kind])
        for word, weight in zip(words, zipf, strict=True)
    )
