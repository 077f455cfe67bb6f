"""What a plain scalar of a spec means: the core schema of YAML 1.2, decimals without leading zeros.

`1e-3` is a number here, and `no`, `on`, `0123`, `1_000`, `12:30:45` and dates are texts, whatever other readers make of
them. Where such a text is refused later on, its hint tells why it is no number.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

MAX_NUMBER_LENGTH = 64

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_HINTS = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", "a number has no leading zeros"),
        (r"[-+]?[0-9][0-9_.]*_[0-9_.]*", "a number has no underscores"),
        (r"[-+]?[0-9][0-9,.]*,[0-9,.]*", "a number has no commas"),
        (r"[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?", "times are texts"),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", "dates are texts"),
        (r"(?i)y|yes|n|no|on|off", "write true or false"),
        (r"0b[01]+", "write it in decimals"),
        (r"[-+]?[0-9.]+\s*%", "write a share, not per cent"),
        (r"(?i)[-+]?(nan|inf|infinity)", "a number must be finite"),
    )
)


def resolve_plain(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: with one line, for numbers that are not finite or far too long.

    >>> resolve_plain("1e-3"), resolve_plain("no"), resolve_plain("0o17"), resolve_plain("1_000")
    (0.001, 'no', 15, '1_000')
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not allowed: a number must be finite")
    is_integer = _INTEGER.fullmatch(text) is not None
    if not is_integer and _FLOAT.fullmatch(text) is None:
        return text
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError(f"a number of {len(text)} characters: at most {MAX_NUMBER_LENGTH} are allowed")
    number = int(text, 0) if is_integer else float(text) + 0.0  # -0.0 becomes 0.0, so that both make one key
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def hint(text: str, *, is_plain: bool) -> str | None:
    """Say why a text is one, where its writer may have meant a number or a truth value.

    >>> hint("0123", is_plain=True), hint("0.9", is_plain=False)
    ('a number has no leading zeros', 'what is quoted is a text')
    """
    if is_plain:
        return next((hint for pattern, hint in _HINTS if pattern.fullmatch(text)), None)
    is_value = bool(text) and (text in _WORDS or any(pattern.fullmatch(text) for pattern in (_INTEGER, _FLOAT)))
    return "what is quoted is a text" if is_value else None
