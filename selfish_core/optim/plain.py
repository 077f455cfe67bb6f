"""SGD, Adam and AdamW: torch's own, with masks applied after every step."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from selfish_core.catalogue.optimizers import AdamConfig, AdamWConfig, SGDConfig
from selfish_core.optim.base import Optimizer, OptimizerState
from selfish_core.optim.state import Parameters, WarmUp


class _TorchOptimizer(Optimizer):
    """A torch optimizer, its per-weight state by parameter name.

    Args:
        torch_optimizer: takes the step.
        parameters: by name.
        multipliers: masks as floats.
        warm_up: of weights that start anew.
        keeps_state: whether such weights keep what the optimizer remembers of them.
    """

    def __init__(
        self,
        torch_optimizer: torch.optim.Optimizer,
        parameters: Parameters,
        multipliers: Parameters,
        *,
        warm_up: WarmUp | None = None,
        keeps_state: bool = False,
    ) -> None:
        super().__init__(torch_optimizer, parameters, multipliers, warm_up)
        self._keeps_state = keeps_state

    @override
    def _forget(self, name: str, left: Tensor, started: Tensor) -> None:
        # The momentum of weights that left is kept: momentum regrowth reads it.
        if self._keeps_state:
            return
        for value in self._torch.state.get(self._parameters[name], {}).values():
            if isinstance(value, Tensor) and value.shape == started.shape:
                value.masked_fill_(started, 0.0)

    @override
    def state(self) -> OptimizerState:
        state = super().state()
        for name, parameter in self._parameters.items():
            for key, value in self._torch.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state.tensors[f"{key}/{name}"] = value
        return state

    @override
    def load(self, state: OptimizerState) -> None:
        super().load(state)
        for full_name, tensor in state.tensors.items():
            key, name = full_name.split("/", 1)
            if key != "ages":
                self._torch.state[self._parameters[name]][key] = tensor.clone()


class SGD(_TorchOptimizer):
    """Plain SGD, with heavy-ball momentum where asked for."""

    def __init__(self, config: SGDConfig, parameters: Parameters, multipliers: Parameters, **regrown: Any) -> None:
        optimizer = torch.optim.SGD(
            list(parameters.values()),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        super().__init__(optimizer, parameters, multipliers, **regrown)

    @override
    def momentum(self, name: str) -> Tensor | None:
        buffer = self._torch.state.get(self._parameters[name], {}).get("momentum_buffer")
        return buffer if isinstance(buffer, Tensor) else None


class Adam(_TorchOptimizer):
    """Adam or AdamW; a weight that starts anew starts with empty moments.

    Args:
        torch_class: which of the two.
        config: its values.
        parameters: by name.
        multipliers: masks as floats.
        regrown: how weights that start anew are treated.
    """

    def __init__(
        self,
        config: AdamConfig | AdamWConfig,
        parameters: Parameters,
        multipliers: Parameters,
        *,
        torch_class: type[torch.optim.Adam],
        **regrown: Any,
    ) -> None:
        optimizer = torch_class(
            list(parameters.values()),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=True,
        )
        super().__init__(optimizer, parameters, multipliers, **regrown)
        self._epsilon = config.epsilon

    @override
    def momentum(self, name: str) -> Tensor | None:
        """First moment over the root of the second, as SNFS reads Adam's momentum."""
        moments = self._torch.state.get(self._parameters[name], {})
        if "exp_avg" not in moments:
            return None
        return torch.as_tensor(moments["exp_avg"] / (moments["exp_avg_sq"].sqrt() + self._epsilon))


adam = partial(Adam, torch_class=torch.optim.Adam)
adamw = partial(Adam, torch_class=torch.optim.AdamW)
