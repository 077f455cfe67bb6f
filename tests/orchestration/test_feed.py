"""What passes between Tune and the conductor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from orchestration import feed as module
from orchestration.breaker import Breaker
from orchestration.canaries import Canaries
from orchestration.conductor import Conductor, Situation, Start
from orchestration.decisions import AnyDecision
from orchestration.feed import Feed, Glance, Halt, Watch
from selfish_core.store.wishes import Wishes
from selfish_core.trial_store import TrialStore

HELD = frozenset({"a", "b"})
NOW = Situation(Wishes(), HELD)


def make(*keys: str, decided: list[AnyDecision] | None = None, **parts: Any) -> Conductor:
    kept: list[AnyDecision] = [] if decided is None else decided
    return Conductor(keys, NOW, Breaker(1.0), kept.append, **parts)


def glance(conductor: Conductor, situation: Situation = NOW) -> Glance:
    return Glance(conductor, lambda _running: situation)


def as_config(start: Start) -> dict[str, Any]:
    return {"keys": [start.key]}


def test_tune_gets_what_may_start_then_nothing_for_now_then_the_end() -> None:
    conductor = make("a")
    feed = Feed(conductor, glance(conductor), as_config)
    assert feed.suggest("t1") == {"keys": ["a"]}
    assert feed.suggest("t2") is None
    conductor.record("a", 1, {}, node="", is_over=True)
    assert feed.suggest("t3") == Searcher.FINISHED


def test_a_shortage_is_waited_for_though_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    conductor = make("a")
    short = Feed(conductor, glance(conductor, Situation(Wishes(), HELD, "no space")), as_config)
    assert short.suggest("t1") is None
    assert Feed(conductor, glance(conductor), as_config).suggest("t2") == {"keys": ["a"]}


def test_nobody_looks_around_all_the_time() -> None:
    conductor = make("a")
    looking = glance(conductor, Situation(Wishes("pause"), HELD))
    assert not looking.take()
    assert conductor.situation == NOW


def test_a_record_goes_to_the_conductor_and_ends_the_trial_with_its_last() -> None:
    conductor = make("a")
    conductor.next()
    halt = Halt(conductor)
    result = {"key": "a", "epoch": 1, "val_perplexity": 9.0, "node_ip": "10.0.0.1", "done": False}
    assert not halt("t1", result)
    assert halt("t1", {**result, "epoch": 2, "done": True})
    assert not halt.stop_all()


def test_a_canary_s_report_lets_its_trials_go() -> None:
    conductor = make("a", canaries=Canaries({"a": "g"}))
    assert conductor.next() == Start("a", is_canary=True)
    report = {"key": "a", "canary": True, "architecture": "gru", "peak_bytes": 1, "device_bytes": 9, "done": True}
    assert Halt(conductor)("t1", report)
    assert conductor.next() == Start("a")


@pytest.mark.parametrize(("canary_steps", "kinds"), [(0, ["failed"]), (3, ["canary", "failed"])])
def test_a_failure_is_read_from_what_tune_wrote(
    store: TrialStore, tmp_path: Any, canary_steps: int, kinds: list[str]
) -> None:
    decided: list[AnyDecision] = []
    conductor = make("a", decided=decided, canaries=Canaries({"a": "g"} if canary_steps else {}))
    conductor.next()
    (tmp_path / "error.txt").write_text(
        "Failure # 1 (occurred at noon)\nolder\nFailure # 2 (occurred at one)\n"
        "ray::X.step() (pid=1, ip=10.0.0.7)\nTraceback (most recent call last):\nCorpusError: corpus ptb: gone\n"
    )
    config = {"keys": ["a"], "canary_steps": canary_steps, "trial": {"architecture": {"name": "gru"}}}
    trial: Any = SimpleNamespace(error_file=str(tmp_path / "error.txt"), config=config, trial_id="t1")
    Watch(conductor, glance(conductor), store).on_trial_error(1, [trial], trial)
    assert [decision.kind for decision in decided] == kinds
    assert decided[-1].failure == "data"
    assert decided[-1].node == "10.0.0.7"


def test_a_trial_runs_from_when_a_worker_begins_with_it_and_a_canary_never(store: TrialStore) -> None:
    decided: list[AnyDecision] = []
    conductor = make("a", decided=decided)
    conductor.next()
    watch = Watch(conductor, glance(conductor), store)
    assert decided == []
    for canary_steps in (3, 0):
        trial: Any = SimpleNamespace(config={"keys": ["a"], "canary_steps": canary_steps}, trial_id="t1")
        watch.on_trial_start(1, [trial], trial)
    assert [decision.kind for decision in decided] == ["running"]
