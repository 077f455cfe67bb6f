from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfish_core.data.batching import batchify, segments


def test_streams_are_contiguous_and_the_remainder_is_dropped():
    rows_TB = batchify(np.arange(11), 3)
    assert rows_TB.tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    assert rows_TB.dtype == torch.int64
    assert rows_TB.is_contiguous()


def test_batchify_copies():
    tokens = np.arange(4)
    rows_TB = batchify(tokens, 1)
    rows_TB.zero_()
    assert tokens.tolist() == [0, 1, 2, 3]


def test_fewer_tokens_than_streams_give_no_row():
    rows_TB = batchify(np.arange(2), 3)
    assert rows_TB.shape == (0, 3)
    assert list(segments(rows_TB, 5)) == []


@given(num_tokens=st.integers(2, 200), batch_size=st.integers(1, 9), bptt_length=st.integers(1, 40))
def test_every_row_but_the_first_is_a_target_once_and_in_order(num_tokens, batch_size, bptt_length):
    rows_TB = batchify(np.arange(num_tokens), batch_size)
    pairs = list(segments(rows_TB, bptt_length))
    if len(rows_TB) < 2:
        assert pairs == []
        return
    assert torch.equal(torch.cat([y for _, y in pairs]), rows_TB[1:])
    assert torch.equal(torch.cat([x for x, _ in pairs]), rows_TB[:-1])
    assert all(len(x) == len(y) == bptt_length for x, y in pairs[:-1])
    assert all(torch.equal(y, x + 1) for x, y in pairs)


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match=f"is {size}"):
        batchify(np.arange(4), size)
    with pytest.raises(ValueError, match=f"is {size}"):
        next(segments(batchify(np.arange(4), 1), size))
