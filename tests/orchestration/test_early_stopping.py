"""Settings are stopped early, not seeds: by Tune's rules, over means of seeds, never around the start of averaging."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from orchestration.decisions import Entry, Retried, Stopped
from orchestration.early_stopping import EarlyStopping, Member, member_of, stops
from selfish_core.resolve import resolve
from selfish_core.sparsity.updater import MaskUpdater
from selfish_core.training.loop import Training
from sweeps.sections import EarlyStoppingPart

WORST = 500.0
EPOCHS = 9
ASHA = EarlyStoppingPart(rule="asha", grace_epochs=1, reduction_factor=2)
MEDIAN = EarlyStoppingPart(rule="median", grace_epochs=2, min_groups=2)
BOTH = pytest.mark.parametrize("part", [ASHA, MEDIAN], ids=["asha", "median"])
Curves = Mapping[str, list[float]]


def members(*groups: str, seeds: int = 3, may_average: bool = False) -> dict[str, Member]:
    return {f"{group}{seed}": Member(group, WORST, may_average) for group in groups for seed in range(seeds)}


def metrics(perplexity: float, **more: float) -> dict[str, float]:
    return {"val_perplexity": perplexity, **more}


def run(early: EarlyStopping, curves: Curves) -> dict[str, int]:
    """Train side by side, epoch by epoch; return content key -> the epoch with which it was stopped."""
    ended: dict[str, int] = {}
    for epoch in range(1, EPOCHS + 1):
        for key in sorted(curves):
            if key not in ended and epoch <= len(curves[key]):
                for stopped in early.report(key, epoch, metrics(curves[key][epoch - 1])):
                    ended[stopped] = epoch
    return ended


def falling(start: float) -> list[float]:
    return [start * 0.9**epoch for epoch in range(EPOCHS)]


@BOTH
def test_the_bad_settings_are_stopped_and_never_the_best(part: EarlyStoppingPart) -> None:
    starts = {"a": 100.0, "b": 120.0, "c": 300.0, "d": 350.0, "e": 400.0}
    curves = {f"{group}{seed}": falling(start + seed) for group, start in starts.items() for seed in range(3)}
    ended = run(EarlyStopping(part, EPOCHS, members(*starts), {}), curves)
    assert {key[0] for key in ended} & {"a"} == set()
    assert {"d", "e"} <= {key[0] for key in ended}
    assert all(epoch < EPOCHS for epoch in ended.values())


@BOTH
def test_the_seeds_of_a_setting_are_stopped_together(part: EarlyStoppingPart) -> None:
    curves = {
        f"{group}{seed}": falling(start * (1 + 0.3 * seed))
        for group, start in {"a": 100.0, "b": 150.0, "c": 250.0, "d": 300.0}.items()
        for seed in range(3)
    }
    ended = run(EarlyStopping(part, EPOCHS, members("a", "b", "c", "d"), {}), curves)
    assert ended
    for group in {key[0] for key in ended}:
        assert len({ended[f"{group}{seed}"] for seed in range(3)}) == 1


def test_a_lucky_seed_saves_no_setting_and_an_unlucky_one_costs_none() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b"), {})
    for seed, perplexity in enumerate([90, 100, 200]):
        assert early.report(f"a{seed}", 1, metrics(perplexity)) == frozenset()
    for seed, perplexity in enumerate([60, 300, 300]):
        stopped = early.report(f"b{seed}", 1, metrics(perplexity))
    assert stopped == {"b0", "b1", "b2"}


def test_nothing_is_judged_before_the_slowest_seed_is_there() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b"), {})
    for seed in range(3):
        early.report(f"a{seed}", 1, metrics(100))
    for epoch in range(1, EPOCHS + 1):
        assert early.report("b0", epoch, metrics(400)) == frozenset()
        assert early.report("b1", epoch, metrics(400)) == frozenset()
    assert early.report("b2", 1, metrics(400)) == {"b0", "b1", "b2"}
    assert early.stopped == dict.fromkeys(["b0", "b1", "b2"], 1)


def test_a_seed_that_was_given_up_is_waited_for_no_more_until_it_reports_again() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b"), {})
    for seed in range(3):
        early.report(f"a{seed}", 1, metrics(100))
    early.report("b0", 1, metrics(400))
    early.leave("b2")
    early.report("b2", 1, metrics(10))
    assert early.report("b1", 1, metrics(10)) == {"b0", "b1", "b2"}  # the mean is 140: above the rung's 100
    again = EarlyStopping(ASHA, EPOCHS, members("a", "b"), {})
    for seed in range(3):
        again.report(f"a{seed}", 1, metrics(100))
    again.leave("b2")
    again.report("b0", 1, metrics(400))
    assert again.report("b1", 1, metrics(400)) == {"b0", "b1"}


def test_a_diverged_seed_counts_as_a_model_that_knows_nothing() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b"), {})
    for seed in range(3):
        early.report(f"a{seed}", 1, metrics(100))
    early.report("b0", 1, {"train_perplexity": math.nan})  # no validation perplexity: it diverged
    early.report("b1", 1, metrics(60))
    assert early.report("b2", 1, metrics(60)) == {"b0", "b1", "b2"}


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e308])
@BOTH
def test_no_number_that_is_not_finite_reaches_the_rule(
    bad: float, part: EarlyStoppingPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = EarlyStopping(part, EPOCHS, members("a", "b", "c", seeds=1), {})
    seen: list[float] = []
    real = early._scheduler.on_trial_result

    def watched(controller: Any, trial: Any, result: dict[str, float]) -> Any:
        seen.append(result["val_perplexity"])
        return real(controller, trial, result)

    monkeypatch.setattr(early._scheduler, "on_trial_result", watched)
    run(early, {"a0": falling(100), "b0": [bad] * EPOCHS, "c0": falling(90)})
    assert seen
    assert max(seen) <= WORST


def averaging(from_epoch: int) -> list[dict[str, float]]:
    """Records whose averaging was triggered by the evaluation of the epoch before `from_epoch`."""
    return [metrics(400, is_averaging=float(epoch >= from_epoch)) for epoch in range(1, EPOCHS + 1)]


@pytest.mark.parametrize("first_averaged", range(2, EPOCHS))
@pytest.mark.parametrize("grace", range(1, EPOCHS - 1))
@pytest.mark.parametrize("rule", ["asha", "median"])
def test_no_decision_falls_in_the_triggers_epoch_or_the_next(rule: Any, grace: int, first_averaged: int) -> None:
    """Whichever seed it is that starts to average."""
    more = {"reduction_factor": 1.2} if rule == "asha" else {"min_groups": 1}
    part = EarlyStoppingPart(rule=rule, grace_epochs=grace, **more)
    early = EarlyStopping(part, EPOCHS, members("a", "b", seeds=2, may_average=True), {})
    for epoch in range(1, EPOCHS + 1):
        for key in ("a0", "a1"):
            early.report(key, epoch, metrics(100, is_averaging=0))
    for epoch in range(1, EPOCHS + 1):
        early.report("b0", epoch, metrics(400, is_averaging=0))
        early.report("b1", epoch, averaging(first_averaged)[epoch - 1])
    judged = early.stopped.get("b0")
    assert judged not in (first_averaged - 1, first_averaged)
    if {grace, grace + 1} & {first_averaged - 1, first_averaged} == set() and grace < EPOCHS - 1:
        assert judged == grace


def test_a_setting_that_may_average_is_judged_one_epoch_later_by_the_same_evaluation() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b", seeds=1, may_average=True), {})
    early.report("a0", 1, metrics(100, is_averaging=0))
    early.report("a0", 2, metrics(90, is_averaging=0))
    assert early.report("b0", 1, metrics(400, is_averaging=0)) == frozenset()
    assert early.report("b0", 2, metrics(1, is_averaging=0)) == {"b0"}
    assert early.stopped == {"b0": 1}


def test_an_epoch_that_may_not_be_selected_is_not_judged() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b", seeds=1), {})
    early.report("a0", 1, metrics(100))
    early.report("a0", 2, metrics(90))
    assert early.report("b0", 1, metrics(400, is_selectable=0)) == frozenset()
    assert early.report("b0", 2, metrics(400, is_selectable=1)) == {"b0"}


def test_nothing_is_stopped_after_the_last_epoch_that_is_looked_at() -> None:
    part = EarlyStoppingPart(rule="median", grace_epochs=1, max_epochs=3, min_groups=1)
    early = EarlyStopping(part, EPOCHS, members("a", "b", seeds=1), {})
    run(early, {"a0": falling(100)})
    assert run(early, {"b0": [50, 50, 50, *([450.0] * 6)]}) == {}


@BOTH
def test_after_a_crash_the_same_is_stopped_as_without_one(part: EarlyStoppingPart) -> None:
    """The rules' state follows from what was recorded, in whatever order, and from what was stopped."""
    rng = random.Random(1)
    starts = {name: rng.uniform(80, 400) for name in "abcdefgh"}
    curves = {
        f"{name}{seed}": falling(start * rng.uniform(0.9, 1.1)) for name, start in starts.items() for seed in (0, 1)
    }
    group_members = members(*starts, seeds=2)
    order = [(epoch, key) for key in sorted(curves) for epoch in range(1, EPOCHS + 1)]
    order.sort(key=lambda pair: pair[0] + 2 * (pair[1] > "d"))  # later settings run two epochs behind
    undisturbed = EarlyStopping(part, EPOCHS, group_members, {})
    live = EarlyStopping(part, EPOCHS, group_members, {})
    recorded: dict[str, list[dict[str, float]]] = {key: [] for key in curves}
    for count, (epoch, key) in enumerate(order):
        if key in live.stopped and key in undisturbed.stopped:
            continue
        found = metrics(curves[key][epoch - 1])
        recorded[key].append(found)
        assert live.report(key, epoch, found) == undisturbed.report(key, epoch, found)
        if count % 5 == 0:
            again = EarlyStopping(part, EPOCHS, group_members, dict(live.stopped))
            again.replay(dict(reversed(recorded.items())))
            live = again
    assert undisturbed.stopped
    assert live.stopped == undisturbed.stopped


def test_a_record_that_comes_by_again_changes_nothing() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b", "c", seeds=1), {})
    for key, perplexity in (("a0", 100), ("b0", 90)):
        early.report(key, 1, metrics(perplexity))
        assert early.report(key, 1, metrics(499)) == frozenset()
    assert early.report("c0", 1, metrics(89)) == frozenset()


def test_a_seed_that_comes_late_ends_where_its_setting_was_stopped() -> None:
    decided = dict.fromkeys(["b0", "b1"], 3)
    early = EarlyStopping(ASHA, EPOCHS, members("b"), decided)
    assert early.report("b2", 1, metrics(100)) == frozenset()
    assert early.report("b2", 2, metrics(100)) == frozenset()
    assert early.report("b2", 3, metrics(100)) == {"b2"}


def test_a_trial_that_people_want_to_run_is_judged_no_more() -> None:
    stopped = Stopped(trials=("b0", "b1"), epoch=1, rule="asha")
    entries = [Entry(1, stopped), Entry(2, Retried(request=1, trial="b0")), Entry(3, Retried(request=2, trial=None))]
    decided = stops(entries)
    assert decided == {"b0": None, "b1": 1}
    early = EarlyStopping(ASHA, EPOCHS, members("a", "b", seeds=2), decided)
    for epoch in range(1, EPOCHS + 1):
        assert early.report("b0", epoch, metrics(400)) == frozenset()
    live = EarlyStopping(ASHA, EPOCHS, members("a", "b", seeds=2), {"b0": 1, "b1": 1})
    live.spare("b0")
    assert live.report("b0", 5, metrics(400)) == frozenset()
    assert live.stopped == {"b1": 1}


def test_what_is_of_no_setting_is_passed_over() -> None:
    early = EarlyStopping(ASHA, EPOCHS, members("a"), {})
    assert early.report("nobody", 1, metrics(1)) == frozenset()


def test_seeds_share_a_setting_and_nothing_else_does() -> None:
    raw: dict[str, Any] = {
        "method": "set",
        "sparsity": 0.5,
        "corpus": "synthetic",
        "architecture": {"name": "stacked_lstm", "hidden_size": 8, "embedding_size": 8},
        "optimizer": {"name": "adam"},
    }
    one, two = (member_of(resolve({**raw, "seed": seed}, epochs=4)) for seed in (1, 2))
    other = member_of(resolve({**raw, "sparsity": 0.6, "seed": 1}, epochs=4))
    assert one == two
    assert one.group != other.group
    assert (one.worst, one.may_average) == (507, False)


@pytest.mark.parametrize(("optimizer", "may"), [("sgd", False), ("adam", False), ("nt_asgd", True), ("snt_asgd", True)])
def test_only_an_optimizer_with_a_trigger_may_average(optimizer: str, may: bool) -> None:
    raw = {
        "method": "set",
        "sparsity": 0.5,
        "corpus": "synthetic",
        "architecture": {"name": "stacked_lstm", "hidden_size": 8, "embedding_size": 8},
        "optimizer": {"name": optimizer, "learning_rate": 1.0},
        "seed": 1,
    }
    assert member_of(resolve(raw, epochs=4)).may_average is may


def test_what_is_judged_was_measured_before_the_epochs_mask_update(
    tiny_trial: Any, tiny_corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[tuple[str, float]] = []
    evaluate, update = Training._loss, MaskUpdater.update

    def evaluated(self: Training, rows: Any) -> float:
        loss = evaluate(self, rows)
        order.append(("evaluated", loss))
        return loss

    def updated(self: MaskUpdater, *args: Any) -> Any:
        order.append(("updated", math.nan))
        return update(self, *args)

    monkeypatch.setattr(Training, "_loss", evaluated)
    monkeypatch.setattr(MaskUpdater, "update", updated)
    training = Training(tiny_trial("set", "sgd"), tiny_corpus, torch.device("cpu"))
    found = training.run_epoch().metrics
    assert [what for what, _ in order] == ["evaluated", "evaluated", "updated"]  # validation, test, masks
    assert found["num_mask_updates"] == 1.0
    assert found["val_perplexity"] == pytest.approx(math.exp(order[0][1]))


def test_the_epoch_before_the_first_averaged_record_is_the_triggers(
    tiny_trial: Any, tiny_corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records show a trigger one epoch late: the reason for the delay of one epoch."""
    losses = iter([5.0, 9.9, 4.0, 9.9, 6.0, 3.0, 9.9])  # a test loss, 9.9, follows each new minimum
    monkeypatch.setattr(Training, "_loss", lambda self, rows: next(losses))
    config = tiny_trial("selfish", "snt_asgd")
    training = Training(config, tiny_corpus, torch.device("cpu"))
    fired = []
    real = training.optimizer.end_epoch
    monkeypatch.setattr(training.optimizer, "end_epoch", lambda loss: fired.append(real(loss)) or fired[-1])
    records = [training.run_epoch().metrics for _ in range(4)]
    assert fired.index(True) == 2
    assert [record["is_averaging"] for record in records] == [0, 0, 0, 1]
    assert member_of(config).may_average
