"""What Selfish knows of the two scores without torch."""

from __future__ import annotations

from selfish_core.catalogue.rows import ScoreRow

MOVEMENT = ScoreRow(
    name="movement",
    description="minus weight times gradient of the last minibatch: what moves towards zero goes first",
    function="selfish_example.scores:movement",
    needs=frozenset({"gradient"}),
    source="Sanh et al., Movement Pruning, NeurIPS 2020, who sum it over the steps; here the last one alone",
)

SAMPLED_GRADIENT = ScoreRow(
    name="sampled_gradient",
    description="drawn without replacement in proportion to the absolute gradient of the last minibatch",
    function="selfish_example.scores:sampled_gradient",
    needs=frozenset({"gradient"}),
    flops_rule="rigl",
    source="Kool et al., Stochastic Beams and Where to Find Them, ICML 2019, for the Gumbel noise",
)
