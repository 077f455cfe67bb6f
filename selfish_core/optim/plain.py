"""SGD and Adam: torch's own, with masks applied after every step."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from selfish_core.catalogue.optimizers import AdamConfig, SGDConfig
from selfish_core.optim.base import Optimizer, OptimizerState, Parameters


class _TorchOptimizer(Optimizer):
    """A torch optimizer, its per-weight state by parameter name."""

    def __init__(self, torch_optimizer: torch.optim.Optimizer, parameters: Parameters, multipliers: Parameters) -> None:
        self._torch = torch_optimizer
        self._parameters = parameters
        self._multipliers = multipliers

    @override
    @property
    def learning_rate(self) -> float:
        return float(self._torch.param_groups[0]["lr"])

    @override
    def step(self) -> None:
        self._torch.step()
        apply_masks(self._parameters, self._multipliers)

    @override
    def start_over(self, name: str, left: Tensor, started: Tensor) -> None:
        # The momentum of weights that left is kept: momentum regrowth reads it.
        for value in self._torch.state.get(self._parameters[name], {}).values():
            if isinstance(value, Tensor) and value.shape == started.shape:
                value.masked_fill_(started, 0.0)

    @override
    def state(self) -> OptimizerState:
        state = OptimizerState()
        for name, parameter in self._parameters.items():
            for key, value in self._torch.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state.tensors[f"{key}/{name}"] = value
        return state

    @override
    def load(self, state: OptimizerState) -> None:
        for full_name, tensor in state.tensors.items():
            key, name = full_name.split("/", 1)
            self._torch.state[self._parameters[name]][key] = tensor.clone()

    @abstractmethod
    @override
    def momentum(self, name: str) -> Tensor | None:
        """Return the momentum of one parameter, or None."""


class SGD(_TorchOptimizer):
    """Plain SGD, with heavy-ball momentum where asked for."""

    def __init__(self, config: SGDConfig, parameters: Parameters, multipliers: Parameters) -> None:
        optimizer = torch.optim.SGD(
            list(parameters.values()),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        super().__init__(optimizer, parameters, multipliers)

    @override
    def momentum(self, name: str) -> Tensor | None:
        buffer = self._torch.state.get(self._parameters[name], {}).get("momentum_buffer")
        return buffer if isinstance(buffer, Tensor) else None


class Adam(_TorchOptimizer):
    """Adam; a weight that starts anew starts with empty moments."""

    def __init__(self, config: AdamConfig, parameters: Parameters, multipliers: Parameters) -> None:
        optimizer = torch.optim.Adam(
            list(parameters.values()),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=True,
        )
        super().__init__(optimizer, parameters, multipliers)
        self._epsilon = config.epsilon

    @override
    def momentum(self, name: str) -> Tensor | None:
        """First moment over the root of the second, as SNFS reads Adam's momentum."""
        moments = self._torch.state.get(self._parameters[name], {})
        if "exp_avg" not in moments:
            return None
        return torch.as_tensor(moments["exp_avg"] / (moments["exp_avg_sq"].sqrt() + self._epsilon))


def apply_masks(parameters: Parameters, multipliers: Parameters) -> None:
    """Multiply parameters by their masks in place; one that has no mask is left alone."""
    if multipliers:
        with torch.no_grad():
            torch._foreach_mul_([parameters[name] for name in multipliers], list(multipliers.values()))
