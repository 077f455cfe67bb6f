"""A trial store on S3 is what it is in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.s3 import S3Server
from support.threads import at_once

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.errors import NoStoreError
from selfish_core.object_storage import ObjectStorage
from selfish_core.training.loop import Training
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore

EPOCHS = 3


@pytest.fixture
def objects(s3_url: str) -> ObjectStorage:
    return ObjectStorage.at(s3_url)


def test_a_store_is_made_found_and_opened_again(s3_url: str) -> None:
    assert TrialStore.find(s3_url) is None
    made = TrialStore.open(s3_url + "/")
    found = TrialStore.find(s3_url)
    assert found is not None
    assert made.place == found.place == s3_url
    assert made.store_id == found.store_id == TrialStore.open(s3_url).store_id
    assert made.problems() == []


def test_stores_that_are_made_at_once_are_one(s3_url: str) -> None:
    stores = at_once([lambda: TrialStore.open(s3_url)] * 4)
    assert len({store.store_id for store in stores}) == 1


def test_finding_a_store_writes_nothing(s3_url: str, s3_server: S3Server) -> None:
    TrialStore.open(s3_url)
    s3_server.requests.clear()
    TrialStore.find(s3_url)
    assert {method for method, _ in s3_server.requests} <= {"HEAD", "GET"}


def test_a_prefix_of_something_else_is_refused_and_left_alone(objects: ObjectStorage, s3_server: S3Server) -> None:
    objects.create("thesis.tex", b"")
    s3_server.requests.clear()
    with pytest.raises(NoStoreError, match=r"is no trial store: it has no store\.json but holds thesis\.tex"):
        TrialStore.open(objects.place)
    assert "PUT" not in {method for method, _ in s3_server.requests}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def test_a_trial_killed_on_s3_and_resumed_has_the_bits_of_an_undisturbed_one_in_a_folder(
    tiny_trial: Callable[..., TrialConfig],
    tiny_corpus: Corpus,
    s3_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_trial("selfish", "snt_asgd")

    def run(store: TrialStore) -> TrialSession:
        stored = store.put(config.to_dict(), config.key())
        session = TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=stored)
        while not session.is_finished:
            session.step()
        session.close()
        return session

    run(TrialStore.open(tmp_path / "folder"))
    steps_left, plain_step = 0, Training._step

    def mortal_step(self: Training, *arguments: Any) -> Any:
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise Killed
        return plain_step(self, *arguments)

    monkeypatch.setattr(Training, "_step", mortal_step)
    for num_steps in (14, 14, 10_000):
        steps_left = num_steps
        try:
            run(TrialStore.open(s3_url))
        except Killed:
            continue
    undisturbed = TrialStore.open(tmp_path / "folder").trial(config.key())
    killed = TrialStore.open(s3_url).trial(config.key())
    assert [record.science() for record in killed.records()] == [record.science() for record in undisturbed.records()]
    newest, expected = killed.checkpoints()[0], undisturbed.checkpoints()[0]
    assert killed.load(newest) == undisturbed.load(expected)
    assert len(killed.attempts()) == 3
    assert killed.problems() == []
