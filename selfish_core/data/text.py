"""How the bytes of a corpus become tokens.

The rule, the same on every system (files are read as bytes, nothing is translated on the way):

- The text is UTF-8. Anything else is refused, with the place of the first wrong byte.
- A line ends at LF, the last one also at the end of the file. A CR is white space, so CRLF and LF give the same tokens.
- A token is a word, as `str.split` sees it, or the `<eos>` that is added to every line, blank lines too.
- A byte order mark at the very start is dropped; elsewhere U+FEFF is a letter like any other.
- A NUL byte is refused: text has none, UTF-16 and damaged files do. So is `<eos>` as a word of the text.
- A text without a word is refused.

Ids are given in the order of first appearance in train. A word that train lacks is read as `<unk>` where train has
`<unk>`, else it is refused.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt

from selfish_core.catalogue.corpora import EOS, SPLITS, UNK, Split
from selfish_core.errors import CorpusError

Ints = npt.NDArray[np.int64]

MAX_VOCABULARY_SIZE = 1_000_000
"""The most different tokens that train may have."""

_MAX_PIECE_BYTES = 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Encoded:
    """A corpus as ids.

    Args:
        vocabulary: the token of each id.
        tokens: the ids of each split, int64, [num_tokens].
    """

    vocabulary: tuple[str, ...]
    tokens: Mapping[Split, Ints]


def encode(texts: Mapping[Split, bytes], names: Mapping[Split, str]) -> Encoded:
    """Turn the texts of the three splits into ids.

    Args:
        texts: the bytes of each split.
        names: what to call each split's file in an error.

    Raises:
        CorpusError: a text breaks the rule above; one line that names the file and the place.
    """
    index: dict[str, int] = {}
    tokens: dict[Split, Ints] = {"train": _learn(texts["train"], names["train"], index)}
    for split in SPLITS[1:]:
        tokens[split] = _look_up(texts[split], names[split], index)
    return Encoded(tuple(index), tokens)


def _learn(data: bytes, name: str, index: dict[str, int]) -> Ints:
    ids = array("q")
    for words, _ in _word_lists(data, name):
        for word in words:
            ids.append(index.setdefault(word, len(index)))
        if len(index) > MAX_VOCABULARY_SIZE:
            raise CorpusError(f"{name}: more than {MAX_VOCABULARY_SIZE:,} different words")
    return np.array(ids, dtype=np.int64)


def _look_up(data: bytes, name: str, index: Mapping[str, int]) -> Ints:
    ids = array("q")
    unknown = index.get(UNK)
    for words, line in _word_lists(data, name):
        try:
            ids.extend([index[word] for word in words])
        except KeyError as error:
            if unknown is None:
                raise CorpusError(
                    f"{name}, line {line}: the word {_shorten(error.args[0])!r} is not in train, and train has no "
                    f"{UNK} to read it as; write {UNK} for rare words"
                ) from None
            ids.extend([index.get(word, unknown) for word in words])
    return np.array(ids, dtype=np.int64)


def _word_lists(data: bytes, name: str) -> Iterator[tuple[list[str], int]]:
    """Yield the tokens of each piece of text, with the number of its line from 1."""
    start = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
    _check_nul(data, name)
    has_words = False
    for piece, offset, line, is_end in _pieces(data, start):
        try:
            words = piece.decode().split()
        except UnicodeDecodeError as error:
            at = offset + error.start
            byte = f"0x{data[at]:02x}"
            raise CorpusError(f"{name}: not UTF-8: byte {byte} at offset {at}, line {line}; {_hint(data)}") from None
        if EOS in words:
            raise CorpusError(f"{name}, line {line}: the word {EOS} is added to every line; take it out")
        has_words = has_words or bool(words)
        if is_end:
            words.append(EOS)
        yield words, line
    if not has_words:
        what = "empty" if not data else "only white space"
        raise CorpusError(f"{name}: {what}; a corpus needs words, one sentence or paragraph a line")


def _pieces(data: bytes, start: int) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield lines, very long ones in parts cut at spaces: bytes, their offset, the line's number, whether it ends."""
    stream = BytesIO(data)
    stream.seek(start)
    offset = start
    for line, whole in enumerate(stream, start=1):
        first = 0
        while len(whole) - first > _MAX_PIECE_BYTES and (cut := whole.find(b" ", first + _MAX_PIECE_BYTES)) >= 0:
            yield whole[first:cut], offset + first, line, False
            first = cut
        yield whole[first:], offset + first, line, True
        offset += len(whole)


def _check_nul(data: bytes, name: str) -> None:
    if (at := data.find(b"\0")) >= 0 and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(f"{name}: not text: NUL byte 0x00 at offset {at}; {_hint(data)}")


def _hint(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * data[:64].count(0) >= len(data[:64]):
        return "it looks like UTF-16, convert it with: iconv -f UTF-16 -t UTF-8"
    if b"\0" in data:
        return "the file may be binary or damaged"
    return "if it is Latin-1, convert it with: iconv -f LATIN1 -t UTF-8"


def _shorten(word: str) -> str:
    return word if len(word) <= 40 else word[:40] + "…"
