"""The parts of a method, as fields of one section, `sparsity`; `None`: a part has no meaning beside the others.

Fields that came after the first release have a neutral default, the behaviour before them, so that no key changed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfish_core.catalogue.names import OneOf
from selfish_core.catalogue.scores import REDISTRIBUTIONS, REGROWTH_SCORES, REMOVAL_SCORES

Removal = Annotated[str, OneOf(("none", *REMOVAL_SCORES))]
Regrowth = Annotated[str, OneOf(("none", *REGROWTH_SCORES))]
Redistribution = Annotated[str, OneOf(tuple(REDISTRIBUTIONS))]
Patterns = Annotated[str, Field(min_length=1, max_length=400)]


def _neutral(value: Any, description: str, **bounds: Any) -> Any:
    """Declare a field whose default is the behaviour before it existed."""
    return Field(default=value, json_schema_extra={"neutral": value}, description=description, **bounds)


def _share(description: str, **bounds: Any) -> Any:
    return Field(default=None, allow_inf_nan=False, description=description, **bounds)


class SparsityConfig(BaseModel):
    """The parts of a method; `None` means that a part has no meaning beside the others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    level: float = Field(
        ge=0, lt=1, allow_inf_nan=False, description="fraction of the maskable weights that is inactive"
    )

    distribution: Literal["dense", "small_dense", "uniform", "er", "erk"] = Field(
        description="how the level is split over tensors"
    )
    exact_count: bool | None = Field(default=None, description="exact counts, or each position by a coin of its own")
    initial_mask: Literal["random", "snip"] = _neutral(
        "random", "the first mask: drawn, or the weights whose product with the first gradient is largest"
    )
    initial_level: float | None = _share("sparsity from which a dense network is pruned", ge=0, lt=1)
    include: Patterns | None = Field(default=None, description="tensors that are masked: patterns, comma-separated")
    exclude: Patterns | None = Field(default=None, description="tensors that stay dense: patterns, comma-separated")

    removal: Removal = Field(description="which active weights are removed")
    granularity: Literal["tensor", "gate", "layer", "global"] = _neutral(
        "tensor", "within what the weights to remove compete"
    )
    initial_threshold: float | None = _share("magnitude below which weights are removed at first", gt=0)
    threshold_tolerance: float | None = _share(
        "relative error of the removed number above which the threshold is doubled or halved", gt=0, lt=1
    )
    removal_rate: float | None = _share("share of active weights removed at the first update", ge=0, le=1)
    schedule: Literal["never", "constant", "linear", "cosine", "cubic", "rewind"] = Field(
        description="removal rate over time; of pruning: cubic in steps, or at the ends of rounds, with rewinding"
    )
    final_removal_rate: float | None = _share("where the schedule ends, and stays", ge=0, le=1)
    horizon_epochs: int | None = Field(default=None, ge=1, description="epochs over which the schedule runs")
    update_every_epochs: int | None = Field(default=None, ge=1, description="epochs between mask updates")
    update_every_steps: int | None = Field(default=None, ge=1, description="steps from one mask update to the next")
    update_replaces_step: bool = _neutral(
        True, "whether a mask update that is counted in steps takes an optimizer step's place, or follows it"
    )
    update_start_fraction: float | None = _share("share of the horizon before the first mask update", ge=0, lt=1)
    update_end_fraction: float | None = _share("share of the horizon after which the mask is kept", gt=0, le=1)

    redistribution: Redistribution = _neutral("none", "what a tensor's share of the regrowth is proportional to")
    regrowth: Regrowth = Field(description="which inactive weights become active")
    gate_regrowth: Literal["free", "equal"] = _neutral("free", "whether every gate of a tensor regrows the same number")
    gradient_steps: int | None = Field(default=None, ge=2, le=10_000, description="steps whose mean gradient is read")
    may_return: bool | None = Field(
        default=None, description="whether a weight removed in the same update may come back"
    )
    returned_value: Literal["keep", "zero"] | None = Field(default=None, description="the value that such a weight has")

    regrown_state: Literal["reset", "keep", "warm_up"] = _neutral(
        "reset",
        "the optimizer's moments of a weight that starts: zero, left alone, or zero with a step size that grows",
    )
    warm_up_steps: int | None = Field(
        default=None, ge=2, le=1_000_000, description="steps until such a weight has the full step size"
    )
    clip_on: Literal["dense", "active"] = _neutral("dense", "whose gradients make the norm that is clipped")
    l1_penalty: float | None = _share("added to the gradient of active weights, with the weight's sign", gt=0)
    gradient_noise: float | None = _share("standard deviation of noise on the gradient of active weights", gt=0)

    group_lasso: float | None = _share("strength of the penalty on the norm of all that belongs to a unit", gt=0)
    zero_threshold: float | None = _share("magnitude below which a weight is set to zero after a step", gt=0)
    rewind_rounds: int | None = Field(default=None, ge=1, le=100, description="how often is pruned and rewound")
    round_epochs: int | None = Field(default=None, ge=1, description="epochs of training before each pruning")
    rewind_to_epoch: int | None = Field(
        default=None, ge=0, description="epoch whose weights are put back; 0: the first"
    )
