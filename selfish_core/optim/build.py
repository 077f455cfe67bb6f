"""From an optimizer's config to the optimizer: the one table of optimizer classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from selfish_core.optim.averaged import AveragedSGD
from selfish_core.optim.base import Optimizer
from selfish_core.optim.plain import SGD, adam, adamw
from selfish_core.optim.state import Parameters, WarmUp

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": adam,
    "adamw": adamw,
    "nt_asgd": partial(AveragedSGD, forgets=False),
    "snt_asgd": partial(AveragedSGD, forgets=True),
}
"""One class for each row of the catalogue's optimizers (a conformance test)."""


def build(
    config: Any,
    parameters: Parameters,
    multipliers: Parameters,
    *,
    warm_up_steps: int | None = None,
    keeps_state: bool = False,
) -> Optimizer:
    """Build the optimizer that a config describes.

    Args:
        config: one of the catalogue's optimizer configs.
        parameters: all parameters, by name.
        multipliers: masks as floats, by the name of the parameter they belong to; read anew at every step.
        warm_up_steps: steps until a weight that starts anew has the whole step size; None for at once.
        keeps_state: whether such a weight keeps what the optimizer remembers of it.
    """
    warm_up = None if warm_up_steps is None else WarmUp(warm_up_steps, multipliers)
    return OPTIMIZERS[config.name](config, parameters, multipliers, warm_up=warm_up, keeps_state=keeps_state)
