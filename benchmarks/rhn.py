"""What the recurrent highway network's hand-written recurrence saves beside the plain loop under autograd.

    python benchmarks/rhn.py

One torch thread, depth 10, tied, 20 streams of 35 words, with hidden dropout. The two ways take turns within one run
and compute the same gradients, which is checked first. Times are of the processor, not of the clock, so that other
work on the machine counts little; read the ratios and not the milliseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from selfish_core.catalogue.sizes.rhn import RHNConfig
from selfish_core.models.layers import dropout_mask
from selfish_core.models.rhn import RHN
from selfish_core.models.rhn_scan import highway_scan

DEPTH, T, B, V = 10, 35, 20, 10_000
Recurrence = Callable[[RHN, Tensor, Tensor, Tensor], Tensor]


def plain_loop(model: RHN, x_TBE: Tensor, state: Tensor, mask: Tensor) -> Tensor:
    """The equations line by line; autograd does the rest."""
    width, is_coupled, states = model.config.hidden_size, model.config.is_coupled, []
    for x in x_TBE:
        for depth, linear in enumerate(model.recurrent):
            gates = linear(state * mask)
            if depth == 0:
                gates = gates + model.input(x)
            h = torch.tanh(gates[:, :width])
            t = torch.sigmoid(gates[:, width : 2 * width])
            c = 1 - t if is_coupled else torch.sigmoid(gates[:, 2 * width :])
            state = h * t + state * c
        states.append(state)
    return torch.stack(states)


def hand_written(model: RHN, x_TBE: Tensor, state: Tensor, mask: Tensor) -> Tensor:
    """What the model does."""
    bias = torch.stack([linear.bias for linear in model.recurrent])
    return highway_scan(model.input(x_TBE), state, mask, bias, [linear.weight for linear in model.recurrent])


WAYS: dict[str, Recurrence] = {"plain loop": plain_loop, "hand-written": hand_written}


def measure(width: int, is_coupled: bool, is_whole: bool, repeats: int) -> dict[str, tuple[float, float]]:
    """Median processor seconds of the forward and of the backward pass, of each way."""
    config = RHNConfig(name="rhn", depth=DEPTH, hidden_size=width, embedding_size=width, is_coupled=is_coupled)
    generator = torch.Generator().manual_seed(1)
    model = RHN(config, V, generator)
    words, targets = torch.randint(0, V, (2, T, B), generator=generator)
    (state,) = model.initial_state(B)
    mask = dropout_mask(state.shape, 0.25, state, generator)

    def whole(way: Recurrence) -> Tensor:
        raw = way(model, model.embedding(words), state, mask)
        return functional.cross_entropy(model.decoder(raw).flatten(0, 1), targets.flatten())

    x_TBE = model.embedding(words).detach().requires_grad_()

    def recurrence(way: Recurrence) -> Tensor:
        return way(model, x_TBE, state, mask).square().sum()

    loss = whole if is_whole else recurrence
    check(model, loss)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            model.zero_grad()
            start = time.process_time()
            value = loss(way)
            middle = time.process_time()
            value.backward()
            times[name].append((middle - start, time.process_time() - middle))
    return {
        name: (statistics.median(a for a, _ in found), statistics.median(b for _, b in found))
        for name, found in times.items()
    }


def check(model: RHN, loss: Callable[[Recurrence], Tensor]) -> None:
    """Both ways give the same gradients; also the first, uncounted call of each."""
    found: list[list[Tensor]] = []
    for way in WAYS.values():
        model.zero_grad()
        loss(way).backward()
        found.append([weight.grad for weight in model.parameters() if weight.grad is not None])
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


def report(title: str, found: dict[str, tuple[float, float]]) -> None:
    """Print milliseconds, and how many times as long as the hand-written one each way takes."""
    print(title)
    ours = sum(found["hand-written"])
    for name, (forward, backward) in found.items():
        both = forward + backward
        print(
            f"  {name:12s} forward {forward * 1e3:7.1f} ms  backward {backward * 1e3:7.1f} ms"
            f"  both {both * 1e3:7.1f} ms   {both / ours:5.2f}x"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for width, is_coupled, repeats in ((50, True, 21), (200, True, 21), (200, False, 15), (830, True, 5)):
        kind = "coupled" if is_coupled else "carry gate free"
        report(f"recurrence, width {width}, {kind}", measure(width, is_coupled, False, repeats))
    report("whole model, width 200, V = 10,000, coupled", measure(200, True, True, 15))
