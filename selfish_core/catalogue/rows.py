"""What a row of each family says. An extension makes its rows of these classes; this module loads no extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from selfish_core.catalogue.sizes.shape import ArchitectureConfig, ParameterShape

Need = Literal["gradient", "momentum"]


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One published combination.

    Args:
        name: as it stands in specs.
        description: one line.
        parts: fields of `SparsityConfig` and their values; a part that is not named here has no meaning for it.
        default_optimizer: used where the spec names none.
        optimizer_values: fields of that optimizer that differ from its own defaults.
        phases: what the trial goes through, in order; epochs are counted over all of them.
        source: where it was published, and which reading was taken.
    """

    name: str
    description: str
    parts: Mapping[str, object]
    default_optimizer: str
    optimizer_values: Mapping[str, object] = field(default_factory=dict)
    phases: tuple[str, ...] = ("train",)
    source: str

    @property
    def exact_count(self) -> bool:
        """Whether active counts equal their target exactly; else each position has a coin of its own."""
        return self.parts.get("exact_count") is not False

    @property
    def keeps_inactive_values(self) -> bool:
        """Whether what counts as inactive is a zero weight that may move again, and no mask holds it."""
        return self.parts.get("group_lasso") is not None

    @property
    def updates_every(self) -> Literal["never", "steps", "epochs", "rounds"]:
        """In what the time between two mask updates is counted."""
        if self.parts.get("update_every_steps") is not None:
            return "steps"
        if self.parts.get("update_every_epochs") is not None:
            return "epochs"
        return "rounds" if self.parts.get("schedule") == "rewind" else "never"


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One rule that chooses weights for removal or regrowth.

    Args:
        name: as it stands in specs.
        description: one line.
        function: `module:function` of the score, from `ScoreInputs` to a tensor of the weight's shape; higher means
            keep (removal) or first (regrowth).
        needs: what must be at hand beside the weights: a dense gradient, or the optimizer's momentum.
        rule: what is made of the score at removal: `count`: the removal rate says how many go; `threshold`: all whose
            score is below a threshold that adapts; `sign`: all whose sign is no longer the one they started with.
        flops_rule: training FLOPs of a method that regrows by it, a row of `selfish_core.accounting.FLOPS_RULES`.
        source: where it was published.
    """

    name: str
    description: str
    function: str
    needs: frozenset[Need] = frozenset()
    rule: Literal["count", "threshold", "sign"] = "count"
    flops_rule: Literal["sparse", "rigl", "momentum"] = "sparse"
    source: str


@dataclass(frozen=True, kw_only=True)
class ArchitectureRow:
    """One architecture.

    Args:
        name: as it stands in specs.
        config: the class of its sizes.
        shapes: `(config, vocabulary_size)` to its parameters.
        problem: `config` to (field, reason) where the sizes contradict each other, else None.
        with_width: `(config, hidden_size)` to the same architecture narrower or wider.
        model: `module:class` of its torch module, built as `class(config, vocabulary_size, generator)`.
        has_unit_groups: whether all that belongs to one hidden unit can be taken out, as group lasso asks for.
        source: where it was published.
    """

    name: str
    config: type[ArchitectureConfig]
    shapes: Callable[[Any, int], tuple[ParameterShape, ...]]
    problem: Callable[[Any], tuple[str, str] | None]
    with_width: Callable[[Any, int], Any]
    model: str
    has_unit_groups: bool = False
    source: str
