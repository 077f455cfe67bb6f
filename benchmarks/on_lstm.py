"""What an ON-LSTM's training step costs beside the same step as a graph of single operations.

    python benchmarks/on_lstm.py

Everything is a ratio within one run: the two forms take turns, and the median of each counts. The plain form is the
cell written operation by operation and left to autograd; its input half is one product over all steps too. Operations
are counted as well, since their number decides where each of them is short, as on a GPU.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from selfish_core.catalogue.sizes.on_lstm import ONLSTMConfig
from selfish_core.models import on_lstm
from selfish_core.models.on_lstm_scan import scan

STREAMS, STEPS, CHUNK = 20, 70, 10
Scan = Callable[[Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]


def plain_scan(pre_TBG: Tensor, h: Tensor, c: Tensor, weight_GH: Tensor, chunk_size: int) -> tuple[Tensor, Tensor]:
    """The recurrence, one operation after the other."""
    hidden = h.shape[1]
    chunks = hidden // chunk_size
    c_BNC, rows = c.view(-1, chunks, chunk_size), []
    for pre_BG in pre_TBG:
        stacked = torch.addmm(pre_BG, h, weight_GH.T)
        master_in, master_forget, units = stacked.split([chunks, chunks, 4 * hidden], dim=1)
        o, g, i, f = units.view(-1, 4 * chunks, chunk_size).chunk(4, 1)
        m_in = (1 - functional.softmax(master_in, -1).cumsum(-1)).unsqueeze(-1)
        m_forget = functional.softmax(master_forget, -1).cumsum(-1).unsqueeze(-1)
        w = m_in * m_forget
        f = torch.sigmoid(f) * w + (m_forget - w)
        i = torch.sigmoid(i) * w + (m_in - w)
        c_BNC = f * c_BNC + i * torch.tanh(g)
        h = (torch.sigmoid(o) * torch.tanh(c_BNC)).flatten(1)
        rows.append(h)
    return torch.stack(rows), c_BNC.flatten(1)


def turns(forms: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each form, one call of each in turn, after two that are not counted."""
    found: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(repeats + 2):
        for name, action in forms.items():
            start = time.perf_counter()
            action()
            if turn >= 2:
                found[name].append(time.perf_counter() - start)
    return found


class Counting(TorchDispatchMode):
    """Counts operations that compute something; views do not."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += not operation.is_view and "empty" not in operation.name()
        return operation(*args, **(kwargs or {}))


def num_operations(action: Callable[[], object]) -> int:
    """Operations of one call."""
    with torch.autograd.set_multithreading_enabled(False), Counting() as counting:
        action()
    return counting.count


def recurrence(hidden: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of one layer's recurrence alone."""
    rows = 2 * hidden // CHUNK + 4 * hidden
    sizes = (STEPS, STREAMS, rows), (STREAMS, hidden), (STREAMS, hidden), (rows, hidden)
    inputs = [torch.randn(size).mul_(hidden**-0.5).requires_grad_() for size in sizes]
    outer = torch.randn(STEPS, STREAMS, hidden)

    def action(form: Scan) -> None:
        torch.autograd.grad(form(*inputs, CHUNK)[0], inputs, outer)

    return {"plain": lambda: action(plain_scan), "ours": lambda: action(scan)}


def products(hidden: int) -> float:
    """Seconds of the matrix products alone, which both forms need: the floor."""
    rows = 2 * hidden // CHUNK + 4 * hidden
    weight, h, da = torch.randn(rows, hidden), torch.randn(STREAMS, hidden), torch.randn(STREAMS, rows)
    all_h, all_da = torch.randn(STEPS * STREAMS, hidden), torch.randn(STEPS * STREAMS, rows)

    def action() -> None:
        for _ in range(STEPS):
            h @ weight.T
            da @ weight
        all_da.T @ all_h

    return statistics.median(turns({"products": action}, 7)["products"])


def training_step(embedding: int, hidden: int, vocabulary_size: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of the whole tied model of three layers with its dropout."""
    config = ONLSTMConfig(name="on_lstm", hidden_size=hidden, embedding_size=embedding, chunk_size=CHUNK)
    model = on_lstm.ONLSTM(config, vocabulary_size, torch.Generator().manual_seed(1))
    words, targets = torch.randint(0, vocabulary_size, (2, STEPS, STREAMS))
    generator, state = torch.Generator().manual_seed(2), model.initial_state(STREAMS)

    def action(form: Scan) -> None:
        on_lstm.scan = form
        model.zero_grad(set_to_none=True)
        scores = model(words, state, generator).scores_TBV
        functional.cross_entropy(scores.flatten(0, 1), targets.flatten()).backward()

    return {"plain": lambda: action(plain_scan), "ours": lambda: action(scan)}


def report(title: str, found: Mapping[str, list[float]], floor: float | None = None) -> None:
    """Print medians, and the median and the quartiles of the ratio turn by turn."""
    plain, ours = (statistics.median(found[name]) * 1e3 for name in ("plain", "ours"))
    low, middle, high = statistics.quantiles([a / b for a, b in zip(*found.values(), strict=True)], n=4)
    beside = "" if floor is None else f"   products alone {floor * 1e3:7.1f} ms"
    print(f"{title:46s} plain {plain:8.1f} ms   ours {ours:8.1f} ms   {middle:.2f}x ({low:.2f} to {high:.2f}){beside}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for hidden, repeats in ((100, 25), (300, 15), (1150, 5)):
        forms = recurrence(hidden)
        report(f"one layer's recurrence, H = {hidden}", turns(forms, repeats), products(hidden))
    print("operations of one layer's recurrence:", {name: num_operations(action) for name, action in forms.items()})
    for vocabulary_size in (100, 10_000):
        step = training_step(100, 300, vocabulary_size)
        report(f"whole model, 100/300/300/100, V = {vocabulary_size}", turns(step, 9))
