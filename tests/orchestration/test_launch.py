"""How a job becomes trainable configs, and what is told of a trial that failed in a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ray.exceptions import RayTaskError

from orchestration import launch
from orchestration.job import Finished, Job, TrialFailed, as_line, first_line, read_event
from selfish_core.errors import StoreError


def test_a_job_survives_its_line(make_trial: Callable[..., Any], tmp_path: Path) -> None:
    trial = make_trial()
    job = Job(
        sweep="s",
        trials={trial.key: trial.config.to_dict()},
        epochs=3,
        cpu=2.5,
        gpu=0,
        store=str(tmp_path),
        data=None,
        scratch="/tmp/x",
    )
    line = as_line(job)
    assert line.count(b"\n") == 1
    assert Job.model_validate_json(line) == job
    config = {**job.setting(), "trial": job.trials[trial.key]}
    assert launch._key(config) == trial.key
    assert config["threads"] == 2
    assert config["device"] == "cpu"


def test_the_trainable_takes_what_a_job_gives(make_trial: Callable[..., Any]) -> None:
    from selfish_core.trainable import FIELDS

    job = Job(sweep="s", trials={}, epochs=3, cpu=1, gpu=1, store="x", data=None, scratch="y")
    assert {*job.setting(), "keys", "trial"} == FIELDS
    assert job.setting()["device"] == "auto"


def test_events_survive_their_lines() -> None:
    for event in (Finished(), TrialFailed(key="a", message="two\nlines")):
        assert read_event(as_line(event)) == event
    with pytest.raises(ValidationError):
        read_event(b'{"kind": "other"}')


def test_a_worker_s_exception_is_told_by_its_own_first_line() -> None:
    raised = StoreError("the disk is gone\nand more")
    wrapped = RayTaskError("step", "a long traceback", raised).as_instanceof_cause()
    assert first_line(launch._cause(wrapped)) == "StoreError: the disk is gone"
    assert first_line(launch._cause(ValueError())) == "ValueError"
