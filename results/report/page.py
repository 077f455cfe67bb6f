"""One HTML file that tells a sweep: it opens without a network, and what people named in it is text, never markup.

Three walls stand between a hostile name and a reader: the template escapes all that is put into it, characters that
steer or reorder text are written as escapes, and the page's own policy runs no script but the ones that were put in
here, by their SHA-256, and asks nothing of any network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from results.evidence import Evidence
from results.report import headline, provenance
from results.report.drawing import Drawings
from results.report.facts import Facts
from results.tables.metrics import selection_rule
from results.tables.model import Column, Entry, Table
from results.tables.words import printable

FOLDER = Path(__file__).parent / "page"

SECTIONS = {
    "summary": "Summary",
    "tables": "Tables",
    "figures": "Figures",
    "failures": "Failures",
    "missing": "What is missing",
    "provenance": "Provenance",
    "spec": "Spec",
}
CODES = frozenset({"key", "code version", "data hash", "repeated by"})
"""Titles of columns that machines read."""
REPEATING = "FOLDER in a command is a new trial store, so that what is stored stays as it is."
PROSE = frozenset({"message", "verdict"})
"""Titles of columns whose lines may break."""


@dataclass(frozen=True)
class Tile:
    """One fact of the summary."""

    name: str
    value: str


def build(evidence: Evidence, tables: Sequence[Table], figures: Drawings, facts: Facts) -> str:
    """Write the report of a sweep; the same trials give the same text.

    Args:
        evidence: what is recorded of the sweep.
        tables: to be shown, the most important first.
        figures: from `results.report.drawing.draw`.
        facts: what the sweep decided, and which commands go on.
    """
    spec = evidence.spec
    script = _file("report.js")
    plotly = _plotly() if figures.drawn else ""
    scripts = [script, plotly] if plotly else [script]
    template = _environment().get_template("report.html.jinja")
    return template.render(
        name=spec.name,
        description=spec.description,
        sections=SECTIONS,
        policy=policy(scripts),
        style=Markup(_file("report.css")),
        script=Markup(script),
        plotly=Markup(plotly),
        figure_data=embedded({figure.name: figure.plotly for figure in figures.drawn}),
        headline=headline.make(evidence, facts.stopped),
        tiles=_tiles(evidence, facts),
        tables=tables,
        figures=figures,
        facts=facts,
        failures=provenance.failures(facts),
        divergences=provenance.divergences(evidence, facts),
        missing=provenance.missing(evidence, facts),
        provenance=provenance.provenance(evidence, facts),
        selection=f"What a trial shows: its {selection_rule([spec.table.metric], [spec.epochs]).partition(';')[0]}.",
        repeating=REPEATING if any("FOLDER" in trial.repeat for trial in facts.trials) else "",
        spec_text=_lines(spec.text.decode("utf-8", errors="replace")),
    )


def policy(scripts: Iterable[str]) -> str:
    """Return the policy of a page: no network, and no script but these.

    Args:
        scripts: the texts of the page's scripts, as they stand in it.
    """
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def embedded(data: Any) -> Markup:
    r"""Write JSON that is safe inside a script element, whatever texts it holds; numbers that are none become null.

    >>> str(embedded({"a": "</script>", "b": float("nan")}))
    '{"a":"\\u003c/script\\u003e","b":null}'
    """
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def kind_of(column: Column) -> str:
    """Return the class of a column's cells."""
    if column.title in CODES:
        return "code"
    if column.title in PROSE:
        return "prose"
    return "number" if column.is_number else ""


def sort_value(entry: Entry) -> Markup:
    """Return the attribute by which a cell is sorted: its number; none where its text will do."""
    if isinstance(entry.value, str):
        return Markup("")
    value = "" if entry.value is None else _javascript_number(float(entry.value))
    return Markup(' data-value="{}"').format(value)


def coded(text: str) -> Markup:
    """Write what stands between two backticks as code.

    >>> str(coded("`a < b`, says c"))
    '<code>a &lt; b</code>, says c'
    """
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(printable(text)))))


def _javascript_number(value: float) -> str:
    if math.isnan(value):
        return ""
    return repr(value) if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters |= {"kind": kind_of, "sort_value": sort_value, "coded": coded}
    return environment


def _harmless(value: Any) -> Any:
    """Write what steers or reorders text as escapes; what is markup already is ours."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> Markup:
    """Make a text of several lines harmless, line by line."""
    return escape("\n".join(printable(line) for line in text.splitlines()))


def _tiles(evidence: Evidence, facts: Facts) -> list[Tile]:
    spec = evidence.spec
    versions = {one for text in evidence.concluded["code_version"] for one in str(text).split(",") if one}
    return [
        Tile("trials", f"{len(facts.trials):,}"),
        *(Tile(state, f"{number:,}") for state, number in facts.counts.items()),
        *([Tile("to be chosen", f"{facts.num_to_choose:,}")] if facts.num_to_choose else []),
        Tile("epochs of each", f"{spec.epochs:,}"),
        Tile("seeds", f"{len(spec.seeds):,}"),
        Tile("failures", f"{sum(one.number for one in facts.failures):,}"),
        Tile("code versions", f"{len(versions):,}"),
    ]


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(name): _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
