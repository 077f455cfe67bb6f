"""The report as a document: its parts, what people named in it, its colours, and that it needs nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pages import Element, read

import results.report.page as page_module
from results.evidence import Evidence
from results.report.drawing import Drawings
from results.report.facts import Facts, TrialFact
from results.report.page import SECTIONS, build, embedded, policy, sort_value
from results.tables.model import Entry

Report = Callable[..., str]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&\x1b[31m\u202e\u2066</table>"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
CSS = (Path(page_module.__file__).parent / "page" / "report.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plotly() -> str:
    return "/* stands for the library */"


@pytest.fixture(autouse=True)
def _small_plotly(monkeypatch: pytest.MonkeyPatch, plotly: str) -> None:
    """Five megabytes of library say nothing about the page."""
    monkeypatch.setattr(page_module, "_plotly", lambda: plotly)


@pytest.fixture
def page(report: Report) -> Element:
    return read(report())


def test_every_element_closes_and_ids_are_unique(page: Element) -> None:
    ids = [element.attributes["id"] for element in page.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("title").text == "small: report of a sweep"


def test_landmarks_and_links_within_the_page(page: Element) -> None:
    for tag in ("header", "nav", "main", "footer"):
        assert page.one(tag)
    targets = [link.attributes["href"] for link in page.all("a")]
    assert targets[0] == "#main"
    assert targets[1:] == [f"#{name}" for name in SECTIONS]
    for target in targets:
        page.by_id(target.removeprefix("#"))
    for element in page.walk():
        for name in ("aria-labelledby", "aria-describedby"):
            if name in element.attributes:
                assert page.by_id(element.attributes[name]).text.strip()


def test_headings_go_down_one_step_at_a_time(page: Element) -> None:
    levels = [int(element.tag[1]) for element in page.walk() if re.fullmatch("h[1-6]", element.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_table_scrolls_by_itself_and_every_heading_is_a_button(page: Element) -> None:
    tables = page.all("table")
    assert len(tables) >= 5
    for table in tables:
        assert table.parent is not None
        assert table.parent.attributes["class"] == "scroll"
        assert table.parent.attributes["tabindex"] == "0"
        assert table.parent.attributes["aria-label"]
        headings = table.one("thead").all("th")
        assert all(heading.attributes["aria-sort"] == "none" for heading in headings)
        assert all(heading.one("button").attributes["type"] == "button" for heading in headings)
        assert all(len(row.children) == len(headings) for row in table.all("tr"))


def test_figures_have_captions_and_numbers(page: Element) -> None:
    figure = page.one("figure")
    assert "Mean over seeds" in figure.one("figcaption").text
    assert figure.one("details").one("table").all("td")[0].text.strip() == "90"
    assert [button.text for button in figure.all("button")[:4]] == ["Zoom in", "Zoom out", "Show all", "Save as SVG"]
    data = json.loads(page.by_id("figure-data").text)
    assert data["curves"]["data"][1]["y"] == [95.0, None, 91.0]
    assert "Distances dense: no masks are stored dense" in page.by_id("figures").text


def test_without_figures_there_is_no_library(evidence: Evidence, make_facts: Callable[..., Facts]) -> None:
    html = build(evidence, [], Drawings(), make_facts(evidence))
    assert len(read(html).all("script")) == 1
    assert len(html) < 60_000


def test_nothing_is_asked_from_outside(report: Report) -> None:
    html = report()
    for element in read(html).walk():
        assert element.tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "svg")
        for name in ("src", "href", "action", "srcset", "poster", "background"):
            assert element.attributes.get(name, "#").startswith("#")
    assert not re.search(r"url\(|@import", CSS)
    assert not re.search(r"https?://", html)


def test_the_policy_names_each_script_and_no_network(report: Report) -> None:
    root = read(report())
    metas = [meta.attributes for meta in root.all("meta")]
    told = next(meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy")
    rules = {rule.split()[0]: rule.split()[1:] for rule in told.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:", "blob:"]
    scripts = [script.text for script in root.all("script") if "type" not in script.attributes]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert sorted(rules["script-src"]) == sorted(f"'sha256-{digest}'" for digest in digests)
    assert not {"http:", "https:", "*"} & {word for words in rules.values() for word in words}


def test_the_policy_of_an_empty_script() -> None:
    assert "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; " in policy([""])


def test_hostile_texts_are_text(report: Report) -> None:
    html = report(HOSTILE, description=json.dumps("<b>bold</b> & more"))
    root = read(html)
    assert len(root.all("script")) == 3
    assert not root.all("img")
    assert not root.all("b")
    assert not [name for element in root.walk() for name in element.attributes if name.startswith("on")]
    assert STEERING.search(html) is None
    visible = root.by_id("tables").text
    assert "<script>alert(1)</script>" in visible
    assert r"\x1b[31m\u202e\u2066" in visible
    assert "<b>bold</b> & more" in root.one("header").text


def test_embedded_json_cannot_leave_its_script() -> None:
    data = {"name": "</script><!--<script>", "values": (1.0, float("inf")), "deep": [{"x": float("nan")}]}
    text = str(embedded(data))
    assert "<" not in text
    assert json.loads(text) == {"name": data["name"], "values": [1.0, None], "deep": [{"x": None}]}


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (1.5, ' data-value="1.5"'),
        (None, ' data-value=""'),
        (float("nan"), ' data-value=""'),
        (float("-inf"), ' data-value="-Infinity"'),
        (True, ' data-value="1.0"'),
        ("dense", ""),
    ],
)
def test_cells_are_sorted_by_their_numbers(value: float | str | None, attribute: str) -> None:
    assert str(sort_value(Entry("–", value))) == attribute


def test_the_same_trials_give_the_same_bytes(report: Report) -> None:
    assert report() == report(is_reversed=True)


def test_failures_are_told_with_class_message_and_command(page: Element) -> None:
    told = page.by_id("failures").text
    for words in ("out_of_memory", "no memory dense", "node-1", "selfish logs small KEY"):
        assert words in told
    assert len(page.by_id("failures-table").one("tbody").all("tr")) == 1


def test_what_is_missing_is_told_with_the_command_that_runs_it(page: Element) -> None:
    told = page.by_id("missing").text
    assert "selfish run small.yaml" in told
    rows = [row.cells for row in page.by_id("missing-table").one("tbody").all("tr")]
    assert sorted(row[1:3] for row in rows) == [["failed", "0/3"], ["to run", "0/3"]]
    assert "1 of the settings" in page.by_id("summary").text


def test_a_finished_sweep_misses_nothing(report: Report) -> None:
    values = {"dense": (80.0, 81.0, 82.5), "static": (90.0, 91.5, 92.0), "set": (85.0, 86.0, 87.0)}
    root = read(report(values=values))
    assert "every trial of the sweep is answered" in root.by_id("missing").text
    assert root.by_id("failures").text.split()[-3:] == ["No", "trial", "failed."]


def test_divergence_is_told_as_a_result(evidence: Evidence, make_facts: Callable[..., Facts]) -> None:
    facts = make_facts(evidence)
    lost = TrialFact(evidence.trials[0].key, "dense, seed 1", "diverged", 2, "step 7: loss is nan")
    html = build(evidence, [], Drawings(), Facts((lost, *facts.trials[1:]), (), "run", "logs"))
    row = read(html).by_id("divergences-table").one("tbody").one("tr")
    assert "step 7: loss is nan" in row.text
    assert "2/3" in row.text


def test_provenance_has_every_trial_and_its_command(page: Element, evidence: Evidence) -> None:
    rows = page.by_id("provenance-table").one("tbody").all("tr")
    assert len(rows) == len(evidence.trials) == 9
    told = {row.cells[9]: row.cells[1:] for row in rows}
    first = told[evidence.trials[0].key]
    assert first[:6] == ["1", "answered", "3/3", "3", "80.00", "0123456789ab"]
    assert re.fullmatch("[0-9a-f]{12}", first[6])
    assert first[7] == "F1"
    assert first[9] == f"selfish run small.yaml --rerun {evidence.trials[0].key[:12]}"
    assert "F1: device=cpu, torch=2.13" in page.by_id("provenance").text


def test_the_spec_stands_as_it_was_read(page: Element, evidence: Evidence) -> None:
    assert page.by_id("spec").one("pre").text == evidence.spec.text.decode().rstrip("\n")


def palettes() -> list[tuple[str, dict[str, str]]]:
    """The colours of the light page, of the dark one, and of print from either."""
    roots = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", root)) for root in roots)
    return [("light", light), ("dark", light | dark), ("print", light | paper), ("dark print", light | dark | paper)]


def luminance(color: str) -> float:
    """Source: W3C, Web Content Accessibility Guidelines 2.2, 2023: relative luminance."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("name", "colors"), palettes())
def test_every_text_stands_out(name: str, colors: dict[str, str]) -> None:
    for ground in ("paper", "raised", "hover"):
        for text in ("ink", "muted", "accent"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (name, text, ground)
    assert contrast(colors["ink"], colors["notice"]) >= 4.5


def test_no_color_stands_outside_the_palettes() -> None:
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl", rules)
