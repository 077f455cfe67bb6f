"""From the bytes of a YAML file to plain data and the line of every value, or to one line for each thing wrong.

Far less than YAML is read, on purpose: one document of nested mappings, lists and scalars. The parser's events are
looked at before anything is built of them, so tags, anchors, aliases, merge keys, directives and deep nesting are
refused where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError

from selfish_core.errors import Problem, ProblemsError, shown
from sweeps import scalars

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_TEXT_LENGTH = 4096

Path = tuple[str | int, ...]

_FORBIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAB_INDENT = re.compile(r"^ *\t[ \t]*(?=[^ \t\r\n#])", re.MULTILINE)
_BRACKETS = re.compile(rf"[\[{{](?:\s*[\[{{]){{{MAX_DEPTH}}}")
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "UTF-8"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_TYPE_ERROR = re.compile(r" must be (a number|a whole number|true or false)")


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where.

    Args:
        where: the file as messages name it.
        data: nested dicts, lists and scalars.
        lines: line of every value, from 1, by its keys and list positions; of a nested one, the line of its key.
        hints: for texts that may not be what their writer meant, what to tell them.
    """

    where: str
    data: dict[str, Any]
    lines: Mapping[Path, int]
    hints: Mapping[Path, str]

    def line(self, path: Path) -> int:
        """Return the line of a value, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class Findings:
    """What is wrong with a document, each thing once, with its line."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: dict[tuple[int, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Path, message: str) -> None:
        """Note a problem with the value at a path."""
        hint = self.document.hints.get(path)
        is_explained = hint is not None and _TYPE_ERROR.search(message) is not None
        self.add_at(self.document.line(path), f"{message} ({hint})" if is_explained else message)

    def add_at(self, line: int, message: str) -> None:
        """Note a problem with a line."""
        self._found[line, message] = None

    def raise_if_any(self) -> None:
        """Raise all problems at once, in the order of their lines."""
        if self._found:
            found = sorted(self._found, key=lambda pair: pair[0])
            raise ProblemsError([located(self.document.where, line, message) for line, message in found])


def located(where: str, line: int, message: str) -> Problem:
    """Make a problem that says where in a file it is."""
    return Problem((), f"{where}:{line}: {message}")


def read(data: bytes, where: str) -> Document:
    """Read one YAML mapping.

    Args:
        data: the whole file.
        where: what messages call it.

    Raises:
        ProblemsError: with `where:line:` in front of each line; nothing else, whatever the bytes.
    """
    text = _decode(data, where)
    builder = _Builder(where)
    try:
        for event in YAML(typ="safe", pure=True, plug_ins=[]).parse(text):
            builder.take(event)
    except ProblemsError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (builder.line, 1)
        start = error.context_mark.line + 1 if error.context_mark is not None else line
        context = f"{error.context} (from line {start})" if start != line else error.context
        what = " ".join(" ".join(str(part).split()) for part in (context, error.problem) if part)
        if "found character '\\t'" in what:
            _refuse(where, line, f"column {column}: a tab stands where YAML wants spaces")
        _refuse(where, line, f"column {column}: not valid YAML: {what}")
    except Exception as error:  # the parser raises plain errors (ValueError, OverflowError, …) for some escapes
        _refuse(where, builder.line, f"not valid YAML from here on: the parser stops with {type(error).__name__}")
    return builder.finish()


def kind_of(value: object) -> str:
    """Say in words what a value of a YAML file is, with the value itself where it is a scalar."""
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return shown(value)


def _refuse(where: str, line: int, message: str) -> NoReturn:
    raise ProblemsError([located(where, line, message)]) from None


def _decode(data: bytes, where: str) -> str:
    """Turn bytes into text in which every character is one that a spec may hold."""
    if len(data) > MAX_BYTES:
        _refuse(where, 1, f"longer than {MAX_BYTES:,} bytes, the most that a spec may have")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            _refuse(where, 1, f"column 1: starts with a byte order mark ({encoding}): save it as UTF-8 without one")
    try:
        text = _with_line_feeds(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line, column = _place(_with_line_feeds(data[: error.start].decode("utf-8")))
        _refuse(where, line, f"column {column}: byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8")
    if found := _FORBIDDEN.search(text):
        line, column = _place(text[: found.start()])
        _refuse(where, line, f"column {column}: character U+{ord(found.group()):04X} is not allowed")
    if found := _TAB_INDENT.search(text):
        line, column = _place(text[: found.start() + found.group().index("\t")])
        _refuse(where, line, f"column {column}: a tab in the indentation: YAML indents with spaces")
    if found := _BRACKETS.search(text):  # the builder would see it too, after the scanner has taken its time over it
        _refuse(where, _place(text[: found.start()])[0], f"nested deeper than {MAX_DEPTH} levels")
    if found := _DIRECTIVE.search(text):
        _refuse(where, _place(text[: found.start()])[0], "a directive (%) is not allowed: leave it out")
    return text


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of the character that follows a text."""
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


@dataclass
class _Open:
    """A mapping or list that is being filled."""

    path: Path
    values: dict[str, Any] | list[Any]
    key: str | None = None
    key_line: int = 0
    key_lines: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Build data from parser events, refusing what is not allowed as soon as it is seen."""

    def __init__(self, where: str) -> None:
        self.line = 1
        self._where = where
        self._open: list[_Open] = []
        self._roots: list[Any] = []
        self._lines: dict[Path, int] = {}
        self._hints: dict[Path, str] = {}
        self._problems: list[Problem] = []

    def take(self, event: Any) -> None:
        """Take the parser's next event."""
        if event.start_mark is not None:
            self.line = event.start_mark.line + 1
        if isinstance(event, events.DocumentStartEvent) and self._roots:
            self._refuse("a second document starts here: a spec is one document")
        elif isinstance(event, events.NodeEvent):
            self._refuse_extras(event)
            self._take_node(event)
        elif isinstance(event, events.MappingEndEvent | events.SequenceEndEvent):
            self._open.pop()

    def finish(self) -> Document:
        """Return what was built."""
        if not self._roots:
            _refuse(self._where, 1, "empty: a spec is a mapping with name, base, epochs, axes and seeds")
        data = self._roots[0]
        if not isinstance(data, dict):
            _refuse(self._where, self._lines[()], f"a spec must be a mapping, got {kind_of(data)}")
        if self._problems:
            raise ProblemsError(self._problems)
        return Document(where=self._where, data=data, lines=self._lines, hints=self._hints)

    def _refuse(self, message: str) -> NoReturn:
        _refuse(self._where, self.line, message)

    def _refuse_extras(self, event: Any) -> None:
        if isinstance(event, events.AliasEvent):
            self._refuse(f"alias {'*' + str(event.anchor)!r} is not allowed: write the value out")
        if event.anchor is not None:
            self._refuse(f"anchor {'&' + str(event.anchor)!r} is not allowed: write the value where it is meant")
        if event.ctag is not None:
            tag = str(event.ctag).replace("tag:yaml.org,2002:", "!!", 1)
            self._refuse(f"tag {tag!r} is not allowed: a spec holds plain values only")

    def _take_node(self, event: Any) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.values, dict) and top.key is None:
            self._take_key(event, top)
            return
        is_scalar = isinstance(event, events.ScalarEvent)
        if not is_scalar and len(self._open) >= MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels")
        path: Path = ()
        if top is not None:
            path = (*top.path, len(top.values) if top.key is None else top.key)
        stands_at_key = not is_scalar or (event.value == "" and event.implicit[0])
        self._lines[path] = top.key_line if stands_at_key and top is not None and top.key is not None else self.line
        if is_scalar:
            self._add(top, self._scalar(event, path))
            return
        values: dict[str, Any] | list[Any] = {} if isinstance(event, events.MappingStartEvent) else []
        self._add(top, values)
        self._open.append(_Open(path, values))

    def _take_key(self, event: Any, top: _Open) -> None:
        if not isinstance(event, events.ScalarEvent):
            self._refuse("a key must be a text, got a mapping or a list")
        key = self._text(event)
        if key == "<<" and event.implicit[0]:
            self._refuse("merge key '<<' is not allowed: write the values out")
        if key in top.key_lines:
            self._note(f"key {shown(key)} stands here and in line {top.key_lines[key]}: keep one")
        top.key, top.key_line = key, self.line
        top.key_lines.setdefault(key, self.line)

    def _add(self, top: _Open | None, value: Any) -> None:
        if top is None:
            self._roots.append(value)
        elif isinstance(top.values, list):
            top.values.append(value)
        elif top.key is not None:
            top.values[top.key] = value
            top.key = None

    def _text(self, event: Any) -> str:
        text = str(event.value)
        if len(text) > MAX_TEXT_LENGTH:
            self._refuse(f"a text of {len(text):,} characters: at most {MAX_TEXT_LENGTH:,} are allowed")
        if bad := next((char for char in text if not char.isprintable() and char not in "\n\t"), None):
            self._refuse(f"character U+{ord(bad):04X} is not allowed in a text")
        return text

    def _scalar(self, event: Any, path: Path) -> scalars.Scalar:
        text, is_plain = self._text(event), event.implicit[0]
        if hint := scalars.hint(text, is_plain=is_plain):
            self._hints[path] = hint
        if not is_plain:
            return text
        try:
            return scalars.resolve_plain(text)
        except ValueError as error:
            self._note(str(error))
            return 0

    def _note(self, message: str) -> None:
        """Keep a problem that leaves the rest readable, so that all of them are told at once."""
        self._problems.append(located(self._where, self.line, message))
