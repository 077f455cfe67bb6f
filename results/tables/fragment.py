"""A table as a fragment of HTML: one `<table class="selfish">` with its caption, and the notes; no script, no style."""

from __future__ import annotations

from html import escape

from results.tables.model import Column, Entry, Table
from results.tables.words import printable


def as_html(table: Table) -> str:
    """Render as HTML; `data-value` holds what a column is sorted by."""
    lines = ['<table class="selfish">', f"<caption>{_escaped(table.title)}</caption>", "<thead>", "<tr>"]
    lines += [f'<th scope="col"{_class(column)}>{_escaped(column.title)}</th>' for column in table.columns]
    lines += ["</tr>", "</thead>", "<tbody>"]
    for number, row in enumerate(table.rows):
        if number in table.block_starts:
            lines += ["</tbody>", "<tbody>"]
        cells = (_cell(entry, column) for entry, column in zip(row, table.columns, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines += ["</tbody>", "</table>", '<ul class="selfish-notes">']
    lines += [f"<li>{_escaped(note)}</li>" for note in table.notes]
    return "\n".join([*lines, "</ul>"]) + "\n"


def _cell(entry: Entry, column: Column) -> str:
    text = f"<strong>{_escaped(entry.text)}</strong>" if entry.is_best else _escaped(entry.text)
    mark = f"<sup>{_escaped(entry.mark)}</sup>" if entry.mark else ""
    value = "" if entry.value is None else f' data-value="{_escaped(str(entry.value))}"'
    return f"<td{_class(column)}{value}>{text}{mark}</td>"


def _class(column: Column) -> str:
    return ' class="number"' if column.is_number else ""


def _escaped(text: str) -> str:
    return escape(printable(text))
