"""The recurrence of an ordered-neurons LSTM layer over a segment, with its gradients written by hand.

Shapes: T time, B batch, H units, N chunks, C units of a chunk (H = N·C), G = 2N + 4H rows of gates. The rows of G are
master input (N), master forget (N), output, cell, input, forget (H each); unit j belongs to chunk j // C.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def scan(pre_TBG: Tensor, h_BH: Tensor, c_BH: Tensor, weight_GH: Tensor, chunk_size: int) -> tuple[Tensor, Tensor]:
    """Run the recurrence; differentiable once in its four tensors.

    At each step, with a = pre + W h of the step before and cumsoftmax(x) = cumsum(softmax(x)):

        m_in = 1 - cumsoftmax(a_master_input)       m_f = cumsoftmax(a_master_forget)       w = m_in m_f
        i' = sigmoid(a_input) w + (m_in - w)        f' = sigmoid(a_forget) w + (m_f - w)
        c = f' c + i' tanh(a_cell)                  h = sigmoid(a_output) tanh(c)

    The masters hold for every unit of their chunk. The graph has one node, not some twenty for each step: only the
    gradient of the state goes back step by step, that of the weight is one product over all steps.

    Args:
        pre_TBG: what does not depend on the state: the input's half and the biases.
        h_BH: state before the first step.
        c_BH: cell before the first step.
        weight_GH: hidden to hidden, as it is multiplied.
        chunk_size: C.

    Returns:
        h_TBH of every step, and c_BH after the last.

    Source: Shen et al., Ordered Neurons: Integrating Tree Structures into Recurrent Neural Networks, ICLR 2019.
    """
    return cast(tuple[Tensor, Tensor], _Scan.apply(pre_TBG, h_BH, c_BH, weight_GH, chunk_size))  # type: ignore[no-untyped-call]  # torch has no annotation for it


BLOCK_STEPS = 12
"""Steps whose slopes are computed at once: enough that few calls are made, few enough that they stay in the cache."""


class _Gates(NamedTuple):
    """The gates apart, of one step or of several; the masters are softmax(a), their sum not yet taken."""

    masters_2N: Tensor
    output_H: Tensor
    cell_H: Tensor
    input_forget_2NC: Tensor


class _Slopes(NamedTuple):
    """What a gradient is multiplied by on its way back through a step; of one step or of several.

    Args:
        output_H: from h to a_output.
        into_cell_H: from h to c.
        units_3H: from c to a_cell, a_input and a_forget.
        masters_2NC: from c to the two cumsoftmaxes, before the sum over a chunk.
        forget_H: from c to c of the step before.
        softmax_2N: of the masters.
        cumsoftmax_2N: of the masters.
    """

    output_H: Tensor
    into_cell_H: Tensor
    units_3H: Tensor
    masters_2NC: Tensor
    forget_H: Tensor
    softmax_2N: Tensor
    cumsoftmax_2N: Tensor


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pre_TBG: Tensor, h_BH: Tensor, c_BH: Tensor, weight_GH: Tensor, chunk_size: int
    ) -> tuple[Tensor, Tensor]:
        length = len(pre_TBG)
        gates_TBG = torch.empty_like(pre_TBG)
        h_TBH = pre_TBG.new_empty(length, *h_BH.shape)
        tanh_TBH = torch.empty_like(h_TBH)
        cells_TBH = pre_TBG.new_empty(length + 1, *c_BH.shape)
        cells_TBH[0] = c_BH
        h = h_BH
        for t, step in enumerate(zip(*_split(gates_TBG, chunk_size), strict=True)):
            gates = _Gates(*step)
            torch.addmm(pre_TBG[t], h, weight_GH.T, out=gates_TBG[t])
            gates.masters_2N.copy_(gates.masters_2N.softmax(-1))
            gates.output_H.sigmoid_()
            gates.cell_H.tanh_()
            gates.input_forget_2NC.sigmoid_()
            i_BH, f_BH = _mixed(gates, *_masters(gates))
            c = torch.mul(f_BH, cells_TBH[t], out=cells_TBH[t + 1]).addcmul_(i_BH, gates.cell_H)
            h = torch.mul(torch.tanh(c, out=tanh_TBH[t]), gates.output_H, out=h_TBH[t])
        ctx.save_for_backward(gates_TBG, cells_TBH, tanh_TBH, h_TBH, h_BH, weight_GH)
        ctx.chunk_size = chunk_size
        return h_TBH, cells_TBH[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor, dc_BH: Tensor) -> tuple[Tensor | None, ...]:
        gates_TBG, cells_TBH, tanh_TBH, h_TBH, h_BH, weight_GH = ctx.saved_tensors
        da_TBG = torch.empty_like(gates_TBG)
        dh, dc = torch.zeros_like(h_BH), dc_BH.clone()
        for stop in range(len(da_TBG), 0, -BLOCK_STEPS):
            block = slice(max(0, stop - BLOCK_STEPS), stop)
            gates = _split(gates_TBG[block], ctx.chunk_size)
            slopes = zip(*_slopes(gates, cells_TBH[block], tanh_TBH[block]), strict=True)
            steps = list(zip(slopes, da_TBG[block], dh_TBH[block], strict=True))
            for slope, da_BG, dh_BH in reversed(steps):
                dh += dh_BH
                _step_back(_Slopes(*slope), dh, dc, out=da_BG)
                torch.mm(da_BG, weight_GH, out=dh)
        before_TBH = torch.cat((h_BH.unsqueeze(0), h_TBH[:-1]))
        dweight_GH = da_TBG.flatten(0, 1).T @ before_TBH.flatten(0, 1)
        return da_TBG, dh, dc, dweight_GH, None


def _split(gates_TBG: Tensor, chunk_size: int) -> _Gates:
    """Return views of the gates."""
    chunks = gates_TBG.shape[-1] // (2 + 4 * chunk_size)
    hidden = chunks * chunk_size
    masters, output_H, cell_H, rest = torch.split(gates_TBG, [2 * chunks, hidden, hidden, 2 * hidden], -1)
    return _Gates(
        masters_2N=torch.unflatten(masters, -1, (2, chunks)),
        output_H=output_H,
        cell_H=cell_H,
        input_forget_2NC=torch.unflatten(rest, -1, (2, chunks, chunk_size)),
    )


def _masters(gates: _Gates) -> tuple[Tensor, Tensor]:
    """Return m_in and m_f, and their overlap w."""
    masters_2N = gates.masters_2N.cumsum(-1)
    masters_2N[..., 0, :].neg_().add_(1.0)
    return masters_2N, masters_2N[..., :1, :] * masters_2N[..., 1:, :]


def _mixed(gates: _Gates, masters_2N: Tensor, overlap_1N: Tensor) -> tuple[Tensor, ...]:
    """Return i' and f'."""
    alone_2N1 = (masters_2N - overlap_1N).unsqueeze(-1)
    mixed_2NC = torch.addcmul(alone_2N1, overlap_1N.unsqueeze(-1), gates.input_forget_2NC)
    return mixed_2NC.flatten(-2).unbind(-2)


def _slopes(gates: _Gates, cells_TBH: Tensor, tanh_TBH: Tensor) -> _Slopes:
    """Return everything in the way back that does not depend on the gradient.

    Args:
        gates: of some steps.
        cells_TBH: before each of them.
        tanh_TBH: of the cells after each of them.
    """
    masters_2N, overlap_1N = _masters(gates)
    i_H, f_H = _mixed(gates, masters_2N, overlap_1N)
    sigmoid_2NC = gates.input_forget_2NC
    factors_2NC = torch.unflatten(torch.stack((gates.cell_H, cells_TBH), -2), -1, sigmoid_2NC.shape[-2:])
    less_2NC = factors_2NC * (sigmoid_2NC - 1.0)
    inner_2NC = less_2NC * sigmoid_2NC * -overlap_1N.unsqueeze(-1)
    masters_2NC = masters_2N.flip(-2).unsqueeze(-1) * less_2NC.sum(-3, keepdim=True) + factors_2NC
    masters_2NC[..., 0, :, :].neg_()
    return _Slopes(
        output_H=tanh_TBH * gates.output_H * (1.0 - gates.output_H),
        into_cell_H=gates.output_H * (1.0 - tanh_TBH.square()),
        units_3H=torch.cat(((i_H * (1.0 - gates.cell_H.square())).unsqueeze(-2), inner_2NC.flatten(-2)), -2),
        masters_2NC=masters_2NC,
        forget_H=f_H,
        softmax_2N=gates.masters_2N,
        cumsoftmax_2N=gates.masters_2N.cumsum(-1),
    )


def _step_back(slope: _Slopes, dh_BH: Tensor, dc_BH: Tensor, *, out: Tensor) -> None:
    """Take the gradient through one step's gates.

    Args:
        slope: of this step.
        dh_BH: with respect to its h.
        dc_BH: with respect to its c, by later steps; becomes that of the step before.
        out: da_BG, filled in.
    """
    hidden, chunks = dh_BH.shape[1], slope.softmax_2N.shape[-1]
    da_masters, da_output, da_units = torch.split(out, [2 * chunks, hidden, 3 * hidden], -1)
    dc_BH.addcmul_(dh_BH, slope.into_cell_H)
    torch.mul(dh_BH, slope.output_H, out=da_output)
    torch.mul(dc_BH.unsqueeze(1), slope.units_3H, out=torch.unflatten(da_units, 1, (3, hidden)))
    d_2N = (torch.unflatten(dc_BH, 1, (1, chunks, -1)) * slope.masters_2NC).sum(-1)
    later_2N = d_2N.flip(-1).cumsum(-1).flip(-1)
    later_2N -= (d_2N * slope.cumsoftmax_2N).sum(-1, keepdim=True)
    torch.mul(later_2N, slope.softmax_2N, out=torch.unflatten(da_masters, 1, (2, chunks)))
    dc_BH *= slope.forget_H
