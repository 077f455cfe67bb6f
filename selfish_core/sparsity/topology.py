"""How far apart two sparse networks of one architecture are wired: NNSTD, from their masks alone.

1. Two neurons whose inputs are the sets A and B have the Jaccard distance 1 - |A ∩ B| / |A ∪ B|; 0 where both are
   empty.
2. Two layers have the mean distance of their neurons, each neuron of one network matched with one of the other.
3. Networks are compared from the input on: before a layer is, the second network's inputs are put in the order in
   which the layer below was matched. The distance of two networks is the mean over their layers, in [0, 1].

The method is defined for layers that only feed forward. What it means for a recurrent network is our choice:

- A layer is a `ParameterShape.layer`; its neurons are the units of its rows. A neuron's inputs are its rows in all
  gates of all the layer's tensors together, an input through another gate or tensor being another input. A gate
  without a row for each unit (the master gates of an ON-LSTM) is left out.
- Words stand at both ends and are matched by identity, as is what a mixture of softmaxes has for each component. The
  first layer's neurons are the embedding's dimensions, and their inputs the words; the decoder's are the words.
- A recurrent tensor has its units on both sides. They are matched (Hungarian algorithm, least sum of distances) by the
  inputs that are matched already, those from below; the recurrent tensors' columns are then put in that order, and the
  layer's distance is that of whole neurons, recurrent inputs too, under that match.
- Units that appear in several layers, as those of an RHN at every depth, are matched once. So are the dimensions of a
  tied embedding and the units that it decodes: they are the same columns.
- Layers without any mask are equal by nature: they are not counted, and what they make is matched by identity.

Where matches are equally good, units go to themselves first, so that equal masks have distance 0.

Source: Liu et al., Topological Insights into Sparse Neural Networks, ECML PKDD 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.units import (
    EMBEDDING,
    EXPERTS,
    WORDS,
    embedding_table,
    hidden_units,
    unit_blocks,
    whole_masks,
)

_CHUNK = 4096
"""Inputs that are counted at once; it decides memory, not the result."""

_TIE = 1e-9
"""By how much a unit counts as nearer to itself: more than rounding, less than differences that matter."""

Masks = Mapping[str, Tensor]
Match = Tensor | None
"""For each unit of the first network its partner in the second; None is identity."""


def topology_distance(masks_a: Masks, masks_b: Masks, shapes: Sequence[ParameterShape]) -> float:
    """Return the distance of two networks: the mean over their layers, in [0, 1]; 0 where there are no masks.

    Args:
        masks_a: of the first network; bool, by the parameter's name; a tensor without one is wholly active.
        masks_b: of the second network, likewise, on the same device.
        shapes: of all parameters of both.
    """
    distances = layer_distances(masks_a, masks_b, shapes)
    return sum(distances.values()) / len(distances) if distances else 0.0


def layer_distances(masks_a: Masks, masks_b: Masks, shapes: Sequence[ParameterShape]) -> dict[str, float]:
    """Return the distance of every layer that has a mask, by its name; arguments as for `topology_distance`."""
    networks = whole_masks(masks_a, shapes), whole_masks(masks_b, shapes)
    masked = masks_a.keys() | masks_b.keys()
    hidden = {units.name: units for units in hidden_units(shapes)}
    matches: dict[str, Match] = {WORDS: None, EXPERTS: None}
    distances = {}
    for layer, tensors in _layers(shapes).items():
        makes = tensors[0].makes
        if makes not in matches:
            below = [tensor for tensor in tensors if tensor.reads in matches]
            can_match = makes in (EMBEDDING, *hidden) and any(tensor.name in masked for tensor in below)
            matches[makes] = _match(*networks, below, matches) if can_match else None
            if makes == EMBEDDING:
                matches |= {name: matches[EMBEDDING] for name, units in hidden.items() if units.tied}
        if any(tensor.name in masked for tensor in tensors):
            distances[layer] = _distance(*networks, tensors, matches)
    return distances


@dataclass(frozen=True)
class _Wires:
    """One tensor as wires from inputs to neurons.

    Args:
        name: the tensor.
        makes: the units that are its neurons.
        reads: the units that are its inputs.
        blocks: its rows, a block for each gate; every block has one row for each neuron.
        is_table: whether its neurons are its columns: the embedding.
    """

    name: str
    makes: str
    reads: str
    blocks: tuple[slice, ...]
    is_table: bool

    def of(self, masks: Masks) -> list[Tensor]:
        """Return [neurons, inputs] of each gate."""
        mask = masks[self.name]
        return [mask.T] if self.is_table else [mask[rows] for rows in self.blocks]


def _layers(shapes: Sequence[ParameterShape]) -> dict[str, list[_Wires]]:
    """Return the tensors of each layer, from the input on."""
    table = embedding_table(shapes)
    sizes = {units.name: units.size for units in hidden_units(shapes)}
    layers: dict[str, list[_Wires]] = {}
    for shape in shapes:
        if shape == table:
            wires = _Wires(shape.name, EMBEDDING, WORDS, (), is_table=True)
        elif shape.row_units:
            blocks = unit_blocks(shape, sizes.get(shape.row_units, shape.shape[0]))
            rows = tuple(block.rows for block in blocks)
            wires = _Wires(shape.name, shape.row_units, shape.column_units, rows, is_table=False)
        else:
            continue
        layers.setdefault(shape.layer, []).append(wires)
    return layers


def _match(masks_a: Masks, masks_b: Masks, tensors: Sequence[_Wires], matches: Mapping[str, Match]) -> Tensor:
    """Match the neurons of a layer by inputs that are matched already, with the least sum of distances."""
    pairs = [
        (a, _ordered(b, matches[tensor.reads], dim=1))
        for tensor in tensors
        for a, b in zip(tensor.of(masks_a), tensor.of(masks_b), strict=True)
    ]
    num_a = torch.stack([a.sum(dim=1) for a, _ in pairs]).sum(dim=0)
    num_b = torch.stack([b.sum(dim=1) for _, b in pairs]).sum(dim=0)
    common = _common(pairs)
    cost = _jaccard(common, num_a.unsqueeze(1) + num_b - common)
    cost.diagonal().sub_(_TIE)
    _, partners = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(partners).to(cost.device)


def _distance(masks_a: Masks, masks_b: Masks, tensors: Sequence[_Wires], matches: Mapping[str, Match]) -> float:
    """Return the mean distance of the neurons of a layer, all of whose units are matched."""
    pairs = [
        (a, _ordered(_ordered(b, matches[tensor.makes], dim=0), matches[tensor.reads], dim=1))
        for tensor in tensors
        for a, b in zip(tensor.of(masks_a), tensor.of(masks_b), strict=True)
    ]
    common = torch.stack([(a & b).sum(dim=1) for a, b in pairs]).sum(dim=0)
    union = torch.stack([(a | b).sum(dim=1) for a, b in pairs]).sum(dim=0)
    return _jaccard(common, union).mean().item()


def _common(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Count the inputs that each neuron of one network has in common with each of the other; exact below 2^24."""
    first_a, first_b = pairs[0]
    found = torch.zeros(len(first_a), len(first_b), device=first_a.device)
    for a, b in pairs:
        for start in range(0, a.shape[1], _CHUNK):
            chunk = slice(start, start + _CHUNK)
            found.addmm_(a[:, chunk].float(), b[:, chunk].float().T)
    return found


def _jaccard(common: Tensor, union: Tensor) -> Tensor:
    """Return 1 - |A ∩ B| / |A ∪ B| in double precision; 0 where both sets are empty."""
    return torch.where(union > 0, 1.0 - common.double() / union.clamp(min=1), 0.0)


def _ordered(mask: Tensor, match: Match, dim: int) -> Tensor:
    return mask if match is None else mask.index_select(dim, match)
