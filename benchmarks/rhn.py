"""What the recurrent highway network's hand-written recurrence saves beside the plain loop under autograd.

    python benchmarks/rhn.py

One torch thread, depth 10, tied, 20 streams of 35 words, with hidden dropout. The three ways take turns within one
run and compute the same numbers, which is checked first. Read the ratios and not the milliseconds.
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
    """The equations line by line."""
    return _loop(model, (model.input(x) for x in x_TBE), state, mask)


def loop_with_input_at_once(model: RHN, x_TBE: Tensor, state: Tensor, mask: Tensor) -> Tensor:
    """The same loop, but what the words add to the gates is one product for all steps."""
    return _loop(model, model.input(x_TBE), state, mask)


def hand_written(model: RHN, x_TBE: Tensor, state: Tensor, mask: Tensor) -> Tensor:
    """What the model does."""
    bias = torch.stack([linear.bias for linear in model.recurrent])
    return highway_scan(model.input(x_TBE), state, mask, bias, [linear.weight for linear in model.recurrent])


def _loop(model: RHN, inputs, state: Tensor, mask: Tensor) -> Tensor:
    width, is_coupled, states = model.config.hidden_size, model.config.is_coupled, []
    for added in inputs:
        for depth, linear in enumerate(model.recurrent):
            gates = linear(state * mask)
            if depth == 0:
                gates = gates + added
            h = torch.tanh(gates[:, :width])
            t = torch.sigmoid(gates[:, width : 2 * width])
            c = 1 - t if is_coupled else torch.sigmoid(gates[:, 2 * width :])
            state = h * t + state * c
        states.append(state)
    return torch.stack(states)


WAYS: dict[str, Recurrence] = {
    "plain loop": plain_loop,
    "loop, input half at once": loop_with_input_at_once,
    "hand-written": hand_written,
}


def measure(width: int, is_coupled: bool, with_decoder: bool, repeats: int) -> dict[str, tuple[float, float]]:
    """Median seconds of the forward and of the backward pass, of each way."""
    config = RHNConfig(name="rhn", depth=DEPTH, hidden_size=width, embedding_size=width, is_coupled=is_coupled)
    generator = torch.Generator().manual_seed(1)
    model = RHN(config, V, generator)
    words, targets = torch.randint(0, V, (2, T, B), generator=generator)
    (state,) = model.initial_state(B)
    mask = dropout_mask(state.shape, 0.25, state, generator)

    def loss(way: Recurrence) -> Tensor:
        raw = way(model, model.embedding(words), state, mask)
        return (
            functional.cross_entropy(model.decoder(raw).flatten(0, 1), targets.flatten())
            if with_decoder
            else (raw.square().mean())
        )

    check(model, loss)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            model.zero_grad(set_to_none=False)
            start = time.perf_counter()
            value = loss(way)
            middle = time.perf_counter()
            value.backward()
            times[name].append((middle - start, time.perf_counter() - middle))
    return {
        name: (statistics.median(a for a, _ in found), statistics.median(b for _, b in found))
        for name, found in times.items()
    }


def check(model: RHN, loss: Callable[[Recurrence], Tensor]) -> None:
    """Every way gives the same loss and gradients; also the first, uncounted call of each."""
    expected: list[Tensor] = []
    for way in WAYS.values():
        model.zero_grad()
        loss(way).backward()
        found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
        for one, other in zip(found, expected or found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
        expected = found


def report(title: str, found: dict[str, tuple[float, float]]) -> None:
    """Print milliseconds, and how many times as long as the hand-written one each way takes."""
    print(title)
    ours = sum(found["hand-written"])
    for name, (forward, backward) in found.items():
        both = forward + backward
        print(
            f"  {name:26s} forward {forward * 1e3:7.1f} ms  backward {backward * 1e3:7.1f} ms"
            f"  both {both * 1e3:7.1f} ms   {both / ours:5.2f}x"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for width, is_coupled, repeats in ((50, True, 21), (200, True, 21), (200, False, 15), (830, True, 5)):
        kind = "coupled" if is_coupled else "carry gate free"
        report(f"recurrence, width {width}, {kind}", measure(width, is_coupled, False, repeats))
    report("whole model, width 200, V = 10,000, coupled", measure(200, True, True, 15))
