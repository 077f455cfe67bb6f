"""A search asks for points and is told what they are worth; killed anywhere, it goes on as if it had not been."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from orchestration.decisions import AnyDecision, Asked, Entry, Running, Told
from orchestration.search import AskedPoint, Search, value_of, worst_value
from selfish_core.errors import InputError
from selfish_core.records import Record
from sweeps import spec

BASE = """\
name: quadratic
epochs: 4
seeds: [1, 2]
base:
  method: set
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 16, embedding_size: 16}
  sparsity: 0.5
  optimizer: {learning_rate: 1}
"""
QUADRATIC = """\
search: {num_trials: 40, sampler: SAMPLER, seed: SEED}
axes:
  - grid:
      optimizer.learning_rate: {low: 0.01, high: 100, log: true}
      sparsity.removal_rate: {low: 0.0, high: 1.0}
      architecture.dropout: {low: 0.0, high: 0.9}
"""
CONDITIONAL = """\
search: {num_trials: 30, sampler: SAMPLER, seed: SEED}
axes:
  - grid:
      method: [static, set]
      sparsity.removal_rate: {low: 0.1, high: 0.9, step: 0.1, when: {method: set}}
      architecture.hidden_size: {low: 8, high: 64, log: true}
    list: [{sparsity: 0.5}, {sparsity: 0.8, training.batch_size: 5}]
"""
SMALL = """\
search: {num_trials: 12, sampler: SAMPLER, seed: SEED}
axes: [{grid: {sparsity: [0.5, 0.8], architecture.hidden_size: [8, 16]}}]
"""


class Kept:
    """Decisions as a trial store keeps them: through JSON."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __call__(self, decision: AnyDecision) -> None:
        again = type(decision).model_validate(json.loads(json.dumps(decision.model_dump(mode="json"))))
        self.entries.append(Entry(len(self.entries) + 1, again))


def read(text: str, *, sampler: str = "tpe", seed: int = 0) -> spec.Spec:
    text = (BASE + text).replace("SAMPLER", sampler).replace("SEED", str(seed))
    return spec.parse(text.encode(), Path("quadratic.yaml"))


def quadratic(asked: AskedPoint) -> float:
    rate = math.log10(float(asked.point["optimizer.learning_rate"] or 0))
    removal, dropout = asked.point["sparsity.removal_rate"], asked.point["architecture.dropout"]
    return 10 + ((rate - 0.7) / 2) ** 2 + (float(removal or 0) - 0.35) ** 2 + (float(dropout or 0) - 0.2) ** 2


def any_value(asked: AskedPoint) -> float:
    """A number that differs from point to point."""
    return 10 + (sum(int(key[:6], 16) for key in asked.keys) % 1000) / 10


def finish(search: Search, asked: AskedPoint, value: float | None) -> None:
    for key in asked.keys:
        search.over(key, value)


def best(sampler: str, seed: int, *, num_trials: int = 40) -> float:
    text = QUADRATIC.replace("num_trials: 40", f"num_trials: {num_trials}")
    search = Search(read(text, sampler=sampler, seed=seed), [], Kept())
    found = []
    while (asked := search.ask()) is not None:
        found.append(quadratic(asked))
        finish(search, asked, found[-1])
    assert num_trials - 2 <= len(found) <= num_trials  # a point at a corner may come twice, and runs once
    return min(found)


@pytest.mark.parametrize("seed", range(5))
def test_tpe_beats_random_on_a_quadratic(seed: int) -> None:
    assert best("tpe", seed) < best("random", seed)


def test_gp_beats_random_on_a_quadratic() -> None:
    assert best("gp", 0, num_trials=18) < best("random", 0, num_trials=18)


def points_of(kept: Kept) -> list[Any]:
    return [entry.decision.point for entry in kept.entries if isinstance(entry.decision, Asked)]


def drive(text: str, sampler: str, is_killed_at: Callable[[int], bool]) -> Kept:
    """Run a search three points at a time, the second oldest ending first; start it anew wherever it is killed."""
    sweep, kept = read(text, sampler=sampler), Kept()
    search, running = Search(sweep, kept.entries, kept), []
    for step in range(1000):
        if is_killed_at(step):
            search = Search(sweep, list(kept.entries), kept)
            first: dict[tuple[str, ...], AskedPoint] = {}
            for point in search.points:
                if not point.is_told:
                    first.setdefault(point.keys, point)
            running = list(first.values())
        asked = search.ask() if len(running) < 3 else None
        if asked is not None:
            running.append(asked)
        elif running:
            ended = running.pop(min(1, len(running) - 1))
            finish(search, ended, any_value(ended))
        else:
            break
    assert search.is_done
    return kept


@pytest.mark.parametrize("text", [QUADRATIC, CONDITIONAL, SMALL], ids=["quadratic", "conditional", "small"])
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_killed_anywhere_it_asks_for_the_same_points(text: str, sampler: str) -> None:
    undisturbed = drive(text, sampler, lambda step: False)
    assert drive(text, sampler, lambda step: True).entries == undisturbed.entries
    assert drive(text, sampler, lambda step: step % 7 == 3).entries == undisturbed.entries


def test_killed_gp_asks_for_the_same_points() -> None:
    text = QUADRATIC.replace("num_trials: 40", "num_trials: 13")
    undisturbed = drive(text, "gp", lambda step: False)
    assert drive(text, "gp", lambda step: True).entries == undisturbed.entries


def test_killed_between_two_decisions_it_still_comes_to_its_end() -> None:
    """Between the two of a duplicate too, which is asked for and told at once."""
    undisturbed = drive(SMALL, "tpe", lambda step: False)
    for length in range(len(undisturbed.entries) + 1):
        kept = Kept()
        kept.entries = list(undisturbed.entries[:length])
        search = Search(read(SMALL), list(kept.entries), kept)
        for point in search.points:
            if not point.is_told:
                finish(search, point, any_value(point))
        while (asked := search.ask()) is not None:
            finish(search, asked, any_value(asked))
        assert search.is_done
        told = {point.keys: point.value for point in search.points}
        assert all(point.value == told[point.keys] for point in search.points)
        assert len(points_of(kept)) == 12


def test_other_seeds_ask_for_other_points() -> None:
    first, second = (Search(read(QUADRATIC, seed=seed), [], Kept()).ask() for seed in (0, 1))
    assert first is not None
    assert second is not None
    assert first.point != second.point


def test_a_points_seeds_are_averaged_before_it_is_told() -> None:
    kept = Kept()
    search = Search(read(QUADRATIC), [], kept)
    asked = search.ask()
    assert asked is not None
    assert [trial.config.seed for trial in asked.trials] == [1, 2]
    search.over(asked.keys[1], 30.0)
    assert not any(isinstance(entry.decision, Told) for entry in kept.entries)
    search.over(asked.keys[0], 10.0)
    assert kept.entries[-1].decision == Told(number=0, value=20.0)
    search.over(asked.keys[0], 10.0)
    assert len(kept.entries) == 2


@pytest.mark.parametrize("bad", [math.inf, math.nan, 1e300])
def test_a_diverged_seed_counts_as_a_model_that_knows_nothing(bad: float) -> None:
    kept = Kept()
    search = Search(read(QUADRATIC), [], kept)
    asked = search.ask()
    assert asked is not None
    search.tell(0, [bad, 7.0])
    assert kept.entries[-1].decision == Told(number=0, value=(507 + 7) / 2)
    assert worst_value(asked.trials[0].config, "val_loss_nats") == math.log(507)


def test_a_failed_seed_is_left_out_and_a_failed_point_is_told_too() -> None:
    kept = Kept()
    search = Search(read(QUADRATIC), [], kept)
    assert search.ask() is not None
    search.tell(0, [None, 8.0])
    assert kept.entries[-1].decision == Told(number=0, value=8.0)
    assert search.ask() is not None
    search.tell(1, [None, None])
    assert kept.entries[-1].decision == Told(number=1, value=None)
    assert search.ask() is not None


def test_a_search_goes_on_where_everything_fails() -> None:
    search = Search(read(QUADRATIC), [], Kept())
    count = 0
    while (asked := search.ask()) is not None:
        count += 1
        finish(search, asked, None)
    assert (count, search.is_done) == (40, True)


def test_no_more_points_are_tried_at_once_than_the_spec_says() -> None:
    search = Search(read(QUADRATIC.replace("seed: SEED", "num_at_once: 2")), [], Kept())
    first, second = search.ask(), search.ask()
    assert first is not None
    assert second is not None
    assert search.ask() is None
    finish(search, first, 1.0)
    assert search.ask() is not None
    assert search.ask() is None


def test_the_same_point_is_run_once_and_told_twice() -> None:
    kept = Kept()
    search = Search(read(SMALL, sampler="random"), [], kept)
    asked = []
    while (point := search.ask()) is not None:
        asked.append(point)
    assert len({point.keys for point in asked}) == len(asked) <= 4
    for point in asked:
        finish(search, point, any_value(point))
    told = [entry.decision for entry in kept.entries if isinstance(entry.decision, Told)]
    assert sorted(decision.number for decision in told) == list(range(12))
    assert len({decision.value for decision in told}) == len(asked)
    assert search.is_done


def test_a_condition_says_where_a_field_is_set() -> None:
    search = Search(read(CONDITIONAL, sampler="random"), [], Kept())
    seen = set()
    while (asked := search.ask()) is not None:
        is_there = "sparsity.removal_rate" in asked.point
        assert is_there == (asked.point["method"] == "set")
        assert asked.trials[0].config.method == asked.point["method"]
        seen.add(is_there)
    assert seen == {True, False}


def test_ranges_keep_their_ends_steps_and_types() -> None:
    search = Search(read(CONDITIONAL, sampler="random"), [], Kept())
    steps = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
    while (asked := search.ask()) is not None:
        size = asked.point["architecture.hidden_size"]
        assert isinstance(size, int)
        assert 8 <= size <= 64
        assert asked.point.get("sparsity.removal_rate", 0.1) in steps
        assert {"sparsity", "training.batch_size"} & set(asked.point) in (
            {"sparsity"},
            {"sparsity", "training.batch_size"},
        )


def test_excluded_points_are_asked_for_anew() -> None:
    text = SMALL + "exclude: [{sparsity: 0.8, architecture.hidden_size: 8}, {sparsity: 0.5, seed: 2}]\n"
    kept = Kept()
    search = Search(read(text, sampler="random"), [], kept)
    found = []
    while (asked := search.ask()) is not None:
        found.append((asked.point["sparsity"], asked.point["architecture.hidden_size"], len(asked.trials)))
    assert sorted(found) == [(0.5, 8, 1), (0.5, 16, 1), (0.8, 16, 2)]
    assert {"sparsity": 0.8, "architecture.hidden_size": 8} not in points_of(kept)


def test_a_space_of_hardly_any_trials_is_given_up_in_one_line() -> None:
    text = SMALL + "exclude: [{sparsity: 0.5}]\n"
    sweep = read(text)
    hopeless = spec.parse(sweep.text.replace(b"exclude: [{sparsity: 0.5}]", b"exclude: [{method: set}]"), sweep.path)
    with pytest.raises(InputError, match="100 points in a row that the search chose are no trials: they are left out"):
        Search(hopeless, [], Kept()).ask()


def test_more_trials_go_on_from_what_is_known() -> None:
    kept = Kept()
    first = Search(read(QUADRATIC.replace("num_trials: 40", "num_trials: 3")), [], kept)
    while (asked := first.ask()) is not None:
        finish(first, asked, quadratic(asked))
    longer = Search(read(QUADRATIC.replace("num_trials: 40", "num_trials: 5")), kept.entries, kept)
    assert [point.number for point in longer.points] == [0, 1, 2]
    assert not longer.is_done
    asked = longer.ask()
    assert asked is not None
    assert asked.number == 3


def test_more_seeds_are_more_trials_of_the_same_points_and_tell_them_anew() -> None:
    kept = Kept()
    first = Search(read(QUADRATIC), [], kept)
    asked = first.ask()
    assert asked is not None
    finish(first, asked, 10.0)
    sweep = read(QUADRATIC)
    wider = spec.parse(sweep.text.replace(b"seeds: [1, 2]", b"seeds: [1, 2, 3]"), sweep.path)
    search = Search(wider, list(kept.entries), kept)
    assert [trial.config.seed for trial in search.trials] == [1, 2, 3]
    for key in search.points[0].keys:
        search.over(key, 16.0 if key not in asked.keys else 10.0)
    assert kept.entries[-1].decision == Told(number=0, value=12.0)


def test_points_that_the_space_has_no_more_are_forgotten_and_their_numbers_are_not_given_again() -> None:
    kept = Kept()
    kept(Asked(number=7, point={"optimizer.learning_rate": 1e9}, trials=("gone",)))
    kept(Told(number=7, value=1.0))
    kept(Running(trial="gone"))
    search = Search(read(QUADRATIC), list(kept.entries), kept)
    assert search.points == ()
    asked = search.ask()
    assert asked is not None
    assert asked.number == 8


def test_a_sweep_without_a_search_is_refused() -> None:
    with pytest.raises(InputError, match="has no search"):
        Search(read("axes: [{grid: {sparsity: [0.5]}}]"), [], Kept())


def test_nothing_of_the_search_is_in_a_trials_key() -> None:
    search = Search(read(SMALL), [], Kept())
    asked = search.ask()
    assert asked is not None
    values = ", ".join(f"{name}: {value}" for name, value in asked.point.items())
    from sweeps.expand import expand

    plain = expand(read(f"axes: [{{list: [{{{values}}}]}}]"))
    assert tuple(trial.key for trial in plain) == asked.keys


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def test_the_study_can_be_written_to_an_optuna_storage_again_and_again(storage: str) -> None:
    search = Search(read(CONDITIONAL), [], Kept())
    points = [search.ask() for _ in range(4)]
    for point, value in zip(points, (3.0, None), strict=False):
        assert point is not None
        finish(search, point, value)
    for _ in range(2):
        search.export_to(storage)
        study = optuna.load_study(study_name="quadratic", storage=storage)
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "RUNNING", "RUNNING"]
    assert points[0] is not None
    assert study.best_value == 3.0
    assert study.trials[0].params["architecture.hidden_size"] == points[0].point["architecture.hidden_size"]
    assert study.trials[0].user_attrs == {"number": 0, "trials": list(points[0].keys)}


def test_a_study_of_somebody_else_is_left_alone(storage: str) -> None:
    optuna.create_study(study_name="quadratic", storage=storage)
    with pytest.raises(InputError, match="another study 'quadratic'"):
        Search(read(QUADRATIC), [], Kept()).export_to(storage)
    assert optuna.get_all_study_names(storage) == ["quadratic"]


def test_a_storage_that_cannot_be_written_is_one_line_without_its_password() -> None:
    with pytest.raises(InputError) as caught:
        Search(read(QUADRATIC), [], Kept()).export_to("nonsense://user:secret@host/db")
    assert str(caught.value).startswith("the study cannot be written to nonsense://host/db: ")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def record(epoch: int, outcome: str = "trained", **metrics: float) -> Record:
    return Record.model_validate(
        {
            "key": "k",
            "attempt": 1,
            "epoch": epoch,
            "outcome": outcome,
            "metrics": metrics,
            "provenance": {"code_version": "x", "fingerprint": {}},
            "timing": {"started_ms": 0, "finished_ms": 1, "tokens_per_second": 1.0},
        }
    )


def test_a_trial_is_worth_its_selected_epoch() -> None:
    records = [
        record(1, val_perplexity=5.0, val_loss_nats=1.0, is_selectable=0.0),
        record(2, val_perplexity=8.0, val_loss_nats=2.0, is_selectable=1.0),
        record(3, val_perplexity=math.nan, val_loss_nats=2.0),
        record(4, val_perplexity=7.0, val_loss_nats=3.0),
        record(5, val_perplexity=7.0, val_loss_nats=4.0),
    ]
    assert value_of(records, "val_perplexity") == 7.0
    assert value_of(records, "val_loss_nats") == 3.0
    assert value_of(records[:1], "val_perplexity") is None
    assert value_of([], "val_perplexity") is None
    assert value_of([*records, record(6, "diverged")], "val_perplexity") == math.inf
