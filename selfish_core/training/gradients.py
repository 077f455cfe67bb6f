"""What is done to gradients between the backward pass and the step: penalties, the norm and its clipping, noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.group_lasso import GroupLasso


class Gradients:
    """The gradients of one model's parameters.

    Order: group lasso, which belongs to the loss; clipping by the global norm; then L1 and noise of deep rewiring,
    which belong to the step and keep their size.

    Args:
        parts: penalties, noise, and whose gradients make the norm.
        clip_norm: global norm above which all gradients are scaled down.
        parameters: by name.
        multipliers: masks as floats, by the name of the parameter they belong to.
        shapes: of the parameters.
        noise: generator of gradient noise; None where there is none.
    """

    def __init__(
        self,
        parts: SparsityConfig,
        clip_norm: float,
        parameters: Mapping[str, Tensor],
        multipliers: Mapping[str, Tensor],
        shapes: Sequence[ParameterShape],
        noise: torch.Generator | None,
    ) -> None:
        self._parts = parts
        self._clip_norm = clip_norm
        self._parameters = parameters
        self._multipliers = multipliers
        self._maskable = [shape.name for shape in shapes if shape.is_maskable]
        self._noise = noise
        self._lasso = None if parts.group_lasso is None else GroupLasso(shapes, parts.group_lasso)

    def by_name(self) -> dict[str, Tensor]:
        """Every gradient that there is."""
        return {name: weight.grad for name, weight in self._parameters.items() if weight.grad is not None}

    def norm(self) -> Tensor:
        """Add what belongs to the loss, and return the global norm."""
        gradients = self.by_name()
        if self._lasso is not None:
            self._lasso.add_gradient_(self._parameters, gradients)
        if self._parts.clip_on == "active":
            return nn.utils.get_total_norm(self._active(name, gradient) for name, gradient in gradients.items())
        return nn.utils.get_total_norm(gradients.values())

    def clip_(self, norm: Tensor) -> None:
        """Scale all gradients down where the norm is too large, then add what belongs to the step."""
        nn.utils.clip_grads_with_norm_(self._parameters.values(), self._clip_norm, norm)
        with torch.no_grad():
            for name in self._maskable:
                self._disturb_(name)

    def _disturb_(self, name: str) -> None:
        gradient = self._parameters[name].grad
        if gradient is None:
            return
        if self._parts.l1_penalty is not None:
            gradient.add_(self._parameters[name].sign(), alpha=self._parts.l1_penalty)
        if self._parts.gradient_noise is not None and self._noise is not None:
            noise = torch.empty_like(gradient).normal_(generator=self._noise)
            gradient.add_(self._active(name, noise), alpha=self._parts.gradient_noise)

    def _active(self, name: str, tensor: Tensor) -> Tensor:
        return tensor * self._multipliers[name] if name in self._multipliers else tensor
