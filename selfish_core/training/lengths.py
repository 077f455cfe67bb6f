"""How many tokens of each stream every step of an epoch reads: always the same number, or drawn anew."""

from __future__ import annotations

import torch

from selfish_core.config import TrainingConfig

HALF_PROBABILITY = 0.05
"""Probability of a step whose mean length is half of the usual one."""
STD = 5.0
"""Standard deviation of a drawn length, in tokens."""
SHORTEST = 5
"""Tokens that a drawn length has at least."""


def step_lengths(config: TrainingConfig, num_rows: int, generator: torch.Generator | None) -> list[int]:
    """Cut an epoch into steps.

    Args:
        config: its `bptt_length`, and how lengths are drawn.
        num_rows: rows to be read as inputs in an epoch.
        generator: of drawn lengths; None where they are fixed.

    Returns:
        Lengths that together reach `num_rows`; the last step may find fewer rows than its length.

    Source: Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018, section 4.1; the bound
    `max_bptt_excess` as in the published code of Yang et al., Breaking the Softmax Bottleneck, ICLR 2018.
    """
    lengths: list[int] = []
    while sum(lengths) < num_rows:
        if generator is None:
            return [config.bptt_length] * -(-num_rows // config.bptt_length)
        lengths.append(_draw(config, generator))
    return lengths


def _draw(config: TrainingConfig, generator: torch.Generator) -> int:
    is_half = float(torch.rand((), generator=generator)) < HALF_PROBABILITY
    mean = config.bptt_length / 2 if is_half else float(config.bptt_length)
    drawn = max(SHORTEST, int(mean + STD * float(torch.randn((), generator=generator))))
    return drawn if config.max_bptt_excess is None else min(drawn, config.bptt_length + config.max_bptt_excess)
