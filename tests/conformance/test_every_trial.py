"""Every method with every optimizer on every architecture: what each epoch owes, and that a resume gives the same bits.

In CI every pair of the three stands in some case; `make test-all` runs the whole product.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from support import cases

from selfish_core.accounting import count_parameters
from selfish_core.data.corpora import Corpus
from selfish_core.errors import InputError
from selfish_core.records import GATE_DENSITY_PREFIX, METRIC_NAMES, METRICS, TENSOR_SPARSITY_PREFIX, Record
from selfish_core.resolve import resolve
from selfish_core.training.loop import Training
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import StoredTrial, TrialStore

PREFIXES = (GATE_DENSITY_PREFIX, TENSOR_SPARSITY_PREFIX)

EPOCHS = 4
PAIRWISE = list(cases.pairwise())
REST = [case for case in cases.PRODUCT if case not in PAIRWISE and not cases.is_meaningless(case)]
MEANINGLESS = [case for case in cases.PRODUCT if cases.is_meaningless(case)]
MEANINGFUL = [*PAIRWISE, *(pytest.param(*case, marks=pytest.mark.slow) for case in REST)]

BY_OCCASION = {"test_loss_nats", "test_perplexity", "best_possible_test_perplexity"}
BY_OPTION = {"topology_distance_to_first", "topology_distance_to_previous"}
TOLD = {metric.name for metric in METRICS} - BY_OCCASION - BY_OPTION


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_every_pair_that_means_something_is_in_some_case() -> None:
    for one, other in itertools.combinations(range(3), 2):
        wanted = {(case[one], case[other]) for case in cases.PRODUCT if not cases.is_meaningless(case)}
        assert {(case[one], case[other]) for case in PAIRWISE} == wanted


@pytest.mark.parametrize(("method", "optimizer", "architecture"), MEANINGLESS)
def test_what_has_no_meaning_is_refused_by_name(method: str, optimizer: str, architecture: str) -> None:
    with pytest.raises(
        InputError, match=r"reads the optimizer's momentum and|group_lasso has no meaning for"
    ) as caught:
        resolve(cases.tiny_raw(method, optimizer, architecture), epochs=cases.EPOCHS)
    assert optimizer in str(caught.value) or architecture in str(caught.value)


@pytest.mark.parametrize(("method", "optimizer", "architecture"), MEANINGFUL)
def test_what_every_epoch_owes(
    method: str, optimizer: str, architecture: str, tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = cases.tiny_trial(method, optimizer, architecture=architecture)
    training = Training(config, tiny_corpus, torch.device("cpu"))
    masks, parameters = training.updater.masks, training.parameters()
    storages = {name: (weight.data_ptr(), weight.shape, weight.dtype) for name, weight in parameters.items()}
    plain_step, plain_loss = Training._step, Training._loss

    def inactive_are_zero() -> bool:
        return all(not parameters[name][~mask].any() for name, mask in masks.tensors.items())

    def checked_step(self: Training, *args: Any) -> Any:
        state = plain_step(self, *args)
        assert inactive_are_zero()
        return state

    def checked_loss(self: Training, rows: torch.Tensor) -> float:
        assert inactive_are_zero(), "the weights that are evaluated, averages too"
        return plain_loss(self, rows)

    monkeypatch.setattr(Training, "_step", checked_step)
    monkeypatch.setattr(Training, "_loss", checked_loss)
    for _ in range(EPOCHS):
        result = training.run_epoch()
        assert not result.message
        assert inactive_are_zero()
        assert result.metrics.keys() >= TOLD
        assert all(name in METRIC_NAMES or name.startswith(PREFIXES) for name in result.metrics)
        if config.sparsity.exact_count and config.sparsity.initial_level is None:
            assert masks.num_active() == sum(training.updater.targets.values())
        assert all(torch.equal(masks.multipliers[name], mask.float()) for name, mask in masks.tensors.items())
    assert {name: (w.data_ptr(), w.shape, w.dtype) for name, w in training.parameters().items()} == storages
    assert result.metrics["is_selectable"] == 1.0
    assert result.metrics["num_parameters"] == count_parameters(config).num_parameters
    assert (training.updater.num_updates > 0) == (config.sparsity.schedule != "never")
    if config.sparsity.exact_count is False:
        weights, targets = masks.num_weights(), sum(training.updater.targets.values())
        assert abs(masks.num_active() - targets) <= 6 * (weights * 0.5 * 0.5) ** 0.5


@pytest.mark.parametrize(("method", "optimizer", "architecture"), MEANINGFUL)
def test_a_trial_that_is_killed_and_resumed_has_the_same_bits(
    method: str,
    optimizer: str,
    architecture: str,
    tiny_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = cases.tiny_trial(method, optimizer, architecture=architecture)

    def session(trial: StoredTrial) -> TrialSession:
        return TrialSession(config, epochs=EPOCHS, corpus=tiny_corpus, stored=trial, reason="resume")

    undisturbed = TrialStore.open(tmp_path / "undisturbed").put(config.to_dict(), config.key())
    expected = run_to_end(session(undisturbed))
    killed = TrialStore.open(tmp_path / "killed").put(config.to_dict(), config.key())
    steps_left, plain_step = 0, Training._step

    def mortal_step(self: Training, *args: Any) -> Any:
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise Killed
        return plain_step(self, *args)

    monkeypatch.setattr(Training, "_step", mortal_step)
    for life in itertools.count():
        steps_left = 14 + 7 * life  # eleven steps an epoch
        try:
            run_to_end(session(killed))
            break
        except Killed:
            continue
    assert [record.science() for record in killed.records()] == [record.science() for record in expected]
    assert last_checkpoint(killed) == last_checkpoint(undisturbed)
    assert len(killed.attempts()) > 1


def run_to_end(session: TrialSession) -> list[Record]:
    records = []
    while not session.is_finished:
        records.append(session.step())
    session.close()
    return records


def last_checkpoint(trial: StoredTrial) -> tuple[bytes, Any]:
    data = trial.load(trial.checkpoints()[0])
    return data.tensors, data.state
