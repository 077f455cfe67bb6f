"""A table in one of six formats: the same bytes on every terminal, in every locale and time zone."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from results.tables.fragment import as_html
from results.tables.latex import as_latex
from results.tables.model import Entry, Table
from results.tables.words import printable, wrapped
from selfish_core.errors import InputError, unknown_name

SCHEMA_VERSION = 2
TEXT_WIDTH = 10_000
TITLE_WIDTH = 16
NOTE_WIDTH = 120
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
BEST = "*"


def render(table: Table, format_name: str) -> str:
    """Render a table; the text ends with a line break.

    Raises:
        InputError: when the format is unknown.
    """
    if format_name not in FORMATS:
        raise InputError(unknown_name("format", format_name, FORMATS))
    return FORMATS[format_name](table)


def as_text(table: Table) -> str:
    """Render for a terminal, in the table's natural width whatever the terminal's; `*` marks the best."""
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown = []
    for place, column in enumerate(table.columns):
        title = wrapped(printable(column.title), TITLE_WIDTH)
        entries = [row[place] for row in table.rows]
        shown.append(_aligned(entries, max(map(len, title))) if column.is_number else [_marked(one) for one in entries])
        side: Literal["left", "right"] = "right" if column.is_number else "left"
        grid.add_column(Text("\n".join(title), justify=side), no_wrap=True)
    for number, row in enumerate(zip(*shown, strict=True), start=1):
        grid.add_row(*map(Text, row), end_section=number in table.block_starts)
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
    return "\n".join([*lines, "", *map(_note, table.notes)]) + "\n"


def as_markdown(table: Table) -> str:
    """Render as a Markdown table with the notes below."""
    frame = pd.DataFrame(
        [[_markdown_entry(entry) for entry in row] for row in table.rows],
        columns=[_escape_markdown(column.title) for column in table.columns],
        dtype=object,
    )
    align = ["right" if column.is_number else "left" for column in table.columns]
    grid = frame.to_markdown(index=False, disable_numparse=True, colalign=align if table.rows else None)
    notes = "\n\n".join(_markdown_note(note) for note in table.notes)
    return f"**{_escape_markdown(table.title)}**\n\n{grid}\n\n{notes}\n"


def as_csv(table: Table) -> str:
    """Render as CSV, one line for each cell with all of its numbers at full precision; notes are left out.

    A text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([_csv_cell(name) for name in (table.lines[0] if table.lines else ())])
    for line in table.lines:
        writer.writerow([_csv_cell(value) for value in line.values()])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Render as JSON: the selection rule, every cell with its numbers and trials, and every comparison."""
    data = {"schema_version": SCHEMA_VERSION, **table.data, "notes": list(table.notes)}
    return json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
    "html": as_html,
}


def _aligned(entries: list[Entry], width: int) -> list[str]:
    """Write a column's numbers under each other, their marks behind them; `width` is that of the title."""
    marks_width = max((len(_marked(entry)) - len(printable(entry.text)) for entry in entries), default=0)
    width = max([width - marks_width, *(len(printable(entry.text)) for entry in entries)])
    return [f"{' ' * (width - len(printable(entry.text)))}{_marked(entry)}" for entry in entries]


def _marked(entry: Entry) -> str:
    return printable(entry.text) + (BEST if entry.is_best else "") + entry.mark


def _note(note: str) -> str:
    return textwrap.fill(
        printable(note), NOTE_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _markdown_entry(entry: Entry) -> str:
    text = _escape_markdown(entry.text)
    return (f"**{text}**" if entry.is_best else text) + entry.mark


def _markdown_note(text: str) -> str:
    """Escape a note apart from what it quotes as code."""
    parts = re.split(r"(`[^`]+`)", printable(text))
    return "".join(part if number % 2 else _escape_markdown(part) for number, part in enumerate(parts))


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|`*_<>\[\]&~])", r"\\\1", printable(text))


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if value.lstrip(" ").startswith(FORMULA_STARTS) else text
    return repr(value)
