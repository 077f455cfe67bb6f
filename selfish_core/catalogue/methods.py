"""Published methods, each one row of parts; a spec may override any part by name.

`dense` and `static` are methods like the others, made of null parts, so that no caller asks whether a trial is sparse.
A trial's identity is made of the parts, never of the method's name.
"""

from __future__ import annotations

from types import MappingProxyType

from selfish_core.catalogue.extensions import METHODS_GROUP, with_extensions
from selfish_core.catalogue.rows import MethodRow

_NO_UPDATES = {"removal": "none", "regrowth": "none", "schedule": "never"}
_FIXED = {"distribution": "uniform", "exact_count": True, **_NO_UPDATES}
_SELFISH = {
    "distribution": "uniform",
    "exact_count": False,
    "removal": "magnitude",
    "removal_rate": 0.8,
    "schedule": "cosine",
    "final_removal_rate": 0.005,
    "regrowth": "random",
    "may_return": True,
    "returned_value": "keep",
    "update_every_epochs": 1,
}


def _row(
    name: str,
    description: str,
    parts: dict[str, object],
    optimizer: str,
    source: str,
    *,
    phases: tuple[str, ...] = ("train",),
    optimizer_values: dict[str, object] | None = None,
) -> MethodRow:
    return MethodRow(
        name=name,
        description=description,
        parts=MappingProxyType(parts),
        default_optimizer=optimizer,
        optimizer_values=MappingProxyType(optimizer_values or {}),
        phases=phases,
        source=source,
    )


_DENSE = (
    _row(
        "dense",
        "every weight active, always",
        {"level": 0.0, "distribution": "dense", **_NO_UPDATES},
        "nt_asgd",
        "Zaremba et al. 2014 for the model; Merity et al. 2018 for NT-ASGD",
    ),
    _row(
        "small_dense",
        "a dense network, narrowed until it has no more parameters than the sparse one",
        {"distribution": "small_dense", **_NO_UPDATES},
        "nt_asgd",
        "the small-dense baseline of Evci et al. 2020; width solved from the catalogue's parameter counts",
    ),
)

_SPARSE_TO_SPARSE = (
    _row(
        "static",
        "a random mask drawn once and kept",
        _FIXED,
        "nt_asgd",
        "the static baseline of Evci et al. 2020; the official code has no flag for it",
    ),
    _row(
        "set",
        "magnitude removal, random regrowth, exact counts, a removed weight does not return at once",
        {
            "distribution": "uniform",
            "exact_count": True,
            "removal": "magnitude",
            "removal_rate": 0.5,
            "schedule": "cosine",
            "final_removal_rate": 0.0,
            "regrowth": "random",
            "may_return": False,
            "update_every_epochs": 1,
        },
        "nt_asgd",
        "Mocanu et al., Nature Communications 2018, with |w| for removal as RigL's and most later code do",
    ),
    _row(
        "deepr",
        "L1 and noise at every step; a weight that crosses zero is removed and a random one starts",
        {
            "distribution": "uniform",
            "exact_count": True,
            "removal": "sign_change",
            "schedule": "constant",
            "regrowth": "random",
            "may_return": True,
            "returned_value": "zero",
            "update_every_steps": 1,
            "update_replaces_step": False,
            "l1_penalty": 1e-5,
            "gradient_noise": 1e-5,
        },
        "sgd",
        "Bellec et al., Deep Rewiring, ICLR 2018: L1 1e-5, noise 1e-5, counts kept per matrix",
    ),
    _row(
        "dsr",
        "removal below one adaptive threshold, random regrowth shared out by surviving weights, never at once back",
        {
            "distribution": "uniform",
            "exact_count": True,
            "removal": "threshold",
            "granularity": "global",
            "initial_threshold": 1e-3,
            "threshold_tolerance": 0.1,
            "removal_rate": 0.1,
            "schedule": "constant",
            "redistribution": "nonzeros",
            "regrowth": "random",
            "may_return": False,
            "update_every_steps": 400,
            "update_replaces_step": False,
        },
        "sgd",
        "Mostafa and Wang, ICML 2019: threshold 1e-3 at first, doubled or halved outside 10 % of the target; "
        "the target share 0.1 and the constant period of 400 steps are our choice",
    ),
    _row(
        "snfs",
        "magnitude removal, regrowth where the momentum is largest, tensors share by mean momentum",
        {
            "distribution": "uniform",
            "exact_count": False,
            "removal": "magnitude",
            "removal_rate": 0.5,
            "schedule": "cosine",
            "final_removal_rate": 0.005,
            "redistribution": "momentum",
            "regrowth": "momentum",
            "may_return": True,
            "returned_value": "keep",
            "update_every_epochs": 1,
            "regrown_state": "keep",
        },
        "sgd",
        "Dettmers and Zettlemoyer, Sparse Networks from Scratch, 2019, and its published code; SGD with momentum 0.9",
        optimizer_values={"momentum": 0.9},
    ),
    _row(
        "rigl",
        "magnitude removal, regrowth where the gradient is largest, every 100 steps until 75 %",
        {
            "distribution": "uniform",
            "exact_count": True,
            "removal": "magnitude",
            "removal_rate": 0.3,
            "schedule": "cosine",
            "final_removal_rate": 0.0,
            "regrowth": "gradient",
            "may_return": True,
            "returned_value": "keep",
            "update_every_steps": 100,
            "update_end_fraction": 0.75,
        },
        "nt_asgd",
        "Evci et al., ICML 2020: drop fraction 0.3, dT 100, T_end 75 % of the steps",
    ),
    _row(
        "selfish",
        "magnitude removal over stacked gates, random regrowth by the official code's rule, SNT-ASGD",
        _SELFISH,
        "snt_asgd",
        "Liu et al., ICML 2021, official code: whole tensor, Bernoulli counts, removed weights may return",
    ),
    _row(
        "selfish_figure",
        "as selfish, with exact counts and the same regrowth in every gate",
        {**_SELFISH, "exact_count": True, "gate_regrowth": "equal"},
        "snt_asgd",
        "Liu et al., ICML 2021, the figure of the official README; its code has this rule in no commit",
    ),
    _row(
        "hyperpruning",
        "ER, magnitude removal over all tensors, random regrowth shared out by surviving weights, SNT-ASGD",
        {
            **_SELFISH,
            "distribution": "er",
            "granularity": "global",
            "removal_rate": 0.7,
            "redistribution": "nonzeros",
        },
        "snt_asgd",
        "Zheng and Shlizerman, Hyperpruning, 2025, arXiv:2506.07975",
    ),
)

_PRUNING = {
    "distribution": "uniform",
    "exact_count": True,
    "initial_level": 0.0,
    "removal": "magnitude",
    "regrowth": "none",
}

_DENSE_TO_SPARSE = (
    _row(
        "gmp",
        "gradual magnitude pruning from dense along a cubic, then the mask is kept",
        {
            **_PRUNING,
            "schedule": "cubic",
            "update_every_steps": 100,
            "update_replaces_step": False,
            "update_end_fraction": 0.5,
        },
        "nt_asgd",
        "Zhu and Gupta, To prune, or not to prune, 2017: cubic, every 100 steps; the end at half is our choice",
        phases=("prune", "train"),
    ),
    _row(
        "iss",
        "group lasso over hidden units; what falls below a threshold is zero, whole units go, no mask",
        {"level": 0.0, "distribution": "dense", **_NO_UPDATES, "group_lasso": 7e-5, "zero_threshold": 1e-4},
        "sgd",
        "Wen et al., Learning Intrinsic Sparse Structures within LSTM, ICLR 2018: threshold 1e-4; lambda 0.00245 on a "
        "loss that is summed over 35 steps, so 0.00245 / 35 on ours, which is their mean",
    ),
    _row(
        "snip",
        "one mask, before training: the weights whose product with the first minibatch's gradient is largest",
        {**_FIXED, "initial_mask": "snip"},
        "nt_asgd",
        "Lee et al., ICLR 2019, per tensor as in the sparse SNIP baseline of Evci et al. 2020",
    ),
    _row(
        "lottery",
        "train dense, prune by magnitude, put the survivors back to their early values, train again",
        {**_PRUNING, "schedule": "rewind", "rewind_rounds": 1, "rewind_to_epoch": 0},
        "nt_asgd",
        "Frankle and Carbin, ICLR 2019; rewinding to an early epoch: Frankle et al., ICML 2020; one round, half of the "
        "epochs before it, is our choice",
        phases=("train dense", "train the ticket"),
    ),
)

METHODS: dict[str, MethodRow] = with_extensions(
    METHODS_GROUP, {row.name: row for row in (*_DENSE, *_SPARSE_TO_SPARSE, *_DENSE_TO_SPARSE)}, MethodRow
)
