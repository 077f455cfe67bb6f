"""A table as text, Markdown, LaTeX, CSV or JSON: the same bytes on every terminal, in every locale and time zone."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from results.tables.model import Table
from selfish_core.errors import InputError, unknown_name

SCHEMA_VERSION = 1
TEXT_WIDTH = 10_000
TITLE_WIDTH = 16
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render(table: Table, format_name: str) -> str:
    """Render a table; the text ends with a line break.

    Raises:
        InputError: when the format is unknown.
    """
    if format_name not in FORMATS:
        raise InputError(unknown_name("format", format_name, FORMATS))
    return FORMATS[format_name](table)


def printable(text: str) -> str:
    r"""Write control characters as escapes, so that a name cannot steer a terminal.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def as_text(table: Table) -> str:
    """Render for a terminal, in the table's natural width whatever the terminal's."""
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in table.columns:
        grid.add_column(
            Text(textwrap.fill(printable(column.title), TITLE_WIDTH)),
            justify="right" if column.is_number else "left",
            no_wrap=True,
        )
    for row in table.rows:
        grid.add_row(*(Text(printable(entry.text)) for entry in row))
    out = io.StringIO()
    console = Console(
        file=out,
        width=TEXT_WIDTH,
        color_system=None,
        force_terminal=False,
        legacy_windows=False,
        highlight=False,
        _environ={},
    )
    console.print(grid)
    lines = [printable(table.title), "", *(line.rstrip() for line in out.getvalue().splitlines())]
    return "\n".join([*lines, "", *(printable(note) for note in table.notes)]) + "\n"


def as_markdown(table: Table) -> str:
    """Render as a Markdown table with the notes below."""
    frame = _shown(table, _escape_markdown)
    align = ["right" if column.is_number else "left" for column in table.columns]
    grid = frame.to_markdown(index=False, disable_numparse=True, colalign=align if table.rows else None)
    notes = "\n\n".join(_escape_markdown(note) for note in table.notes)
    return f"**{_escape_markdown(table.title)}**\n\n{grid}\n\n{notes}\n"


def as_latex(table: Table) -> str:
    """Render as a booktabs `tabular` with the notes below it."""
    align = "".join("r" if column.is_number else "l" for column in table.columns)
    styler = _shown(table, printable).style.hide(axis="index")
    styler = styler.format(escape="latex").format_index(escape="latex", axis="columns")
    grid = styler.to_latex(hrules=True, column_format=align)
    notes = "".join(f"\n\\par\\footnotesize {_escape_latex(note)}" for note in table.notes)
    return _mathematical(f"% {printable(table.title)}\n{grid}{notes.lstrip(chr(10))}\n")


def as_csv(table: Table) -> str:
    """Render as CSV with a column for every value, at full precision; notes are left out.

    A cell of text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([_csv_cell(name) for column in table.columns for name in column.names])
    for row in table.rows:
        writer.writerow([_csv_cell(value) for entry in row for value in entry.values])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Render as JSON: schema version, selection rule, and for every cell its numbers and its trials' states by key."""
    return (
        json.dumps({"schema_version": SCHEMA_VERSION, **table.data}, indent=2, sort_keys=True, allow_nan=False) + "\n"
    )


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}


def _shown(table: Table, escape: Callable[[str], str]) -> pd.DataFrame:
    rows = [[escape(entry.text) for entry in row] for row in table.rows]
    return pd.DataFrame(rows, columns=[escape(column.title) for column in table.columns], dtype=object)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", printable(text))


def _escape_latex(text: str) -> str:
    special = {char: f"\\{char}" for char in "&%$#_{}"}
    special |= {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\ensuremath{<}",
    }
    return "".join(special.get(char, char) for char in printable(text))


def _mathematical(text: str) -> str:
    """Write the signs of our own cells and notes in a form that every LaTeX knows."""
    return text.replace("±", r"$\pm$").replace("≤", r"$\leq$").replace("–", "--").replace("×", r"$\times$")


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if value.lstrip(" ").startswith(FORMULA_STARTS) else text
    return repr(value)
