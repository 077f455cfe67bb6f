"""Weights in a safetensors file, sparse ones as their values and one bit a position; back to the same values.

A tensor `decoder.weight` stands there as it is, or, where that is shorter, as `values/decoder.weight` (in row-major
order) and `where/decoder.weight` (packed bits). Which ones, and their shapes, is in the file's own metadata. Every bit
of what is not zero is kept; the sign of a zero, which a mask leaves to an inactive weight, is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor

from selfish_core.errors import CorruptFileError
from selfish_core.sparsity.masks import pack, unpack

FORMAT = 1
ABOUT = "selfish"
"""The one entry of the metadata: safetensors writes several in any order, and the same weights give the same bytes."""


def encode(weights: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of the file."""
    tensors: dict[str, Tensor] = {}
    shapes = {}
    for name, weight in sorted(weights.items()):
        weight = weight.detach().cpu().contiguous()
        where = weight != 0
        values = weight[where]
        if values.numel() * weight.element_size() + weight.numel() / 8 < weight.nbytes:
            tensors |= {f"values/{name}": values, f"where/{name}": pack(where)}
            shapes[name] = list(weight.shape)
        else:
            tensors[name] = weight
    about = json.dumps(
        {"format": FORMAT, "sparse": shapes}, sort_keys=True
    )  # one entry: the file has them in any order
    data: bytes = save_tensors(tensors, {ABOUT: about})
    return data


def decode(path: str) -> dict[str, Tensor]:
    """Return the weights of a file, dense, by name.

    Raises:
        CorruptFileError: when it is not such a file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            if about["format"] != FORMAT:
                raise ValueError(f"format is {about['format']!r}, must be {FORMAT}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        sparse = {name: _filled(tensors, name, shape) for name, shape in about["sparse"].items()}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CorruptFileError(f"{path}: not weights of format {FORMAT}: {str(error).splitlines()[0]}") from error
    dense = {name: tensor for name, tensor in tensors.items() if not name.startswith(("values/", "where/"))}
    return dense | sparse


def _filled(tensors: Mapping[str, Tensor], name: str, shape: list[int]) -> Tensor:
    values = tensors[f"values/{name}"]
    weight = values.new_zeros(shape)
    weight[unpack(tensors[f"where/{name}"], shape)] = values
    return weight
