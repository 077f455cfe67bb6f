"""What a person or a script sees: answers on stdout, everything else on stderr, control characters escaped."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

_ESCAPED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder or hide text."""


def clean(text: str) -> str:
    r"""Escape what a terminal would act on instead of showing.

    >>> clean("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(letter) if unicodedata.category(letter) in _ESCAPED else letter for letter in text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write lines for a person to stderr, each one cleaned."""
    stream = stream or sys.stderr
    for line in text.splitlines() or [""]:
        stream.write(clean(line) + "\n")
    stream.flush()


def answer(text: str) -> None:
    """Write an answer to stdout, as it is, with one newline at its end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def answer_json(data: Any) -> None:
    """Write an answer for a script: one JSON document; numbers that are not finite become null."""
    answer(json.dumps(_finite(data), indent=2, allow_nan=False))


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Align rows of cells, each cleaned, two spaces apart.

    Args:
        rows: the first may be a heading; all of one length.
        right: positions of the columns that are aligned at their right.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))] if cells else []
    return "\n".join("  ".join(_pad(row, widths, right)).rstrip() for row in cells)


def amount(value: float) -> str:
    """Write a large number short.

    >>> amount(1234567), amount(3.2e15), amount(950)
    ('1.23M', '3.2P', '950')
    """
    for power, letter in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g}{letter}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units.

    >>> duration(42), duration(130), duration(7320)
    ('42 s', '2 min 10 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> count(1, "trial"), count(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _pad(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> list[str]:
    sized = list(zip(row, widths, strict=True))
    return [text.rjust(width) if place in right else text.ljust(width) for place, (text, width) in enumerate(sized)]


def _finite(data: Any) -> Any:
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    if isinstance(data, dict):
        return {str(name): _finite(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data
