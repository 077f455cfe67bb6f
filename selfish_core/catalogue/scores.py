"""Rules that choose weights for removal and regrowth: names, what each needs, and what its need costs.

Most are scores; higher means keep (removal) or first (regrowth). The functions themselves are torch code in
`selfish_core.sparsity.scores`, found by the path that stands here.
"""

from __future__ import annotations

from collections.abc import Mapping

from selfish_core.catalogue.extensions import SCORES_GROUP, with_extensions
from selfish_core.catalogue.rows import Need, ScoreRow

_HERE = "selfish_core.sparsity.scores"

_REMOVAL = (
    ScoreRow(
        name="magnitude",
        description="absolute weight: the smallest go first",
        function=f"{_HERE}:magnitude",
        source="Liu et al., Selfish Sparse RNN Training, ICML 2021; Mocanu et al., SET, 2018 (as |w|)",
    ),
    ScoreRow(
        name="signed_magnitude",
        description="the same share of the positive and of the negative weights, those nearest to zero first",
        function=f"{_HERE}:signed_magnitude",
        source="Mocanu et al., Scalable Training of Artificial Neural Networks, Nature Communications 2018",
    ),
    ScoreRow(
        name="snip",
        description="absolute product of weight and gradient of the last minibatch: the smallest go first",
        function=f"{_HERE}:snip",
        needs=frozenset({"gradient"}),
        source="Lee et al., SNIP: Single-shot Network Pruning based on Connection Sensitivity, ICLR 2019",
    ),
    ScoreRow(
        name="random",
        description="uniform over the active positions",
        function=f"{_HERE}:random",
        source="the control of removal ablations",
    ),
    ScoreRow(
        name="threshold",
        description="every weight smaller than a threshold that adapts to the removal rate",
        function=f"{_HERE}:magnitude",
        rule="threshold",
        source="Mostafa and Wang, Parameter Efficient Training by Dynamic Sparse Reparameterization, ICML 2019",
    ),
    ScoreRow(
        name="sign_change",
        description="every weight whose sign has changed since it became active",
        function=f"{_HERE}:magnitude",
        rule="sign",
        source="Bellec et al., Deep Rewiring, ICLR 2018",
    ),
)

_REGROWTH = (
    ScoreRow(
        name="random",
        description="uniform over the inactive positions",
        function=f"{_HERE}:random",
        source="Mocanu et al., SET, 2018; Liu et al., Selfish Sparse RNN Training, ICML 2021",
    ),
    ScoreRow(
        name="gradient",
        description="absolute gradient of the last minibatch, or the mean of the last few: the largest first",
        function=f"{_HERE}:gradient",
        needs=frozenset({"gradient"}),
        flops_rule="rigl",
        source="Evci et al., Rigging the Lottery, ICML 2020",
    ),
    ScoreRow(
        name="momentum",
        description="absolute momentum of the optimizer: the largest first",
        function=f"{_HERE}:momentum",
        needs=frozenset({"momentum"}),
        flops_rule="momentum",
        source="Dettmers and Zettlemoyer, Sparse Networks from Scratch, 2019",
    ),
)


def _table(rows: tuple[ScoreRow, ...], kind: str) -> Mapping[str, ScoreRow]:
    return with_extensions(SCORES_GROUP, {row.name: row for row in rows}, ScoreRow, prefix=f"{kind}.")


REMOVAL_SCORES: Mapping[str, ScoreRow] = _table(_REMOVAL, "removal")
REGROWTH_SCORES: Mapping[str, ScoreRow] = _table(_REGROWTH, "regrowth")

REDISTRIBUTIONS: Mapping[str, frozenset[Need]] = {
    "none": frozenset(),
    "magnitude": frozenset(),
    "momentum": frozenset({"momentum"}),
    "nonzeros": frozenset(),
}
"""What decides a tensor's share of the regrowth, and what it needs: nothing (each gets back what it lost), the mean
magnitude or momentum of its active weights, or their number (Dettmers and Zettlemoyer 2019; Mostafa and Wang 2019)."""
