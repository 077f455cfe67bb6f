"""Text for people: nothing that a terminal would act on, and lengths that fit."""

from __future__ import annotations

import io
import json

import pytest

from orchestration import terminal


@pytest.mark.parametrize("letter", ["\x1b", "\r", "\x07", "\x7f", "\x9b", "\u202e", "\u2028", "\u200b"])
def test_what_a_terminal_acts_on_is_escaped(letter: str) -> None:
    shown = terminal.clean(f"a{letter}b")
    assert letter not in shown
    assert shown.startswith("a\\")


def test_letters_of_all_alphabets_stay() -> None:
    assert terminal.clean("naïve ± 5 λ 語 – ≤") == "naïve ± 5 λ 語 – ≤"


def test_lines_are_cleaned_one_by_one() -> None:
    stream = io.StringIO()
    terminal.say("one\ntwo\x1b[2J", stream)
    assert stream.getvalue() == "one\ntwo\\x1b[2J\n"


def test_json_has_null_for_what_it_cannot_hold(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer_json({"a": float("inf"), "b": [float("nan"), 1.5], "c": (1,)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": [1]}


def test_columns_are_aligned() -> None:
    assert terminal.columns([["a", "1"], ["bbb", "22"]], right=frozenset({1})) == "a     1\nbbb  22"
    assert terminal.columns([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert terminal.duration(seconds) == text
