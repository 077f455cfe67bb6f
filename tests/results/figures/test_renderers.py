"""What both renderers make of a figure: formats, the page that needs no network, texts that cannot break out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from support import made_evidence
from support.pictures import TOLERANCE, difference

from results.evidence import Evidence
from results.figures import build, interactive, paper
from results.figures.model import Figure, Panel, Series
from results.figures.options import FigureOptions
from selfish_core.errors import InputError


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


@pytest.fixture(scope="module")
def figure(sweep: Evidence) -> Figure:
    return build("perplexity-sparsity", sweep)


def test_a_users_matplotlib_settings_change_nothing(figure: Figure) -> None:
    import matplotlib as mpl

    before = paper.render(figure, "png", dpi=40)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        assert paper.render(figure, "png", dpi=40) == before
        assert mpl.rcParams["font.size"] == 30


def test_a_pdf_has_its_fonts_as_truetype_and_no_date(figure: Figure) -> None:
    written = paper.render(figure, "pdf")
    assert b"/FontFile2" in written
    assert b"/Type3" not in written
    assert b"CreationDate" not in written


def test_an_svg_has_no_date_and_no_network(figure: Figure) -> None:
    written = paper.render(figure, "svg")
    assert b"<dc:date" not in written
    assert b"<svg" in written
    assert paper.render(figure, "svg") == written


def test_an_unknown_format_is_refused_with_the_nearest(figure: Figure, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown picture format 'pgn'.*did you mean 'png'"):
        paper.save(figure, tmp_path / "a.pgn")
    assert not list(tmp_path.iterdir())


def test_a_page_is_whole_and_asks_no_network(figure: Figure) -> None:
    from plotly.offline import get_plotlyjs

    page = interactive.to_html(figure)
    ours = page.replace(get_plotlyjs(), "")
    assert page == interactive.to_html(figure)
    assert len(ours) < 30_000
    assert "http" not in ours
    assert "src=" not in ours
    assert figure.caption in ours


def test_texts_cannot_end_the_script_they_stand_in(figure: Figure) -> None:
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    evil = replace(panel.series[1], name="</script><img src=x onerror=alert(1)>")
    made = replace(figure, title="</title><b>", panels=(replace(panel, series=(evil,)),))
    page = interactive.to_html(made)
    assert "</script><img" not in page
    assert "</title><b>" not in page


def test_names_are_shown_as_they_are(figure: Figure) -> None:
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    odd = replace(panel.series[1], name="<b>a & $b^$</b>", texts=tuple("<i>" for _ in panel.series[1].x))
    made = replace(figure, panels=(replace(panel, series=(odd,)),))
    (trace,) = [one for one in interactive.to_plotly(made)["data"] if "text" in one]
    assert trace["name"] == "&lt;b&gt;a &amp; $b^$&lt;/b&gt;"
    assert set(trace["text"]) == {"&lt;i&gt;"}
    assert paper.render(made, "png", dpi=40)  # where matplotlib reads formulas, this one is wrong


def test_the_json_is_one_line_of_sorted_keys_and_has_the_numbers(figure: Figure) -> None:
    text = interactive.to_json(figure)
    spec = json.loads(text)
    assert "\n" not in text
    assert json.dumps(spec, sort_keys=True, ensure_ascii=False) == text
    (static,) = [one for one in spec["data"] if one["name"] == "static" and one.get("mode") == "lines+markers"]
    assert static["y"] == pytest.approx([110.0, 120.0])


def test_a_band_goes_there_along_its_upper_end_and_back_along_its_lower(sweep: Evidence) -> None:
    spec = interactive.to_plotly(build("perplexity-sparsity", sweep, FigureOptions(band="std")))
    (band,) = [one for one in spec["data"] if one["name"] == "static" and one.get("fill") == "toself"]
    assert band["x"] == [0.5, 0.8, 0.8, 0.5]
    assert band["y"] == pytest.approx([111.0, 121.0, 119.0, 109.0])
    assert not band["showlegend"]


def test_a_name_has_one_entry_in_the_legend_whatever_the_panels(sweep: Evidence) -> None:
    spec = interactive.to_plotly(build("learning-curves", sweep))
    entries = [one["name"] for one in spec["data"] if one.get("showlegend")]
    assert len(entries) == len(set(entries)) == 8
    assert {"averaging begins", "mask updates"} <= set(entries)


def test_panels_stand_below_each_other_on_a_narrow_screen(sweep: Evidence) -> None:
    figure = build("learning-curves", sweep)
    wide, narrow = interactive.to_plotly(figure)["layout"], interactive.to_plotly(figure, 1)["layout"]
    assert wide["xaxis2"]["domain"][0] > wide["xaxis"]["domain"][1]
    assert narrow["xaxis2"]["domain"] == narrow["xaxis"]["domain"] == [0.0, 1.0]
    assert narrow["yaxis2"]["domain"][1] < narrow["yaxis"]["domain"][0]
    assert narrow["height"] > wide["height"]


def test_a_moved_curve_is_seen_and_a_shift_by_one_pixel_is_not(figure: Figure, tmp_path: Path) -> None:
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    moved = tuple(_lowered(one) if one.name == "static" else one for one in panel.series)
    other = replace(figure, panels=(replace(panel, series=moved),))
    first, shifted, changed = (tmp_path / f"{name}.png" for name in ("first", "shifted", "changed"))
    paper.save(figure, first)
    ImageChops.offset(Image.open(first).convert("RGB"), 1, 1).save(shifted)
    paper.save(other, changed)
    assert difference(first, first) == 0.0
    assert 0.0 < difference(first, shifted) < TOLERANCE < difference(first, changed)


def _lowered(series: Series) -> Series:
    return replace(series, y=tuple(value - 5.0 for value in series.y), low=(), high=())
