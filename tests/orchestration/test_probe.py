"""What a node looks for before a sweep, and how what it lacks is told."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration import cluster, probe
from orchestration.job import Job
from orchestration.probe import Question, ask, look
from selfish_core.trial_store import TrialStore


@pytest.fixture
def job(store: TrialStore, make_trial: Any, tmp_path: Path) -> Job:
    trials = [make_trial(seed=1), make_trial(seed=2), make_trial(corpus={"name": "synthetic", "train_fraction": 0.5})]
    configs = {trial.key: trial.config.to_dict() for trial in trials}
    return Job(
        sweep="x", trials=configs, epochs=1, cpu=1, gpu=0, store=store.place, data=None, scratch=str(tmp_path / "run")
    )


@pytest.fixture
def question(job: Job) -> Question:
    return ask(job)


def changed(question: Question, **fields: Any) -> Question:
    return dataclasses.replace(question, **fields)


def published(job: Job, data: Path) -> Job:
    """The same on Penn Treebank, which is looked for in a folder."""
    trials = {key: {**config, "corpus": PTB} for key, config in list(job.trials.items())[:1]}
    return job.model_copy(update={"trials": trials, "data": str(data)})


PTB = {"name": "ptb", "train_fraction": 1.0}


def test_each_text_is_looked_for_once_whatever_part_of_it_is_read(question: Question) -> None:
    assert len(question.trials) == 1


def test_a_node_that_has_everything_lacks_nothing(question: Question) -> None:
    assert look(question) == []


def test_other_versions_are_told(question: Question) -> None:
    found = look(changed(question, code_version="abc", packages={"ray": "1.0", "no-such-package": "2.0"}))
    assert len(found) == 3
    assert found[0].endswith("the driver 1.0: install the same on all nodes")
    assert found[1].startswith("has no-such-package none, the driver 2.0")
    assert found[2].startswith("has version ")
    assert "of the code, the driver abc" in found[2]


def test_a_trial_store_that_is_not_there_or_another_one_is_told_and_none_is_made(
    question: Question, tmp_path: Path
) -> None:
    [absent] = look(changed(question, store=str(tmp_path / "else")))
    assert absent == f"trial store {tmp_path / 'else'} is not there: it must be a place that all nodes share"
    assert not (tmp_path / "else").exists()
    other = TrialStore.open(tmp_path / "other")
    [told] = look(changed(question, store=other.place))
    assert told.endswith(f"with id {other.store_id}, the driver's has {question.store_id}")


def test_a_trial_store_that_cannot_be_written_or_read_is_told(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(probe.os, "access", lambda *_: False)
        [told] = look(question)
        assert told == f"trial store {question.store} cannot be written there"
    (Path(question.store) / "store.json").write_text("{}")
    [told] = look(question)
    assert told.startswith(f"trial store {question.store} cannot be used: ")


def test_a_text_that_is_missing_is_told_and_not_downloaded(job: Job, tmp_path: Path) -> None:
    [told] = look(ask(published(job, tmp_path)))
    assert told.startswith("corpus ptb: train.txt, valid.txt, test.txt missing in ")


ON_A_CLUSTER = """
import json
import shutil
import sys
from pathlib import Path
from orchestration import cluster
from orchestration.job import Job
from orchestration.probe import ask, ask_nodes, nodes_for, probe_nodes
from selfish_core.errors import InputError

good, bad = (Job.model_validate(job) for job in json.load(sys.stdin))
with cluster.connect(None, Path(good.scratch)):
    [node] = nodes_for(1, 0)
    found = {"node": node.name, "too large": len(nodes_for(64, 0))}
    question = ask(good)
    found["late"] = [told for _, told in ask_nodes(question, [node], 0.0)]
    probe_nodes(good)
    try:
        probe_nodes(bad)
    except InputError as error:
        found["bad"] = str(error)
    shutil.rmtree(good.store)
    found["gone"] = [told for _, told in ask_nodes(question, [node], 60.0)]
sys.stdout.write(json.dumps(found))
"""


@pytest.mark.ray
def test_a_real_node_is_asked(job: Job, tmp_path: Path) -> None:
    with cluster.scratch() as folder:
        good = job.model_copy(update={"scratch": str(folder)})
        done = subprocess.run(
            [sys.executable, "-c", ON_A_CLUSTER],
            input=json.dumps([good.model_dump(), published(good, tmp_path).model_dump()]),
            env=cluster.environment(folder, os.environ, is_embedded=True),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    late = "has not answered for 0 s: is Selfish installed there, for the Python that Ray uses?"
    assert (found["too large"], found["late"]) == (0, [late])
    assert found["bad"].startswith(f"node {found['node']}: corpus ptb: train.txt, valid.txt, test.txt missing in ")
    assert found["gone"] == [f"trial store {job.store} is not there: it must be a place that all nodes share"]
