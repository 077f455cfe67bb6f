"""A mixture of softmaxes in little memory, with its gradients written by hand.

Shapes: N positions, K experts, E width of an expert's latent vector, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ENTRIES = 2**23
"""Entries of K × V logits that exist at once (32 MiB in single precision), or those of one position if more."""


def mixture_of_softmaxes(latent_NKE: Tensor, log_prior_NK: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
    """Return log p_NV of p = sum over k of prior_k · softmax(W latent_k + b); differentiable once in all four.

    With z_kv = log prior_k + log softmax(W latent_k + b)_v, log p_v = logsumexp over k of z_kv: no probability can
    underflow. N × K × V entries never exist at once. Positions are taken a chunk at a time, and the way back computes
    the logits of its chunk anew: one more product, instead of K times as much memory as the result.

    Args:
        latent_NKE: what each expert decodes.
        log_prior_NK: logarithms of the weights of the experts.
        weight_VE: decoder.
        bias_V: of the decoder.

    Source: Yang et al., Breaking the Softmax Bottleneck, ICLR 2018; their code takes log(p + 1e-8).
    """
    found = _Mixture.apply(latent_NKE, log_prior_NK, weight_VE, bias_V)  # type: ignore[no-untyped-call]  # torch has no annotation for it
    return cast(Tensor, found)


class _Mixture(torch.autograd.Function):
    """The mixture as one node of the graph.

    With g the gradient of log p, and r_kv = exp(z_kv - log p_v) the share that expert k has in word v: the gradient of
    log prior_k is s_k = sum over v of g_v r_kv, that of expert k's logit of v is g_v r_kv - softmax_kv s_k.
    """

    @staticmethod
    def forward(ctx: Any, latent_NKE: Tensor, log_prior_NK: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
        log_p_NV = latent_NKE.new_empty(len(latent_NKE), len(weight_VE))
        log_scale_NK = torch.empty_like(log_prior_NK)
        for rows in _chunks(log_prior_NK, weight_VE):
            z_NKV = _logits(latent_NKE[rows], weight_VE, bias_V)
            log_scale_NK[rows] = log_prior_NK[rows] - z_NKV.logsumexp(-1)
            z_NKV += log_scale_NK[rows].unsqueeze(-1)
            torch.logsumexp(z_NKV, 1, out=log_p_NV[rows])
        ctx.save_for_backward(latent_NKE, log_prior_NK, weight_VE, bias_V, log_scale_NK, log_p_NV)
        return log_p_NV

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_NV: Tensor) -> tuple[Tensor, ...]:
        latent_NKE, log_prior_NK, weight_VE, bias_V, log_scale_NK, log_p_NV = ctx.saved_tensors
        dlatent_NKE, dlog_prior_NK = torch.empty_like(latent_NKE), torch.empty_like(log_prior_NK)
        dweight_VE, dbias_V = torch.zeros_like(weight_VE), torch.zeros_like(bias_V)
        for rows in _chunks(log_prior_NK, weight_VE):
            z_NKV = _logits(latent_NKE[rows], weight_VE, bias_V)
            z_NKV += log_scale_NK[rows].unsqueeze(-1)
            shares_NKV = (z_NKV - log_p_NV[rows].unsqueeze(1)).exp_().mul_(g_NV[rows].unsqueeze(1))
            s_NK = shares_NKV.sum(-1)
            softmax_NKV = z_NKV.sub_(log_prior_NK[rows].unsqueeze(-1)).exp_()
            dlogits = shares_NKV.addcmul_(softmax_NKV, s_NK.unsqueeze(-1), value=-1).flatten(0, 1)
            dlog_prior_NK[rows] = s_NK
            dlatent_NKE[rows] = (dlogits @ weight_VE).view_as(dlatent_NKE[rows])
            dweight_VE.addmm_(dlogits.T, latent_NKE[rows].flatten(0, 1))
            dbias_V += dlogits.sum(0)
        return dlatent_NKE, dlog_prior_NK, dweight_VE, dbias_V


def _chunks(log_prior_NK: Tensor, weight_VE: Tensor) -> Iterator[slice]:
    """Cut the positions."""
    positions, experts = log_prior_NK.shape
    size = max(1, CHUNK_ENTRIES // (experts * len(weight_VE)))
    return (slice(start, start + size) for start in range(0, positions, size))


def _logits(latent_NKE: Tensor, weight_VE: Tensor, bias_V: Tensor) -> Tensor:
    """Decode: logits_NKV."""
    logits = torch.addmm(bias_V, latent_NKE.flatten(0, 1), weight_VE.T)
    return logits.view(*latent_NKE.shape[:2], -1)
