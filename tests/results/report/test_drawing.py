"""The numbers of a figure as a table, and which figures a report has."""

from __future__ import annotations

import math

import pytest

from results.evidence import Evidence
from results.figures.model import Axis, Coordinates, Dimension, Figure, Heatmap, Marks, Panel, Rug, Series
from results.figures.styles import style_of_method
from results.report import drawing
from results.report.drawing import draw, numbers

EPOCH = Axis("epoch", False, (0, 3), ())
PERPLEXITY = Axis("perplexity", True, (50, 100), ())
STYLE = style_of_method("set")


def figure(*panels: Panel | Heatmap | Coordinates) -> Figure:
    return Figure("kind", "A title", "A caption.", "", panels)


def texts(table: drawing.Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def test_numbers_of_curves_bands_marks_and_events() -> None:
    curve = Series("set", STYLE, (1.0, 2.0), (90.0, math.nan), (89.0, math.nan), (91.5, math.nan))
    marks = Marks("averaging begins", STYLE, (2.0,), (80.0,), ("",))
    panel = Panel("", EPOCH, PERPLEXITY, (curve,), (marks,), (Rug("mask update", "set", STYLE, (1.0,)),))
    table = numbers(figure(panel))[0]
    assert table.title == "A title"
    assert [column.title for column in table.columns] == ["series", "epoch", "perplexity", "low", "high"]
    assert texts(table) == [
        ["set", "1", "90", "89", "91.5"],
        ["set", "2", "–", "–", "–"],
        ["averaging begins", "2", "80", "–", "–"],
        ["mask update: set", "1", "–", "–", "–"],
    ]
    assert [entry.value for entry in table.rows[0]] == ["set", 1.0, 90.0, 89.0, 91.5]


def test_numbers_of_a_matrix() -> None:
    matrix = Heatmap("seeds", ("a", "b"), ("a", "b"), ((0.0, 0.25), (0.25, math.nan)), "distance")
    table = numbers(figure(matrix))[0]
    assert [column.title for column in table.columns] == ["distance", "a", "b"]
    assert texts(table) == [["a", "0", "0.25"], ["b", "0.25", "–"]]


def test_numbers_of_parallel_coordinates() -> None:
    panel = Coordinates("", (Dimension(EPOCH, (1.0, 2.0)), Dimension(PERPLEXITY, (90.0, 80.0))), ("one", "two"))
    assert texts(numbers(figure(panel))[0]) == [["one", "1", "90"], ["two", "2", "80"]]


def test_very_many_numbers_are_cut_and_it_is_said() -> None:
    many = tuple(float(number) for number in range(drawing.MAX_ROWS + 5))
    table = numbers(figure(Panel("", EPOCH, PERPLEXITY, (Series("set", STYLE, many, many),))))[0]
    assert len(table.rows) == drawing.MAX_ROWS
    assert table.notes == ("The first 2,000 of 2,005 rows; the records have all.",)


def test_figures_that_the_records_do_not_allow_say_why(evidence: Evidence) -> None:
    pytest.importorskip("results.figures.interactive")
    from results.figures.registry import FIGURES

    drawings = draw(evidence)
    titles = [title for title, _ in drawings.left_out]
    assert len(drawings.drawn) + len(titles) == len(FIGURES)
    assert "learning-curves" in [one.name for one in drawings.drawn]
    assert FIGURES["search-importance"].title in titles
    assert all(reason for _, reason in drawings.left_out)
    assert all(one.numbers and {"data", "layout"} <= set(one.plotly) for one in drawings.drawn)
