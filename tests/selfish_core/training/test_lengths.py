"""How many tokens every step reads: fixed, or drawn within bounds, with the learning rate in proportion."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from selfish_core.config import TrainingConfig
from selfish_core.data.corpora import Corpus
from selfish_core.training.checkpoint import dump, restore
from selfish_core.training.lengths import step_lengths
from selfish_core.training.loop import Epoch, Training
from selfish_core.training.randomness import generator_for

RANDOM = {"batch_size": 4, "bptt_length": 9, "eval_batch_size": 4, "is_bptt_random": True}


def draw(num_rows: int, seed: int = 1, **fields: Any) -> list[int]:
    config = TrainingConfig(is_bptt_random=True, **fields)
    return step_lengths(config, num_rows, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("num_rows", "expected"), [(100, 3), (70, 2), (71, 3), (1, 1), (0, 0)])
def test_fixed_lengths_are_equal_and_reach_the_end(num_rows: int, expected: int) -> None:
    assert step_lengths(TrainingConfig(bptt_length=35), num_rows, None) == [35] * expected


def test_drawn_lengths_reach_the_end_and_stop_there() -> None:
    lengths = draw(5000, bptt_length=70)
    assert sum(lengths) >= 5000
    assert sum(lengths[:-1]) < 5000


def test_drawn_lengths_have_the_mean_and_the_bounds_of_the_law() -> None:
    lengths = torch.tensor(draw(700_000, bptt_length=70), dtype=torch.float64)
    # .95 · 70 + .05 · 35 less half a token, for fractions are cut off; variance 25 + .95 · .05 · 35² and a little more
    sigma = (25 + 0.95 * 0.05 * 35**2 + 1) ** 0.5
    assert abs(float(lengths.mean()) - (68.25 - 0.5)) < 6 * sigma / len(lengths) ** 0.5
    halves = float((lengths < 52).double().mean())
    assert abs(halves - 0.05) < 6 * (0.05 * 0.95 / len(lengths)) ** 0.5
    whole = lengths[lengths >= 52]
    assert float(whole.std()) == pytest.approx(5.0, rel=0.03)


def test_no_drawn_length_is_below_five() -> None:
    lengths = draw(20_000, bptt_length=6)
    assert min(lengths) == 5
    assert all(isinstance(length, int) for length in lengths)


@pytest.mark.parametrize("excess", [0, 3])
def test_a_bound_cuts_long_lengths_and_changes_no_other(excess: int) -> None:
    free, bounded = draw(20_000, bptt_length=70), draw(20_000, bptt_length=70, max_bptt_excess=excess)
    assert max(free) > 70 + excess
    assert max(bounded) == 70 + excess
    number = min(len(free), len(bounded))
    assert bounded[:number] == [min(length, 70 + excess) for length in free[:number]]


def test_a_seed_gives_its_lengths_again_and_an_epoch_goes_on_in_the_sequence() -> None:
    assert draw(2000, bptt_length=70) == draw(2000, bptt_length=70)
    assert draw(2000, bptt_length=70) != draw(2000, seed=2, bptt_length=70)
    config = TrainingConfig(is_bptt_random=True, bptt_length=70)
    generator = torch.Generator().manual_seed(1)
    first = step_lengths(config, 2000, generator)
    assert step_lengths(config, 2000, generator) != first


class Factors:
    """The learning-rate factors that an optimizer was given."""

    def __init__(self, training: Training) -> None:
        self.found: list[float] = []
        plain = training.optimizer.step

        def step(factor: float = 1.0) -> None:
            self.found.append(factor)
            plain(factor)

        training.optimizer.step = step  # type: ignore[method-assign]


def start(config: Any, corpus: Corpus) -> Training:
    torch.set_num_threads(1)
    return Training(config, corpus, torch.device("cpu"))


def test_the_learning_rate_of_a_step_is_in_proportion_to_its_drawn_length(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = tiny_trial("selfish", "snt_asgd", seed=6, training=RANDOM)
    training, epoch = start(config, tiny_corpus), Epoch()
    factors = Factors(training)
    training.run_epoch(epoch)
    lengths = step_lengths(config.training, 99, generator_for(6, "bptt", torch.device("cpu")))
    assert factors.found == [length / 9 for length in lengths]
    assert len(set(lengths)) > 3
    # every row is read once; the last step may be shorter than its drawn length
    assert [rows for rows, _ in epoch.losses[:-1]] == lengths[:-1]
    assert sum(rows for rows, _ in epoch.losses) == 99


def test_fixed_lengths_take_whole_steps_the_last_short_one_too(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    training = start(
        tiny_trial("static", "sgd", training={**RANDOM, "bptt_length": 10, "is_bptt_random": False}), tiny_corpus
    )
    factors = Factors(training)
    training.run_epoch()
    assert factors.found == [1.0] * 10


def test_a_resume_at_an_epochs_end_draws_the_lengths_that_would_have_come(tiny_trial: Any, tiny_corpus: Corpus) -> None:
    config = tiny_trial("selfish", "snt_asgd", training=RANDOM)
    whole = start(config, tiny_corpus)
    whole.run_epoch()
    tensors, state = dump(whole)
    resumed = start(config, tiny_corpus)
    assert restore(resumed, tensors, state, "a checkpoint") == []
    for _ in range(2):
        one, other = Epoch(), Epoch()
        assert whole.run_epoch(one).metrics == resumed.run_epoch(other).metrics
        assert one.losses == other.losses
    assert whole.progress == resumed.progress
