"""How much memory a process has had at most, whether an error says that there was not enough, and giving it back."""

from __future__ import annotations

import gc
import resource
import textwrap
import traceback
from collections.abc import Collection
from pathlib import Path

import psutil
import torch

_NAMES = {"MemoryError", "OutOfMemoryError"}
"""Of the classes that Python, torch and Ray have for it."""

_CPU_ALLOCATOR = "allocate memory"
"""In the RuntimeError of torch's allocator on the CPU: "can't allocate memory: you tried to allocate … bytes"."""

_STATUS = Path("/proc/self/status")

_MAX_TOLD = 300


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on a GPU or beside it."""
    return tells_of_memory([kind.__name__ for kind in type(error).__mro__], str(error))


def tells_of_memory(names: Collection[str], text: str) -> bool:
    """Whether an error of which only the names of its classes and the text are left says so."""
    return not _NAMES.isdisjoint(names) or ("RuntimeError" in names and _CPU_ALLOCATOR in text)


def retold(error: BaseException) -> MemoryError:
    """Say what an error says, and the peaks, without a reference to what the error's frames hold.

    Args:
        error: for which `is_out_of_memory` holds; its traceback becomes a note, indented so that it is not taken for
            the error itself.
    """
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    told = MemoryError(f"{first[:_MAX_TOLD]} [{peaks()}]")
    told.add_note(textwrap.indent("".join(traceback.format_exception(error)), "  | "))
    return told


def give_back() -> None:
    """Free what nothing refers to any more, torch's cache on a GPU too."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch has no annotation
        torch.cuda.empty_cache()


def peaks() -> str:
    """Name the most memory that this process has had so far, on its GPU where it has one, and beside it."""
    found = [f"peak RSS {_gigabytes(_peak_rss())}"]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch has no annotation
        reserved, total = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties().total_memory
        found.insert(0, f"peak on the GPU {_gigabytes(reserved)} of {_gigabytes(total)}")
    return ", ".join(found)


class PeakMemory:
    """Measure the most memory that a piece of work has on its device, from now on.

    On a GPU it is what torch has reserved; on a CPU, by how much the process has grown, or more where it was larger at
    some time before.

    Args:
        device: where it computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        give_back()
        self._rss = psutil.Process().memory_info().rss
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def num_bytes(self) -> int:
        """Return the most that it had so far."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_reserved(self._device))
        return max(0, _peak_rss() - self._rss)

    def device_bytes(self) -> int:
        """Return all that the device has."""
        if self._device.type == "cuda":
            return int(torch.cuda.get_device_properties(self._device).total_memory)
        return int(psutil.virtual_memory().total)


def _peak_rss() -> int:
    """Ask Linux for the peak of this very program: `ru_maxrss` begins with that of the one that started it."""
    if _STATUS.exists():
        peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB"
