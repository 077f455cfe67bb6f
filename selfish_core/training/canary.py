"""Canaries: a few steps of a trial, an evaluation and a mask update, to find a bug early and to see its memory.

Nothing is stored, and no random number is drawn that a trial would see: a canary has generators of its own.
"""

from __future__ import annotations

import dataclasses
import itertools
import time

import torch

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.training.evaluate import SEGMENT_LENGTH
from selfish_core.training.fingerprint import pick_device
from selfish_core.training.loop import Epoch, Training
from selfish_core.training.peak_memory import PeakMemory, give_back
from selfish_core.training.watchdog import Beat, no_beat

_TOKEN_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a canary has seen.

    Args:
        peak_bytes: most memory that the trial had on its device.
        device_bytes: memory of the device.
        seconds_per_step: of the fastest of its steps; the first ones warm up.
    """

    peak_bytes: int
    device_bytes: int
    seconds_per_step: float


class Canary:
    """A few steps of one trial.

    Args:
        config: the resolved trial.
        corpus: its text.
        num_steps: how many minibatches, ≥ 1; a few more or less where their lengths are drawn.
        device: `cpu`, `cuda` or `auto`.
        beat: called wherever a step is made.
    """

    def __init__(
        self, config: TrialConfig, corpus: Corpus, *, num_steps: int, device: str, beat: Beat = no_beat
    ) -> None:
        self.config = config
        self._corpus = corpus
        self._num_steps = num_steps
        self._device = pick_device(device)
        self._beat = beat

    def fly(self) -> Seen:
        """Run it and say what was seen; a loss that is not finite is no failure here either."""
        memory = PeakMemory(self._device)
        seconds = self._run()
        text = sum(len(tokens) for tokens in (self._corpus.train, self._corpus.valid, self._corpus.test))
        seen = Seen(memory.num_bytes() + _TOKEN_BYTES * text, memory.device_bytes(), seconds)
        give_back()
        return seen

    def _run(self) -> float:
        """Train on the text's beginning with averages from the first step on, and return the fastest step's seconds."""
        ticks = [time.monotonic()]

        def tick() -> None:
            if training.progress.step >= len(ticks):
                ticks.append(time.monotonic())
            self._beat()

        training = Training(self.config, _beginning(self._corpus, self.config, self._num_steps), self._device, tick)
        for loss in range(getattr(self.config.optimizer, "non_monotone_window", 0) + 2):
            training.optimizer.end_epoch(float(loss))  # losses that grow: what averages at a trigger does so now
        epoch = Epoch()
        ticks[0] = time.monotonic()
        training.run_epoch(epoch)
        part = self.config.sparsity
        if part.update_every_steps is not None or part.update_every_epochs is not None:
            training.update_masks(epoch)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return min((after - before for before, after in itertools.pairwise(ticks)), default=0.0)


def _beginning(corpus: Corpus, config: TrialConfig, num_steps: int) -> Corpus:
    """Cut a text so that an epoch has so many steps and evaluates one segment of each stream."""
    training = config.training
    num_rows = {
        "train": num_steps * training.bptt_length + 1,
        "valid": SEGMENT_LENGTH + 1,
        "test": SEGMENT_LENGTH + 1,
    }
    streams = {"train": training.batch_size, "valid": training.eval_batch_size, "test": training.test_streams}
    cut = {split: getattr(corpus, split)[: num_rows[split] * streams[split]] for split in num_rows}
    return dataclasses.replace(corpus, **cut)
