"""Loss of a model on a text, its state carried through the whole of it.

Shapes: T time, B batch, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from selfish_core.data.batching import segments
from selfish_core.models.output import LanguageModel, State
from selfish_core.training.watchdog import Beat, no_beat

SEGMENT_LENGTH = 35
"""Tokens of each stream that are scored at once; it decides memory, not the result."""


def evaluate(model: LanguageModel, rows_TB: Tensor, initial_state: State, beat: Beat = no_beat) -> float:
    """Return the mean loss in nats over every token of the text but the first of each stream.

    Args:
        model: called as `model(words_TB, state)`, without dropout.
        rows_TB: the text as streams.
        initial_state: before the first token.
        beat: called after every segment.
    """
    total = 0.0
    state = initial_state
    with torch.no_grad():
        for words_TB, targets_TB in segments(rows_TB, SEGMENT_LENGTH):
            output = model(words_TB, state)
            state = output.state
            loss = functional.cross_entropy(output.scores_TBV.flatten(0, 1), targets_TB.flatten())
            total += len(words_TB) * loss.item()
            beat()
    return total / (len(rows_TB) - 1)
