"""Tables in six formats: the same bytes everywhere, and no name that a terminal, a sheet or a page would act on."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestration.options import FORMATS as OFFERED
from results.tables.model import Column, Entry, Table
from results.tables.render import FORMATS, render
from selfish_core.errors import InputError

SCRIPT = """
import sys
from results.tables.model import Column, Entry, Table
from results.tables.render import FORMATS, render
head = (Column("method ± x", is_number=False), Column("test perplexity (mean ± std)"))
rows = tuple((Entry(f"m{i}", f"m{i}"), Entry(f"{i / 3:.2f} ± 1.00", i / 3, i == 2, "†")) for i in range(4))
lines = tuple({"method": f"m{i}", "mean": i / 3, "is_best": i == 2} for i in range(4))
table = Table("quick", head, rows, ("note ≤ 3",), (2,), lines, {"cells": [i / 3 for i in range(4)]})
for name in FORMATS:
    sys.stdout.buffer.write(render(table, name).encode())
"""

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "a\x1b[31mred",
    "x|y",
    "50%_{$&#}",
    "[b]x[/b]",
    'q"uo,te',
    "<script>alert(1)</script>",
    "`ls` **x**",
]


class Reader(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_same_bytes_in_every_environment() -> None:
    root = Path(__file__).parents[3]
    names = ("TERM", "COLUMNS", "LANG", "LC_ALL", "TZ")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    dumb = {"TERM": "dumb", "COLUMNS": "20", "LC_ALL": "C", "TZ": "Asia/Tokyo", "NO_COLOR": "1", "PYTHONHASHSEED": "7"}
    wide = {"TERM": "xterm-256color", "COLUMNS": "300", "LC_ALL": "de_DE.UTF-8", "FORCE_COLOR": "1"}
    words = [sys.executable, "-c", SCRIPT]
    outputs = {
        subprocess.run(words, env=plain | extra, cwd=root, check=True, stdout=subprocess.PIPE, timeout=120).stdout
        for extra in (dumb, wide)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    line = {"name": text}
    table = Table(
        text, (Column("name", is_number=False),), ((Entry(text, text),),), (text,), (), (line,), {"name": text}
    )
    rendered = {name: render(table, name) for name in FORMATS}
    assert all("\x1b" not in shown for shown in rendered.values())
    (cell,) = list(csv.reader(io.StringIO(rendered["csv"])))[1]
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t"))
    assert json.loads(rendered["json"])["name"] == text
    assert rendered["markdown"].count("|") - rendered["markdown"].count("\\|") == 6
    grid = rendered["latex"].split(r"\midrule")[1]
    assert "50%" not in grid
    assert "_{$" not in grid
    reader = Reader()
    reader.feed(rendered["html"])
    assert reader.tags == ["table", "caption", "thead", "tr", "th", "tbody", "tr", "td", "ul", "li"]
    if text.isprintable():
        assert text.strip() in rendered["text"]
        assert reader.texts.count(text) == 3


def test_the_command_line_offers_the_formats_that_there_are() -> None:
    assert tuple(OFFERED) == tuple(FORMATS)


def test_markdown_shows_the_code_of_a_note_as_code() -> None:
    table = Table("t", (Column("name"),), ((Entry("x"),),), ("add_it: `seeds: [1, 2]`, or ` not",))
    assert render(table, "markdown").endswith("\n\nadd\\_it: `seeds: [1, 2]`, or \\` not\n")


def test_a_table_shows_itself_in_a_notebook() -> None:
    table = Table("t", (Column("name"),), ((Entry("x"),),), ("a note",), data={"name": "x"})
    assert table._repr_html_() == render(table, "html")
    assert "a note" not in repr(table)


def test_an_unknown_format_lists_the_known() -> None:
    with pytest.raises(InputError, match="unknown format 'markdwn': known are csv, html, json, latex, markdown, text"):
        render(Table("t", (), (), ()), "markdwn")


def test_titles_break_between_words_only() -> None:
    head = (Column("sparsity.redistribution magnitude"), Column("a b c"))
    shown = render(Table("t", head, ((Entry("1.00", 1.0), Entry("2.00", 2.0)),), ()), "text").splitlines()
    assert [line.split() for line in shown[2:4]] == [["sparsity.redistribution"], ["magnitude", "a", "b", "c"]]


def test_numbers_stand_under_each_other_with_their_marks_behind() -> None:
    rows = ((Entry("9.00", 9.0, True, "†"),), (Entry("10.00", 10.0),), (Entry("2/3", None, False, "†"),))
    shown = render(Table("t", (Column("x"),), rows, ()), "text").splitlines()
    assert shown[4:7] == [" 9.00*†", "10.00", "  2/3†"]


def test_latex_numbers_are_siunitx_s_and_texts_are_not() -> None:
    rows = ((Entry("12,345"), Entry("1.50e+09 ± 0.10e+09 (3)"), Entry("2/3"), Entry("80.12 (1, 1 diverged)")),)
    shown = render(Table("t", tuple(Column(name) for name in "abcd"), rows, ()), "latex")
    assert (
        r"\num{12345} & \num{1.50e+09} \ensuremath{\pm} \num{0.10e+09} (3) & 2/3 & \num{80.12} (1, 1 diverged)" in shown
    )


def test_latex_takes_brackets_and_hyphens_for_what_they_are() -> None:
    shown = render(Table("t", (Column("a", is_number=False),), ((Entry("[1] --json ---"),),), ()), "latex")
    assert "{[}1{]} -{}-json -{}-{}-" in shown


def test_markdown_takes_no_entity_and_no_strikethrough() -> None:
    assert r"a \&copy; \~\~b" in render(Table("a &copy; ~~b", (Column("a"),), (), ()), "markdown")


def test_csv_writes_numbers_whole_and_words_for_truth() -> None:
    line = {"a": 1 / 3, "b": True, "c": None, "d": 3}
    assert render(Table("t", (), (), (), (), (line,)), "csv") == "a,b,c,d\n0.3333333333333333,true,,3\n"
