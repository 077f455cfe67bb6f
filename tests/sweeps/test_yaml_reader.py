"""The reader keeps the line of every value, and refuses all that is more than plain data."""

from __future__ import annotations

import pytest

from selfish_core.errors import ProblemsError
from sweeps.yaml_reader import MAX_BYTES, MAX_DEPTH, Document, Findings, read

TEXT = """\
# a comment
name: x          # another
base:
  sparsity: 0.5
  corpus: {name: ptb,
           train_fraction: 0.2}
seeds:
  - 1
  -
    2
axes: [{grid: {method: [set,
  rigl]}}]
empty:
long: >
  two
  lines
"""


def lines_of(data: bytes) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        read(data, "f")
    return str(caught.value).split("\n")


def test_data_and_lines() -> None:
    document = read(TEXT.encode(), "f")

    assert document.data == {
        "name": "x",
        "base": {"sparsity": 0.5, "corpus": {"name": "ptb", "train_fraction": 0.2}},
        "seeds": [1, 2],
        "axes": [{"grid": {"method": ["set", "rigl"]}}],
        "empty": None,
        "long": "two lines\n",
    }
    assert {path: document.lines[path] for path in document.lines if len(path) == 1} == {
        ("name",): 2,
        ("base",): 3,
        ("seeds",): 7,
        ("axes",): 11,
        ("empty",): 13,
        ("long",): 14,
    }
    assert document.line(("base", "sparsity")) == 4
    assert document.line(("base", "corpus")) == 5
    assert document.line(("base", "corpus", "train_fraction")) == 6
    assert [document.line(("seeds", index)) for index in range(2)] == [8, 10]
    assert document.line(("axes", 0, "grid", "method", 1)) == 12


def test_a_value_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    document = read(TEXT.encode(), "f")
    assert document.line(("base", "corpus", "path")) == 5
    assert document.line(("nothing", "at", "all")) == 2


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_line_break_counts_the_same(line_break: str) -> None:
    document = read(TEXT.replace("\n", line_break).encode(), "f")
    assert document.line(("axes", 0, "grid", "method", 1)) == 12
    assert lines_of(f"a: 1{line_break}b: 2{line_break}\tc: 3".encode())[0].startswith("f:3: column 1: a tab")


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert set(read(b"on: 1\n1: 1\nnull: 1\ntrue: 1\n'': 1\n1.5: 1", "f").data) == {
        "on",
        "1",
        "null",
        "true",
        "",
        "1.5",
    }


def test_all_problems_that_leave_the_rest_readable_are_told() -> None:
    assert lines_of(b"a: .nan\nb: 1e999\na: 2\n") == [
        "f:1: .nan is not allowed: a number must be finite",
        "f:2: 1e999 is too large for a number",
        "f:3: key 'a' stands here and in line 1: keep one",
    ]


def test_a_directive_is_only_a_percent_sign_at_the_start_of_a_line() -> None:
    assert read(b"a: 5%\nb: 'x %y'\n  # %z\n", "f").data == {"a": "5%", "b": "x %y"}


def test_one_explicit_document_is_read() -> None:
    assert read(b"---\na: 1\n...\n", "f").data == {"a": 1}


def test_a_quoted_merge_key_is_a_text() -> None:
    assert read(b"'<<': 1\n", "f").data == {"<<": 1}


def test_a_tab_is_refused_outside_of_texts_and_comments() -> None:
    assert read(b"a: 'x\ty' # \t\n", "f").data == {"a": "x\ty"}
    assert lines_of(b"a: 1\t# note\n") == ["f:1: column 5: a tab stands where YAML wants spaces"]


def test_size_limit_is_exact() -> None:
    text = b"a: 1\n#"
    assert read(text + b"x" * (MAX_BYTES - len(text)), "f").data == {"a": 1}
    assert "65,536 bytes" in lines_of(text + b"x" * (MAX_BYTES - len(text) + 1))[0]


def test_depth_limit_is_exact() -> None:
    depth = MAX_DEPTH - 1
    assert read(b"a: " + b"[" * depth + b"]" * depth, "f").data
    assert lines_of(b"a: " + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) == ["f:1: nested deeper than 32 levels"]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = ["a: &a [x, x]"] + [
        f"{new}: &{new} [*{old}, *{old}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert lines_of("\n".join(bomb).encode()) == ["f:1: anchor '&a' is not allowed: write the value where it is meant"]


def test_findings_are_told_once_and_in_the_order_of_lines() -> None:
    findings = Findings(read(b"a: 1\nb: '2'\n", "f"))
    assert not findings
    findings.add(("b",), "b must be a number, got '2'")
    findings.add(("a",), "wrong")
    findings.add(("a",), "wrong")
    assert findings
    with pytest.raises(ProblemsError) as caught:
        findings.raise_if_any()
    assert str(caught.value) == "f:1: wrong\nf:2: b must be a number, got '2' (what is quoted is a text)"


def test_no_findings_raise_nothing() -> None:
    Findings(Document(where="f", data={}, lines={}, hints={})).raise_if_any()
