"""Scores that order weights for removal and regrowth: names, what each needs, and what its need costs.

The functions themselves are torch code in `selfish_core.sparsity`; a conformance test keeps both sides equal.
Higher means keep (removal) or first (regrowth).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Need = Literal["gradient", "momentum"]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One score.

    Args:
        name: as it stands in specs.
        description: one line.
        needs: what must be at hand beside the weights: a dense gradient, or the optimizer's momentum.
        flops_rule: training FLOPs of a method that regrows by it, a row of `selfish_core.accounting.FLOPS_RULES`.
        source: where it was published.
    """

    name: str
    description: str
    needs: frozenset[Need] = frozenset()
    flops_rule: str = "sparse"
    source: str


REMOVAL_SCORES: dict[str, ScoreRow] = {
    row.name: row
    for row in (
        ScoreRow(
            name="magnitude",
            description="absolute weight: the smallest go first",
            source="Liu et al., Selfish Sparse RNN Training, ICML 2021; Mocanu et al., SET, 2018 (as |w|)",
        ),
    )
}

REGROWTH_SCORES: dict[str, ScoreRow] = {
    row.name: row
    for row in (
        ScoreRow(
            name="random",
            description="uniform over the inactive positions",
            source="Mocanu et al., SET, 2018; Liu et al., Selfish Sparse RNN Training, ICML 2021",
        ),
        ScoreRow(
            name="gradient",
            description="absolute gradient of the last minibatch: the largest first",
            needs=frozenset({"gradient"}),
            flops_rule="rigl",
            source="Evci et al., Rigging the Lottery, ICML 2020",
        ),
        ScoreRow(
            name="momentum",
            description="absolute momentum of the optimizer: the largest first",
            needs=frozenset({"momentum"}),
            flops_rule="momentum",
            source="Dettmers and Zettlemoyer, Sparse Networks from Scratch, 2019",
        ),
    )
}
