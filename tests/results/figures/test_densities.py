"""Densities of gates and layers: by hand, in the model's order, each gate in one style."""

from __future__ import annotations

import pytest
from support import made_evidence

from results.evidence import Evidence
from results.figures import build
from results.figures.model import Panel
from results.figures.options import FigureOptions
from selfish_core.errors import InputError


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


def test_a_row_of_panels_has_the_layers_of_one_setting(sweep: Evidence) -> None:
    figure = build("gate-densities", sweep, FigureOptions(where={"method": "set", "sparsity": "0.80"}))
    assert figure.num_columns == 2
    assert [panel.title for panel in figure.panels] == [
        f"set, removal rate {rate}: lstm{layer}" for rate in (0.3, 0.5) for layer in (0, 1)
    ]


def test_gates_stand_in_the_models_order_with_their_densities(sweep: Evidence) -> None:
    where = {"method": "set", "sparsity": "0.5", "sparsity.removal_rate": "0.3"}
    panel = build("gate-densities", sweep, FigureOptions(where=where)).panels[0]
    assert isinstance(panel, Panel)
    assert [one.name for one in panel.series] == ["input", "forget", "cell", "output"]
    assert panel.series[3].y == pytest.approx((0.515, 0.53, 0.545, 0.56))
    assert len({one.style for one in panel.series}) == 4


def test_settings_whose_densities_never_change_are_named_and_left_out(sweep: Evidence) -> None:
    figure = build("gate-densities", sweep)
    assert "dense; static, sparsity 0.5; static, sparsity 0.8" in figure.caption
    with pytest.raises(InputError, match="gates whose densities change"):
        build("gate-densities", sweep, FigureOptions(where={"method": "static"}))


def test_more_panels_than_can_be_read_are_refused(sweep: Evidence) -> None:
    wide = made_evidence.SPEC.replace("num_layers: 2", "num_layers: 5")
    with pytest.raises(InputError, match=r"40 panels.*--where"):
        build("gate-densities", made_evidence.evidence(text=wide))


def test_a_layers_density_is_that_of_its_gates_by_their_size() -> None:
    def uneven(trial: made_evidence.Trial, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        gates = {"input": 0.1, "forget": 0.2, "cell": 0.3, "output": 0.4}
        return metrics | {f"gate_density.lstm1.{gate}": value for gate, value in gates.items()}

    where = {"method": "static", "sparsity": "0.5"}
    (panel,) = build("layer-densities", made_evidence.evidence(uneven), FigureOptions(where=where)).panels
    assert isinstance(panel, Panel)
    assert [label for _, label in panel.x.ticks] == ["embedding", "lstm0", "lstm1", "decoder"]
    assert panel.series[0].y == pytest.approx((0.5, 0.5, 0.25, 0.5))


def test_dense_settings_have_no_layer_densities(sweep: Evidence) -> None:
    with pytest.raises(InputError, match="no sparse setting"):
        build("layer-densities", sweep, FigureOptions(where={"method": "dense"}))
