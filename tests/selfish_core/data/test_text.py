from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfish_core.data import text
from selfish_core.data.text import encode
from selfish_core.errors import CorpusError

NAMES = {"train": "train.txt", "valid": "valid.txt", "test": "test.txt"}


def _encode(train: bytes, valid: bytes = b"a\n", test: bytes = b"a\n"):
    return encode({"train": train, "valid": valid, "test": test}, NAMES)


def _words(data: bytes) -> list[str]:
    encoded = _encode(data, data, data)
    assert encoded.tokens["train"].tolist() == encoded.tokens["valid"].tolist() == encoded.tokens["test"].tolist()
    return [encoded.vocabulary[token] for token in encoded.tokens["train"]]


def test_ids_follow_first_appearance_in_train():
    encoded = _encode(b"c a c\nb\n", b"b a\n", b"c\n\n")
    assert encoded.vocabulary == ("c", "a", "<eos>", "b")
    assert encoded.tokens["train"].tolist() == [0, 1, 0, 2, 3, 2]
    assert encoded.tokens["valid"].tolist() == [3, 1, 2]
    assert encoded.tokens["test"].tolist() == [0, 2, 2]
    assert encoded.tokens["train"].dtype == "int64"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a b\n", "a b <eos>"),
        (b"a b", "a b <eos>"),
        (b"a\n\nb\n", "a <eos> <eos> b <eos>"),
        (b" a \n \nb\n", "a <eos> <eos> b <eos>"),
        (b"a b\r\nc\r\n", "a b <eos> c <eos>"),
        (b"a\rb\n", "a b <eos>"),
        (b"\xef\xbb\xbfa\nb\n", "a <eos> b <eos>"),
        (b"a\n\xef\xbb\xbfb\n", "a <eos> \ufeffb <eos>"),
        ("a\u00a0b\u2028c\x0bd\x85e\n".encode(), "a b c d e <eos>"),
        ("é ☃\n".encode(), "é ☃ <eos>"),
    ],
)
def test_lines_and_white_space(data, expected):
    assert " ".join(_words(data)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "train.txt: empty; "),
        (b"\n \n\t\n", "train.txt: only white space; "),
        (b"\xef\xbb\xbf", "train.txt: only white space; "),
        (b"ab\ncaf\xe9 x\n", "train.txt: not UTF-8: byte 0xe9 at offset 6, line 2; if it is Latin-1, convert it"),
        (b"\xef\xbb\xbfa \xff\n", "train.txt: not UTF-8: byte 0xff at offset 5, line 1; "),
        (b"a \xed\xa0\x80\n", "train.txt: not UTF-8: byte 0xed at offset 2, line 1; "),
        (b"a \xe2\x98", "train.txt: not UTF-8: byte 0xe2 at offset 2, line 1; "),
        ("hello you\n".encode("utf-16"), "train.txt: not UTF-8: byte 0xff at offset 0, line 1; it looks like UTF-16"),
        ("hello you\n".encode("utf-16-le"), "train.txt: not text: NUL byte 0x00 at offset 1; it looks like UTF-16"),
        (b"some words and\nthen\0one\n", "train.txt: not text: NUL byte 0x00 at offset 19; the file may be binary"),
        (b"a\nb <eos>\n", "train.txt, line 2: the word <eos> is added to every line; "),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(data, message):
    with pytest.raises(CorpusError) as caught:
        _encode(data)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_other_splits_are_checked_too(split):
    texts = {"train": b"a\n", "valid": b"a\n", "test": b"a\n"}
    with pytest.raises(CorpusError, match=rf"^{split}\.txt: empty"):
        encode(texts | {split: b""}, NAMES)
    with pytest.raises(CorpusError, match=rf"^{split}\.txt: not UTF-8"):
        encode(texts | {split: b"\xff\n"}, NAMES)


def test_words_that_train_lacks_become_unk_where_train_has_it():
    encoded = _encode(b"a <unk> b\n", b"a x b\n", b"y\n")
    assert [encoded.vocabulary[token] for token in encoded.tokens["valid"]] == ["a", "<unk>", "b", "<eos>"]
    assert encoded.tokens["test"].tolist() == [1, 3]


def test_words_that_train_lacks_are_refused_where_it_has_no_unk():
    with pytest.raises(CorpusError) as caught:
        _encode(b"a b\n", b"a\n", b"a\nb new a newer\n")
    assert str(caught.value).startswith("test.txt, line 2: the word 'new' is not in train")


def test_a_very_long_unknown_word_is_cut_in_the_error():
    with pytest.raises(CorpusError) as caught:
        _encode(b"a\n", b"x" * 10_000)
    assert len(str(caught.value)) < 250


@given(data=st.text("ab é\u00a0\n\r\t", max_size=60), limit=st.integers(1, 9))
def test_long_lines_are_read_in_parts_without_a_trace(data, limit):
    lines = [line.decode() for line in io.BytesIO(data.encode())]
    expected = [word for line in lines for word in [*line.split(), "<eos>"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_MAX_PIECE_BYTES", limit)
        if not data.split():
            with pytest.raises(CorpusError):
                _words(data.encode())
        else:
            assert _words(data.encode()) == expected


def test_offsets_are_right_in_later_parts_of_a_long_line(monkeypatch):
    monkeypatch.setattr(text, "_MAX_PIECE_BYTES", 2)
    with pytest.raises(CorpusError, match=r"byte 0xff at offset 13, line 2"):
        _encode(b"aa\nbb cc dd e\xff\n")


def test_the_vocabulary_is_bounded(monkeypatch):
    monkeypatch.setattr(text, "MAX_VOCABULARY_SIZE", 3)
    assert len(_encode(b"a b\n").vocabulary) == 3
    with pytest.raises(CorpusError, match="more than 3 different words"):
        _encode(b"a b c\n")


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_in_one_line(data):
    try:
        words, told = _words(data), ""
    except CorpusError as error:
        words, told = [], str(error)
    assert "\n" not in told
    assert words or told
    assert told or words.count("<eos>") == len(list(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf"))))
