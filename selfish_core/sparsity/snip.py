"""SNIP's first mask: the weights whose product with the gradient of one minibatch is largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from selfish_core.accounting import TensorTarget
from selfish_core.sparsity.pools import choose_in_pool, counts_of_pools, pools
from selfish_core.sparsity.scores import ScoreInputs, snip


def snip_masks(
    targets: Sequence[TensorTarget],
    granularity: str,
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Choose the first masks; each pool keeps as many weights as its tensors' densities say.

    Args:
        targets: tensors and their densities; those of density 1 get no mask.
        granularity: within what the weights compete.
        weights: dense, by name.
        gradients: of the first minibatch's loss, by name.
        generator: of nothing; scores take one.

    Returns:
        Bool masks by name.

    Source: Lee et al., SNIP: Single-shot Network Pruning based on Connection Sensitivity, ICLR 2019.
    """
    sparse = [target for target in targets if target.density < 1.0]
    scores = {
        target.shape.name: -snip(
            ScoreInputs(weights[target.shape.name], generator, gradient=gradients[target.shape.name])
        )
        for target in sparse
    }
    everywhere = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
    masks = {name: torch.zeros_like(mask) for name, mask in everywhere.items()}
    counts = {target.shape.name: target.num_active for target in sparse}
    cut = pools(granularity, [target.shape for target in sparse])
    for pool, count in zip(cut, counts_of_pools(cut, counts, masks), strict=True):
        for block, chosen in zip(pool, choose_in_pool(pool, scores, everywhere, count), strict=True):
            masks[block.tensor][block.rows] |= chosen
    return masks
