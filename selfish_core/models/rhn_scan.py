"""The recurrence of the recurrent highway network for a whole segment, with its backward pass written by hand.

Shapes: T time, B batch, H hidden, G rows of all gates (2H or 3H), D depth, S = D + 1 states.

At each step and depth, with z the hidden dropout mask and the gate rows in the order candidate, transform, carry:

    h = tanh(a_h),  t = sigmoid(a_t),  c = sigmoid(a_c) or 1 - t,  a = R (s * z) + bias [+ input, at the first depth]
    s <- h * t + s * c

Autograd would record some ten operations for each of the T·D highway steps and add up each weight gradient T times.
Here only what must be sequential is: the loop back in time carries the gradient of the state, while the derivatives
of the gates before it and the gradients of weights and biases after it are computed for all T steps at once.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

aten = torch.ops.aten


def highway_scan(
    input_TBG: Tensor, state_BH: Tensor, mask_BH: Tensor | None, bias_DG: Tensor, weights_GH: Sequence[Tensor]
) -> Tensor:
    """Run the recurrence over a segment.

    Args:
        input_TBG: what the word adds to the gates of the first depth, for all steps.
        state_BH: the state before the segment.
        mask_BH: hidden dropout mask, a constant; None without dropout.
        bias_DG: of every depth.
        weights_GH: the recurrent matrix of every depth; two blocks of H rows couple the carry gate, three do not.

    Returns:
        The state after each step, TBH; all other tensors get a gradient of first order, the mask none.

    Source: Zilly et al., Recurrent Highway Networks, ICML 2017.
    """
    apply: Callable[..., Tensor] = _HighwayScan.apply
    return apply(input_TBG, state_BH, mask_BH, bias_DG, *weights_GH)


class _HighwayScan(torch.autograd.Function):
    """Saves the state before, and the gates at, each step and depth: (1 + G/H)·D·T·B·H numbers and one state more."""

    @staticmethod
    def forward(
        ctx: Any, input_TBG: Tensor, state_BH: Tensor, mask_BH: Tensor | None, bias_DG: Tensor, *weights_GH: Tensor
    ) -> Tensor:
        T, B, D = *input_TBG.shape[:2], len(weights_GH)
        states_STBH = state_BH.new_empty(D + 1, T, *state_BH.shape)
        gates_DTBG = bias_DG[:, None, None].repeat(1, T, B, 1)
        gates_DTBG[0] += input_TBG
        step = for_device(forward_step, input_TBG.device.type)
        for time in range(T):
            states_STBH[0, time] = state_BH
            step(states_STBH[:, time], gates_DTBG[:, time], mask_BH, weights_GH)
            state_BH = states_STBH[D, time]
        ctx.save_for_backward(states_STBH, gates_DTBG, mask_BH, *weights_GH)
        return states_STBH[D].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_TBH: Tensor) -> tuple[Tensor | None, ...]:
        states_STBH, gates_DTBG, mask_BH, *weights_GH = ctx.saved_tensors
        # Holds first how the state after a highway step depends on its gates, then their gradient.
        slopes_DTBG = torch.empty_like(gates_DTBG)
        for states_TBH, gates_TBG, slopes_TBG in zip(states_STBH[:-1], gates_DTBG, slopes_DTBG, strict=True):
            write_slopes(states_TBH, gates_TBG, slopes_TBG)
        step = for_device(backward_step, output_TBH.device.type)
        gradient_BH = torch.zeros_like(output_TBH[0])
        for time in reversed(range(len(output_TBH))):
            gradient_BH = step(
                gradient_BH + output_TBH[time], slopes_DTBG[:, time], gates_DTBG[:, time], mask_BH, weights_GH
            )
        weight_gradients = [
            slopes_TBG.flatten(0, 1).t() @ masked(states_TBH, mask_BH).flatten(0, 1)
            for slopes_TBG, states_TBH in zip(slopes_DTBG, states_STBH[:-1], strict=True)
        ]
        return slopes_DTBG[0], gradient_BH, None, slopes_DTBG.sum((1, 2)), *weight_gradients


def masked(state: Tensor, mask_BH: Tensor | None) -> Tensor:
    """Multiply states by the hidden dropout mask where there is one."""
    return state if mask_BH is None else state * mask_BH


def forward_step(states_SBH: Tensor, gates_DBG: Tensor, mask_BH: Tensor | None, weights_GH: Sequence[Tensor]) -> None:
    """Run every depth of one step, in place.

    Args:
        states_SBH: the first row is the state before the step; row d is written: the state after depth d.
        gates_DBG: bias and input on entry, the gates' values afterwards.
        mask_BH: hidden dropout mask or None.
        weights_GH: the recurrent matrix of every depth.
    """
    H = states_SBH.shape[2]
    for depth, weight_GH in enumerate(weights_GH):
        state_BH, gates_BG = states_SBH[depth], gates_DBG[depth]
        gates_BG.addmm_(masked(state_BH, mask_BH), weight_GH.t())
        h_BH = gates_BG[:, :H].tanh_()
        gates_BG[:, H:].sigmoid_()
        t_BH = gates_BG[:, H : 2 * H]
        if gates_BG.shape[1] == 2 * H:
            torch.lerp(state_BH, h_BH, t_BH, out=states_SBH[depth + 1])
        else:
            torch.mul(state_BH, gates_BG[:, 2 * H :], out=states_SBH[depth + 1]).addcmul_(h_BH, t_BH)


def write_slopes(states_TBH: Tensor, gates_TBG: Tensor, slopes_TBG: Tensor) -> None:
    """Write by how much the state after one depth changes with each gate's argument, for all steps."""
    H = states_TBH.shape[-1]
    h, t, *free = torch.split(gates_TBG, H, dim=-1)
    slope_h, slope_t, *free_slope = torch.split(slopes_TBG, H, dim=-1)
    aten.tanh_backward.grad_input(t, h, grad_input=slope_h)
    if not free:
        aten.sigmoid_backward.grad_input(h - states_TBH, t, grad_input=slope_t)
        return
    aten.sigmoid_backward.grad_input(h, t, grad_input=slope_t)
    aten.sigmoid_backward.grad_input(states_TBH, free[0], grad_input=free_slope[0])


def backward_step(
    gradient_BH: Tensor, slopes_DBG: Tensor, gates_DBG: Tensor, mask_BH: Tensor | None, weights_GH: Sequence[Tensor]
) -> Tensor:
    """Go back through every depth of one step.

    Args:
        gradient_BH: of the loss by the state after the step.
        slopes_DBG: as `write_slopes` left them on entry, the gradient by the gates' arguments afterwards.
        gates_DBG: the gates' values.
        mask_BH: hidden dropout mask or None.
        weights_GH: the recurrent matrix of every depth.

    Returns:
        The gradient by the state before the step, BH.
    """
    B, H = gradient_BH.shape
    for depth in reversed(range(len(weights_GH))):
        slopes_BG, gates_BG = slopes_DBG[depth], gates_DBG[depth]
        slopes_BG.view(B, -1, H).mul_(gradient_BH.unsqueeze(1))
        if gates_BG.shape[1] == 2 * H:
            gradient_BH = torch.addcmul(gradient_BH, gradient_BH, gates_BG[:, H:], value=-1)
        else:
            gradient_BH = gradient_BH * gates_BG[:, 2 * H :]
        if mask_BH is None:
            gradient_BH.addmm_(slopes_BG, weights_GH[depth])
        else:
            gradient_BH.addcmul_(slopes_BG @ weights_GH[depth], mask_BH)
    return gradient_BH


@functools.cache
def for_device(step: Callable[..., Any], device_type: str) -> Callable[..., Any]:
    """Compile a step where launching its small kernels would dominate: on CUDA, given Triton; elsewhere it stays.

    Compiled steps are tested on the CPU to equal the plain ones; they have not been run on a GPU yet.
    """
    if device_type == "cuda" and importlib.util.find_spec("triton") is not None:
        return torch.compile(step, dynamic=False)
    return step
