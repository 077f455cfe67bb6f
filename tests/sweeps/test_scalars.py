"""Scalars follow the core schema of YAML 1.2; what only looks like a number stays a text and has a hint."""

from __future__ import annotations

import math

import pytest

from sweeps import scalars


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("0", 0),
        ("-0", 0),
        ("12", 12),
        ("+12", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1E+2", 100.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e3", -1500.0),
        ("0.67", 0.67),
    ],
)
def test_core_scalars(text: str, value: object) -> None:
    got = scalars.resolve_plain(text)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "NO",
        "yes",
        "on",
        "off",
        "y",
        "0123",
        "-07",
        "00.5",
        "1_000",
        "12:30:45",
        "1:30",
        "2024-01-02",
        "0b101",
        "0O17",
        "0X1F",
        "-0x1F",
        "1e",
        "e5",
        "1.2.3",
        "--1",
        "+",
        ".",
        "nan",
        "inf",
        "tRue",
        "None",
    ],
)
def test_the_rest_are_texts(text: str) -> None:
    assert scalars.resolve_plain(text) == text


@pytest.mark.parametrize(
    "text", [".inf", "-.inf", "+.INF", ".nan", ".NaN", "1e999", "-1e400", "1" * 65, "0." + "0" * 80]
)
def test_numbers_that_are_not_finite_or_far_too_long_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"finite|too large|at most 64"):
        scalars.resolve_plain(text)


def test_negative_zero_is_zero() -> None:
    number = scalars.resolve_plain("-0.0")
    assert isinstance(number, float)
    assert math.copysign(1.0, number) == 1.0


@pytest.mark.parametrize("text", ["0123", "1_000", "12:30:45", "2024-01-02", "no", "On", "0b1", "5%", "-Infinity"])
def test_what_looks_like_something_else_has_a_hint(text: str) -> None:
    assert scalars.hint(text, is_plain=True)
    assert scalars.hint(text, is_plain=False) is None


@pytest.mark.parametrize("text", ["0.9", "12", "true", "null"])
def test_quoted_values_have_a_hint(text: str) -> None:
    assert scalars.hint(text, is_plain=False) == "what is quoted is a text"


@pytest.mark.parametrize("text", ["stacked_lstm", "a", "", "1.2.3"])
def test_plain_words_have_none(text: str) -> None:
    assert scalars.hint(text, is_plain=True) is None
    assert scalars.hint(text, is_plain=False) is None
