"""How tokens become batches: parallel streams, cut into segments of the time axis.

Shape letters: T time, B batch (parallel streams).
Source: the batchify and get_batch of the word language model example of PyTorch and of the paper's official code.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch


def batchify(tokens: npt.NDArray[np.int64], batch_size: int) -> torch.Tensor:
    """Lay tokens out as parallel streams; stream b is `tokens[b * num_rows : (b + 1) * num_rows]`.

    Args:
        tokens: token ids, [num_tokens].
        batch_size: number of streams B, ≥ 1; the remainder of fewer than B tokens is dropped.

    Returns:
        rows_TB: int64, [num_tokens // batch_size, batch_size], a copy of its own.

    >>> batchify(np.arange(7), 2)
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, must be at least 1")
    num_rows = len(tokens) // batch_size
    streams_BT = np.asarray(tokens[: num_rows * batch_size], dtype=np.int64).reshape(batch_size, num_rows)
    return torch.from_numpy(streams_BT.T.copy())


def segments(rows_TB: torch.Tensor, bptt_length: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield inputs and targets, one row later, of consecutive segments; every row but the first is a target once.

    Args:
        rows_TB: what `batchify` gave.
        bptt_length: rows of a segment, ≥ 1; the last one may be shorter.

    >>> [(x.flatten().tolist(), y.flatten().tolist()) for x, y in segments(batchify(np.arange(6), 1), 3)]
    [([0, 1, 2], [1, 2, 3]), ([3, 4], [4, 5])]
    """
    if bptt_length < 1:
        raise ValueError(f"bptt_length is {bptt_length}, must be at least 1")
    return cut(rows_TB, itertools.repeat(bptt_length))


def cut(rows_TB: torch.Tensor, lengths: Iterable[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield inputs and targets of consecutive segments of the given lengths, to the end of the rows.

    >>> [x.flatten().tolist() for x, _ in cut(batchify(np.arange(8), 1), [2, 4, 4])]
    [[0, 1], [2, 3, 4, 5], [6]]
    """
    last, start = len(rows_TB) - 1, 0
    for length in lengths:
        stop = min(start + length, last)
        if start >= last:
            return
        yield rows_TB[start:stop], rows_TB[start + 1 : stop + 1]
        start = stop
