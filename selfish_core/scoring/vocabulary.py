"""Text as the ids that a network has learnt, by the rule of `selfish_core.data.text`."""

from __future__ import annotations

from collections.abc import Sequence

from selfish_core.catalogue.corpora import EOS, UNK
from selfish_core.errors import InputError


class Vocabulary:
    """The words of a corpus and their ids.

    Args:
        words: the token of each id.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._index = {word: index for index, word in enumerate(self.words)}
        if len(self._index) != len(self.words) or EOS not in self._index:
            raise ValueError(f"a vocabulary has every word once, {EOS} too")
        self._unknown = self._index.get(UNK)

    @property
    def end(self) -> int:
        """The id of `<eos>`."""
        return self._index[EOS]

    def encode(self, text: str) -> tuple[list[int], int]:
        """Return the ids of a text's words, and how many of them are read as `<unk>`.

        Every line but the last ends with `<eos>`; what follows the last word is the caller's.

        Raises:
            InputError: for no text, for the word `<eos>`, and for an unknown word where the corpus has no `<unk>`.
        """
        if not isinstance(text, str):
            raise InputError(f"a sentence must be text, got {type(text).__name__}")
        ids: list[int] = []
        num_unknown = 0
        for number, line in enumerate(text.removesuffix("\n").split("\n")):
            ids += [self.end] if number else []
            for word in line.split():
                num_unknown += word not in self._index
                ids.append(self._id(word))
        return ids, num_unknown

    def _id(self, word: str) -> int:
        if word == EOS:
            raise InputError(f"the word {EOS} is added to every line; take it out")
        found = self._index.get(word, self._unknown)
        if found is None:
            raise InputError(f"the word {word[:40]!r} is not in the vocabulary, which has no {UNK} to read it as")
        return found
