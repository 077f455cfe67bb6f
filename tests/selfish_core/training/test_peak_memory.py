"""Memory: which errors mean that there was not enough, and what is said then."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest
import torch

from selfish_core.training.peak_memory import is_out_of_memory, retold


def test_torchs_own_error_on_the_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("Cannot allocate memory"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_others_are_known_by_their_kind(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) == is_it


class Large:
    pass


def test_what_is_retold_names_the_peak_and_holds_nothing() -> None:
    def grow() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory.\nsecond line")

    held: list[weakref.ref[Large]] = []
    try:
        grow()
    except torch.OutOfMemoryError as error:
        told = retold(error)
    gc.collect()
    assert held[0]() is None
    assert str(told).startswith("CUDA out of memory. [peak RSS ")
    assert "in grow" in told.__notes__[0]


MEASURE = """
import torch
from selfish_core.training.peak_memory import PeakMemory
memory = PeakMemory(torch.device("cpu"))
before = memory.num_bytes()
block = torch.ones(75_000_000)
print(before, memory.num_bytes(), block.nbytes)
"""


def test_a_peak_shows_what_was_allocated() -> None:
    """In a process of its own: what this one had at some time before would hide it."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    before, after, size = map(int, done.stdout.split())
    assert after >= before + 0.5 * size
