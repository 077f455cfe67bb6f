"""What a mixture of softmaxes costs, forward and back, beside the plain formula: time and peak memory.

    python benchmarks/mos.py ptb wikitext-2 wikitext-2-whole

Positions are those of one step of the published recipes; WikiText-2's goes in three parts there, for want of memory.
Each form runs in a process of its own, so that its peak memory is its own (Linux only), on one thread. Seconds are CPU
seconds, user and system, so that they mean something beside other work; read the ratios.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from selfish_core.models import mixture
from selfish_core.models.mixture import mixture_of_softmaxes

EXPERTS = 15
REPEATS = 2


class Size(NamedTuple):
    positions: int
    vocabulary: int
    width: int


SIZES = {
    "ptb": Size(70 * 12, 10_000, 280),
    "wikitext-2": Size(70 * 5, 33_278, 300),
    "wikitext-2-whole": Size(70 * 15, 33_278, 300),
}


def stable(latent_NKE: Tensor, log_prior_NK: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
    """The plain formula in logarithms."""
    log_softmax_NKV = functional.log_softmax(functional.linear(latent_NKE, weight_VE, bias_V), dim=-1)
    return torch.logsumexp(log_softmax_NKV + log_prior_NK.unsqueeze(-1), dim=1)


def floored(latent_NKE: Tensor, log_prior_NK: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
    """The plain formula in probabilities, with a floor below which they do not fall."""
    softmax_NKV = functional.linear(latent_NKE, weight_VE, bias_V).softmax(dim=-1)
    return ((softmax_NKV * log_prior_NK.exp().unsqueeze(-1)).sum(1) + 1e-8).log()


def checkpointed(latent_NKE: Tensor, log_prior_NK: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
    """The plain formula in logarithms, chunk by chunk, with torch computing each chunk anew on the way back."""
    size = max(1, mixture.CHUNK_ENTRIES // (EXPERTS * len(weight_VE)))
    chunks = zip(latent_NKE.split(size), log_prior_NK.split(size), strict=True)
    return torch.cat([checkpoint(stable, *chunk, weight_VE, bias_V, use_reentrant=False) for chunk in chunks])


FORMS: dict[str, Callable[..., Tensor]] = {
    "plain, logarithms": stable,
    "plain, probabilities + 1e-8": floored,
    "chunks, torch's checkpoint": checkpointed,
    "mixture_of_softmaxes": mixture_of_softmaxes,
}


class Cost(NamedTuple):
    seconds: float
    mebibytes: float
    loss: float


def cost(form: str, size: Size) -> Cost:
    """Measure a loss and its gradients: the fastest of some, and the memory beside inputs and gradients."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    latent = torch.randn(size.positions, EXPERTS, size.width, generator=generator).tanh()
    log_prior = torch.randn(size.positions, EXPERTS, generator=generator).log_softmax(-1)
    weight = torch.randn(size.vocabulary, size.width, generator=generator) / size.width**0.5
    targets = torch.randint(0, size.vocabulary, (size.positions,), generator=generator)
    parts = [part.requires_grad_() for part in (latent, log_prior, weight, torch.zeros(size.vocabulary))]
    for part in parts:
        part.grad = torch.zeros_like(part)
    before = kibibytes("VmRSS")
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        loss = functional.nll_loss(FORMS[form](*parts), targets)
        loss.backward()
        times.append(time.process_time() - start)
    return Cost(min(times), (kibibytes("VmHWM") - before) / 1024, loss.item())


def kibibytes(field: str) -> int:
    """Read this process's memory, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def report(name: str) -> None:
    """Measure every form at one size and print it beside the plain formula."""
    size = SIZES[name]
    one = size.positions * size.vocabulary * 4 / 2**20
    print(f"{name}: {size.positions} positions, {size.vocabulary} words; one result is {one:.0f} MiB")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as alone:
        costs = {form: alone.submit(cost, form, size).result() for form in FORMS}
    plain = costs["plain, logarithms"]
    for form, found in costs.items():
        ratios = f"{found.seconds / plain.seconds:5.2f}x {found.mebibytes / plain.mebibytes:5.2f}x"
        print(f"  {form:28s} {found.seconds:6.2f} s {found.mebibytes:6.0f} MiB {ratios}   loss {found.loss:.5f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or ["ptb"]:
        report(name)
