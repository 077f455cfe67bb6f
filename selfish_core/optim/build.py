"""From an optimizer's config to the optimizer: the one table of optimizer classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from selfish_core.optim.averaged import AveragedSGD
from selfish_core.optim.base import Optimizer, Parameters
from selfish_core.optim.plain import SGD, Adam

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "nt_asgd": partial(AveragedSGD, forgets=False),
    "snt_asgd": partial(AveragedSGD, forgets=True),
}
"""One class for each row of the catalogue's optimizers (a conformance test)."""


def build(config: Any, parameters: Parameters, multipliers: Parameters) -> Optimizer:
    """Build the optimizer that a config describes.

    Args:
        config: one of the catalogue's optimizer configs.
        parameters: all parameters, by name.
        multipliers: masks as floats, by the name of the parameter they belong to; read anew at every step.
    """
    return OPTIMIZERS[config.name](config, parameters, multipliers)
