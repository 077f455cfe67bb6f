"""Optimizers: their configs, and what each can offer to a method."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class _Optimizer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    learning_rate: Positive = Field(description="constant step size")
    weight_decay: NonNegative = Field(default=1.2e-6, description="L2 penalty added to the gradient")
    clip_norm: Positive = Field(
        default=0.25, description="global gradient norm above which the gradient is scaled down"
    )

    @property
    def has_momentum(self) -> bool:
        """Whether there is a momentum that regrowth could read."""
        return False


class SGDConfig(_Optimizer):
    """Plain SGD, with heavy-ball momentum where asked for."""

    name: Literal["sgd"]
    momentum: Share = Field(default=0.0, json_schema_extra={"neutral": 0.0}, description="heavy-ball momentum")

    @property
    def has_momentum(self) -> bool:
        """Whether the momentum buffer exists."""
        return self.momentum > 0


class AdamConfig(_Optimizer):
    """Adam with the official code's betas; `beta1` 0 makes its momentum the current gradient."""

    name: Literal["adam"]
    learning_rate: Positive = Field(default=1e-3, description="constant step size")
    beta1: Share = Field(default=0.0, description="decay of the first moment")
    beta2: Share = Field(default=0.999, description="decay of the second moment")
    epsilon: Positive = Field(default=1e-9, description="added to the root of the second moment")

    @property
    def has_momentum(self) -> bool:
        """Adam always has a first moment."""
        return True


class AdamWConfig(_Optimizer):
    """Adam with weight decay apart from the gradient."""

    name: Literal["adamw"]
    learning_rate: Positive = Field(default=1e-3, description="constant step size")
    beta1: Share = Field(default=0.9, description="decay of the first moment")
    beta2: Share = Field(default=0.999, description="decay of the second moment")
    epsilon: Positive = Field(default=1e-8, description="added to the root of the second moment")
    weight_decay: NonNegative = Field(
        default=0.01, description="share of a weight, times the step size, taken off each step"
    )

    @property
    def has_momentum(self) -> bool:
        """AdamW always has a first moment."""
        return True


class _Averaged(_Optimizer):
    non_monotone_window: int = Field(
        default=5,
        ge=1,
        description="averaging starts when validation is worse than the best before the last so many epochs",
    )
    restart_every_epochs: int | None = Field(
        default=None, ge=1, description="epochs after which averages that have started begin anew"
    )


class NTASGDConfig(_Averaged):
    """SGD whose iterates are averaged from a non-monotone trigger on; the average is masked when it is read."""

    name: Literal["nt_asgd"]


class SNTASGDConfig(_Averaged):
    """NT-ASGD that forgets the history of a weight when it is removed."""

    name: Literal["snt_asgd"]


OptimizerConfig = SGDConfig | AdamConfig | AdamWConfig | NTASGDConfig | SNTASGDConfig

OPTIMIZERS: dict[str, type[OptimizerConfig]] = {
    "sgd": SGDConfig,
    "adam": AdamConfig,
    "adamw": AdamWConfig,
    "nt_asgd": NTASGDConfig,
    "snt_asgd": SNTASGDConfig,
}
