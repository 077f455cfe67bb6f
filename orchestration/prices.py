"""What a plan costs in money, and the refusal of one that asks for more GPU-hours than its user allows."""

from __future__ import annotations

import math

from orchestration.plan import Plan
from selfish_core.errors import InputError, ResourcesError


def price_of(plan: Plan, price_per_gpu_hour: float) -> float:
    """Return the price of a plan's GPU-hours, in whatever the price of one is given in."""
    return plan.gpu_hours * price_per_gpu_hour


def check_amount(option: str, value: float | None) -> None:
    """Refuse an amount that is none.

    Raises:
        InputError: when it is negative or not finite.
    """
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise InputError(f"{option} must be a number of at least 0, got {value}")


def refuse_beyond(plan: Plan, max_gpu_hours: float) -> None:
    """Refuse a plan before anything is started.

    Args:
        plan: of a sweep.
        max_gpu_hours: what its user allows.

    Raises:
        ResourcesError: when it asks for more.
    """
    if not plan.gpu_hours <= max_gpu_hours:
        asked = f"{plan.wanted.spec.name} asks for {plan.gpu_hours:.4g} GPU-hours ({plan.speed})"
        raise ResourcesError(
            f"{asked}, --max-gpu-hours allows {max_gpu_hours:g}: raise it, or want fewer trials or epochs; "
            "nothing was started"
        )
