"""Every figure is drawn in both forms, twice with the same bytes, and says in one line what it lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping

import plotly.graph_objects as go
import pytest
from support import made_evidence

from results.evidence import Evidence
from results.figures import interactive, paper
from results.figures.model import Figure
from results.figures.options import FigureOptions
from results.figures.registry import FIGURES, build
from selfish_core.errors import InputError

DPI = 40


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


@pytest.fixture(scope="module")
def drawn(sweep: Evidence) -> Mapping[str, Figure]:
    found = {}
    for name, kind in FIGURES.items():
        where = {"method": "set", "sparsity": "0.8"} if name == "gate-densities" else {}
        if kind.made_of == "searched":
            options = FigureOptions(searched=made_evidence.searched())
            found[name] = build(name, made_evidence.search_evidence(), options)
        else:
            options = FigureOptions(where=where, distances=made_evidence.distances(sweep))
            found[name] = build(name, sweep, options)
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_it_is(name: str, drawn: Mapping[str, Figure]) -> None:
    figure = drawn[name]
    assert figure.name == name
    assert figure.title
    assert figure.caption.endswith(".")
    assert figure.panels
    assert 1 <= figure.num_columns <= len(figure.panels)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_on_paper_whenever_it_is_drawn(name: str, drawn: Mapping[str, Figure]) -> None:
    first, second = (paper.render(drawn[name], "pdf") for _ in range(2))
    assert first.startswith(b"%PDF")
    assert b"/FontType 42" in first or b"/Subtype /Type0" in first or b"/CIDFontType2" in first
    assert first == second
    assert b"CreationDate" not in first


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_picture_with_its_caption_inside(name: str, drawn: Mapping[str, Figure]) -> None:
    picture = paper.render(drawn[name], "png", dpi=DPI)
    assert picture.startswith(b"\x89PNG")
    assert b"Description" in picture
    assert b"Software" not in picture


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_what_plotly_takes(name: str, drawn: Mapping[str, Figure]) -> None:
    for columns in (None, 1):
        spec = interactive.to_plotly(drawn[name], columns)
        go.Figure(json.loads(json.dumps(spec, allow_nan=False)))
        assert len(spec["data"]) >= len(drawn[name].panels)


@pytest.mark.parametrize("name", FIGURES)
def test_a_sweep_that_has_begun_nothing_is_told_so_in_one_line(name: str, sweep: Evidence) -> None:
    empty = Evidence(sweep.spec, sweep.trials, sweep.frame.iloc[:0])
    with pytest.raises(InputError) as told:
        build(name, empty)
    assert len(str(told.value).splitlines()) == 1
    assert "made" in str(told.value)
