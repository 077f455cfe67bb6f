"""Choosing positions: the only places where a count becomes a set of positions, and where ties are broken."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_lowest(score: Tensor, candidates: Tensor, count: int) -> Tensor:
    """Mark the `count` candidates with the lowest score; among equal scores the first positions win.

    Args:
        score: finite numbers, any shape.
        candidates: bool, same shape; only these may be chosen.
        count: from 0 to the number of candidates.

    Returns:
        A bool tensor of the same shape with exactly `count` positions set.

    >>> choose_lowest(torch.tensor([3.0, 1.0, 1.0, 2.0]), torch.tensor([True, True, True, False]), 1)
    tensor([False,  True, False, False])
    """
    chosen = torch.zeros_like(candidates)
    if count == 0:
        return chosen
    where = candidates.reshape(-1).nonzero().squeeze(1)
    values = score.reshape(-1)[where]
    threshold = values.kthvalue(count).values
    below = values < threshold
    ties = (values == threshold).nonzero().squeeze(1)[: count - int(below.sum())]
    flat = chosen.view(-1)
    flat[where[below]] = True
    flat[where[ties]] = True
    return chosen


def choose_random(candidates: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Mark exactly `count` candidates, each set of them equally likely.

    The draw is made where the generator lives, so a seed gives the same positions on every device.
    """
    where = candidates.reshape(-1).nonzero().squeeze(1)
    order = torch.randperm(where.numel(), generator=generator, device=generator.device)[:count]
    chosen = torch.zeros_like(candidates)
    chosen.view(-1)[where[order.to(where.device)]] = True
    return chosen


def choose_by_coins(candidates: Tensor, expected: float, generator: torch.Generator) -> Tensor:
    """Mark each candidate with the same probability, so that `expected` are marked on average.

    Where `expected` passes the number of candidates all are marked; where it is not above 0, none.
    """
    available = int(candidates.sum())
    probability = min(1.0, max(0.0, expected / available)) if available else 0.0
    coins = torch.rand(candidates.shape, generator=generator, device=generator.device).to(candidates.device)
    return (coins < probability) & candidates
