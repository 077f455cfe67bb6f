"""What a trained network says of text: how probable a sentence is, and which words may come next.

A sentence is scored by itself: the hidden state starts at zero, the first input is `<eos>`, the end of the line before,
and the last word that is scored is the `<eos>` of the line's own end. Shapes: T time, B batch (one), V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.errors import InputError
from selfish_core.models.output import LanguageModel, State
from selfish_core.scoring.vocabulary import Vocabulary
from selfish_core.training.evaluate import SEGMENT_LENGTH


@dataclass(frozen=True)
class SentenceScore:
    """How probable a sentence is.

    Args:
        log_likelihood: natural logarithm of its probability, in nats, ≤ 0.
        num_tokens: words and ends of lines that were scored, ≥ 1.
        num_unknown: words among them that were read as `<unk>`.
    """

    log_likelihood: float
    num_tokens: int
    num_unknown: int

    @property
    def perplexity(self) -> float:
        """Exp of the mean loss per token; inf where that is too large for a float."""
        try:
            return math.exp(-self.log_likelihood / self.num_tokens)
        except OverflowError:
            return math.inf


class Scorer:
    """A network and its vocabulary, on the CPU, without dropout.

    Args:
        model: with the weights to use.
        vocabulary: of the corpus that it was trained on.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        self._model = model
        self._vocabulary = vocabulary

    def score(self, sentence: str) -> SentenceScore:
        """Score one sentence, or several lines as one text; what else is scored changes nothing.

        Raises:
            InputError: when it cannot be read as words of the vocabulary.
        """
        ids, num_unknown = self._vocabulary.encode(sentence)
        words = [self._vocabulary.end, *ids, self._vocabulary.end]
        total = 0.0
        state = self._model.initial_state(1)
        for start in range(0, len(words) - 1, SEGMENT_LENGTH):
            inputs = words[start : min(start + SEGMENT_LENGTH, len(words) - 1)]
            log_probabilities_TV, state = self._read(inputs, state)
            targets = torch.tensor(words[start + 1 : start + 1 + len(inputs)])
            total += float(log_probabilities_TV.gather(1, targets[:, None]).sum())
        return SentenceScore(total, len(words) - 1, num_unknown)

    def next_words(self, beginning: str, top_k: int) -> list[tuple[str, float]]:
        """Return the most probable words after the beginning of a sentence with their probabilities, highest first.

        Args:
            beginning: may be empty; `<eos>` among the answers stands for the end of the line.
            top_k: how many, ≥ 1; at most as many as the vocabulary has.

        Raises:
            InputError: when it cannot be read as words of the vocabulary, or `top_k` is below 1.
        """
        if top_k < 1:
            raise InputError(f"top_k must be at least 1, got {top_k}")
        ids, _ = self._vocabulary.encode(beginning)
        words = [self._vocabulary.end, *ids]
        state = self._model.initial_state(1)
        for start in range(0, len(words), SEGMENT_LENGTH):
            log_probabilities_TV, state = self._read(words[start : start + SEGMENT_LENGTH], state)
        found = log_probabilities_TV[-1].exp().sort(descending=True, stable=True)
        top = list(zip(found.values[:top_k].tolist(), found.indices[:top_k].tolist(), strict=True))
        return [(self._vocabulary.words[index], value) for value, index in top]

    def _read(self, words: Sequence[int], state: State) -> tuple[Tensor, State]:
        """Return the log-probabilities of what follows each word, in double precision, and the state after them."""
        with torch.no_grad():
            output = self._model(torch.tensor(words)[:, None], state)
            return output.scores_TBV[:, 0].double().log_softmax(dim=-1), output.state
