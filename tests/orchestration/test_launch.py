"""How a job becomes trainable configs and placements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from orchestration import launch
from orchestration.breaker import Breaker
from orchestration.cluster import Capacity
from orchestration.conductor import Conductor, Situation, Start
from orchestration.feed import EndedByError
from orchestration.job import Finished, Job, Started, as_line, first_line, read_event
from orchestration.launch import Configs
from selfish_core.errors import StoreError
from selfish_core.store.wishes import Wishes


def make_job(**parts: Any) -> Job:
    given = {"sweep": "s", "trials": {}, "epochs": 3, "cpu": 1, "gpu": 0, "store": "x", "data": None, "scratch": "y"}
    return Job(**{**given, **parts})


def configs(job: Job) -> Configs:
    situation = Situation(Wishes(), frozenset(job.trials))
    return Configs(job, Capacity(cpu=8, gpu=2), Conductor([*job.trials], situation, Breaker(1.0), lambda _: None))


def test_a_job_survives_its_line(make_trial: Callable[..., Any], tmp_path: Path) -> None:
    trial = make_trial()
    job = make_job(trials={trial.key: trial.config.to_dict()}, cpu=2.5, store=str(tmp_path))
    line = as_line(job)
    assert line.count(b"\n") == 1
    assert Job.model_validate_json(line) == job
    assert job.setting()["threads"] == 2
    assert job.setting()["device"] == "cpu"


def test_the_trainable_takes_what_a_job_gives(make_trial: Callable[..., Any]) -> None:
    from selfish_core.trainable import FIELDS

    trial = make_trial()
    job = make_job(trials={trial.key: trial.config.to_dict()}, gpu=1)
    assert {*job.setting(), *configs(job).of(Start(trial.key))} == FIELDS
    assert job.setting()["device"] == "auto"


def test_a_canary_is_told_its_steps_and_a_trial_none() -> None:
    made = configs(make_job(trials={"a": {}}, canary_steps=4))
    assert made.of(Start("a", is_canary=True))["canary_steps"] == 4
    assert made.of(Start("a"))["canary_steps"] == 0


@pytest.mark.parametrize(
    ("job", "start", "amounts"),
    [
        ({"cpu": 2}, Start("a"), {"CPU": 2, "GPU": 0}),
        ({"cpu": 2}, Start("a", is_alone=True), {"CPU": 8, "GPU": 0}),
        ({"gpu": 0.25}, Start("a"), {"CPU": 1, "GPU": 0.25}),
        ({"gpu": 0.25}, Start("a", is_alone=True), {"CPU": 1, "GPU": 1}),
        ({"gpu": 2}, Start("a", is_alone=True), {"CPU": 1, "GPU": 2}),
        ({"gpu": 1}, Start("a", share=0.2), {"CPU": 1, "GPU": 0.2}),
    ],
)
def test_a_trial_asks_for_its_share_or_for_a_device_alone(
    job: dict[str, Any], start: Start, amounts: dict[str, float]
) -> None:
    placement = configs(make_job(trials={"a": {}}, **job)).of(start)["placement"]
    assert placement == {"amounts": amounts, "labels": {}}
    assert launch._placement_group({"placement": placement}).bundles == [
        {name: amount for name, amount in amounts.items() if amount}
    ]


def test_every_start_of_a_trial_has_a_folder_of_its_own() -> None:
    trial = SimpleNamespace(config={"keys": ["abc"]}, trial_id="1_0001")
    assert (launch._name(trial), launch._folder(trial)) == ("abc", "abc-1_0001")


def test_canaries_fly_where_there_is_much_to_lose(make_trial: Callable[..., Any]) -> None:
    many = {str(seed): make_trial(seed=seed).config.to_dict() for seed in range(1, 9)}
    few = dict(list(many.items())[:7])
    assert launch._canaries(make_job(trials=many, canary_steps=2)).next() == "1"
    assert launch._canaries(make_job(trials=few, canary_steps=2)).next() is None
    assert launch._canaries(make_job(trials=few, canary_steps=2, is_packed=True)).next() == "1"
    assert launch._canaries(make_job(trials=many, canary_steps=0)).next() is None


def test_events_survive_their_lines() -> None:
    for event in (Finished(), Started(cpu=2)):
        assert read_event(as_line(event)) == event
    with pytest.raises(ValidationError):
        read_event(b'{"kind": "other"}')


def test_an_exception_is_told_by_its_own_first_line() -> None:
    assert first_line(StoreError("the disk is gone\nand more")) == "StoreError: the disk is gone"
    assert first_line(ValueError()) == "ValueError"


def test_the_process_that_ended_is_read_from_ray_s_text() -> None:
    assert EndedByError("died\n\tactor_id: 0a1b\n\tpid: 3").actor_id == "0a1b"
    assert EndedByError("a traceback").actor_id is None
