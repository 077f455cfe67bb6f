"""What cannot be asked of a figure is refused in one line, before anything is read."""

from __future__ import annotations

import pytest

from results import figures
from results.figures.options import FigureOptions
from results.figures.registry import FIGURES, check
from selfish_core.errors import InputError


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("learnin-curves", FigureOptions(), r"unknown figure 'learnin-curves'.*did you mean 'learning-curves'\?"),
        ("learning-curves", FigureOptions(metric="val_perplexiti"), r"unknown metric.*did you mean 'val_perplexity'\?"),
        ("gate-densities", FigureOptions(metric="val_perplexity"), "no choice of metric"),
        ("learning-curves", FigureOptions(by="methd"), r"unknown field 'methd'.*did you mean 'method'\?"),
        ("learning-curves", FigureOptions(where={"methd": "set"}), r"unknown field 'methd'"),
        ("learning-curves", FigureOptions(band="sdt"), r"unknown band 'sdt'.*did you mean 'std'\?"),
        ("topology-matrix", FigureOptions(band="std"), "no means over seeds"),
        ("search-importance", FigureOptions(by="method"), "leave --by and --where out"),
    ],
)
def test_a_wrong_choice_is_refused_with_what_is_allowed(name: str, options: FigureOptions, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        check(name, options)
    assert len(str(error.value).splitlines()) == 1


def test_the_package_offers_the_figures_without_importing_any_at_first() -> None:
    assert figures.FIGURES is FIGURES
    with pytest.raises(AttributeError, match="no attribute 'FIGURE'"):
        _ = figures.FIGURE


def test_every_figure_can_be_listed_in_one_line() -> None:
    for name, kind in FIGURES.items():
        assert name == name.lower()
        assert kind.title
        assert kind.description
        assert "\n" not in kind.description
