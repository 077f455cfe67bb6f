"""What the report says first, on values worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from results.evidence import Evidence
from results.report import headline

MakeEvidence = Callable[..., Evidence]
CLEAR = {"dense": (80.0, 81.0, 82.5), "static": (90.0, 91.2, 92.7), "set": (100.0, 101.3, 103.0)}


def test_a_clear_winner_is_called_significant(make_evidence: MakeEvidence) -> None:
    said = headline.make(make_evidence(values=CLEAR))
    assert said.metric == "test perplexity"
    assert said.best is not None
    assert (said.best.setting, said.best.value) == ("dense, sparsity 0.0", "81.17")
    assert said.best.spread == "Mean of 3 seeds; 95 % interval 78.04 to 84.29."
    assert said.best.verdict == "significantly best: p below 0.001"
    assert said.best.nearest == ""
    assert said.num_open == said.num_pooled == 0


def test_each_column_has_a_best_of_its_own(make_evidence: MakeEvidence) -> None:
    rows = headline.make(make_evidence(values=CLEAR)).by_column.rows
    told = [[entry.text for entry in row] for row in rows]
    assert [row[:3] for row in told] == [["0.0", "dense", "81.17"], ["0.5", "static", "91.30"]]
    assert told[0][3] == "nothing to compare with"
    assert told[1][3] == "significantly best: p below 0.001"


def test_close_settings_stay_open_and_name_the_nearest(make_evidence: MakeEvidence) -> None:
    close = {"dense": (80.0, 82.0, 81.0), "static": (80.5, 81.0, 82.5), "set": (100.0, 101.3, 103.0)}
    best = headline.make(make_evidence(values=close)).best
    assert best is not None
    assert best.verdict.startswith("not significantly best: 1 of 2 comparisons are open at α = 0.05")
    assert re.fullmatch(r"Nearest is static, sparsity 0\.5: ratio 0\.996, p = 0\.\d{3}\.", best.nearest)


def test_the_nearest_has_seeds_in_common_where_one_has(make_evidence: MakeEvidence) -> None:
    apart = {"dense": (80.0, 82.0, 81.0), "set": (80.2, 82.3, 80.9), "static": (80.5, 81.0, 82.5)}
    evidence = make_evidence(values=apart)
    is_set = evidence.concluded["config.method"] == "set"
    evidence.concluded.loc[is_set, "config.seed"] = [7, 8, 9]
    best = headline.make(evidence).best
    assert best is not None
    assert best.nearest.startswith("Nearest is static, sparsity 0.5: ratio ")


def test_an_unfinished_setting_is_counted_and_not_compared(make_evidence: MakeEvidence) -> None:
    said = headline.make(make_evidence(values=CLEAR | {"dense": (80.0, 81.0)}))
    assert said.best is not None
    assert said.best.setting == "static, sparsity 0.5"
    assert said.best.verdict == "significantly best of those that have finished: p below 0.001"
    assert [row[3].text for row in said.by_column.rows] == ["significantly best: p below 0.001"]
    assert said.num_open == 1


def test_a_setting_that_was_stopped_early_is_not_waited_for(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(values=CLEAR | {"set": (100.0,)})
    stopped = {trial.key for trial in evidence.trials if trial.config.method == "set"}
    assert headline.make(evidence).num_open == 1
    assert headline.make(evidence, stopped).num_open == 0


def test_a_cell_of_several_settings_is_counted_and_not_compared(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(values=CLEAR)
    is_static = evidence.concluded["config.method"] == "static"
    is_first = evidence.concluded["config.seed"] == 1
    evidence.concluded.loc[is_static & is_first, "config.optimizer.learning_rate"] = 7.0
    said = headline.make(evidence)
    assert said.num_pooled == 1
    assert said.best is not None
    assert [row[1].text for row in said.by_column.rows] == ["dense", "set"]


def test_an_infinite_perplexity_is_left_out(make_evidence: MakeEvidence) -> None:
    said = headline.make(make_evidence(values=CLEAR | {"set": (100.0, float("inf"), 101.0)}))
    assert said.best is not None
    assert said.best.setting == "dense, sparsity 0.0"


@pytest.mark.parametrize("dense", [(), (80.0,)])
def test_without_a_finished_setting_nothing_is_claimed(make_evidence: MakeEvidence, dense: tuple[float, ...]) -> None:
    said = headline.make(make_evidence(values={"dense": dense, "static": (), "set": ()}))
    assert said.best is None
    assert said.by_column.rows == ()
