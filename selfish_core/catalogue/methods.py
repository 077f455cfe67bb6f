"""Published methods, each one row of parts; a spec may override any part by name.

`dense` and `static` are methods like the others, made of null parts, so that no caller asks whether a trial is sparse.
A trial's identity is made of the parts, never of the method's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One published combination.

    Args:
        name: as it stands in specs.
        description: one line.
        parts: fields of `SparsityConfig` and their values; a part that is not named here has no meaning for it.
        default_optimizer: used where the spec names none.
        source: where it was published, and which reading was taken.
    """

    name: str
    description: str
    parts: Mapping[str, object]
    default_optimizer: str
    source: str


_NO_UPDATES = {"removal": "none", "regrowth": "none", "schedule": "never"}

METHODS: dict[str, MethodRow] = {
    row.name: row
    for row in (
        MethodRow(
            name="dense",
            description="every weight active, always",
            parts=MappingProxyType({"level": 0.0, "distribution": "dense", **_NO_UPDATES}),
            default_optimizer="nt_asgd",
            source="Zaremba et al. 2014 for the model; Merity et al. 2018 for NT-ASGD",
        ),
        MethodRow(
            name="static",
            description="a random mask drawn once and kept",
            parts=MappingProxyType({"distribution": "uniform", "exact_count": True, **_NO_UPDATES}),
            default_optimizer="nt_asgd",
            source="the static baseline of Evci et al. 2020; the official code has no flag for it",
        ),
        MethodRow(
            name="set",
            description="magnitude removal, random regrowth, exact counts, a removed weight does not return at once",
            parts=MappingProxyType(
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
                }
            ),
            default_optimizer="nt_asgd",
            source="Mocanu et al., Nature Communications 2018, with |w| for removal as RigL's and most later code do",
        ),
        MethodRow(
            name="rigl",
            description="magnitude removal, regrowth where the gradient is largest, every 100 steps until 75 %",
            parts=MappingProxyType(
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
                }
            ),
            default_optimizer="nt_asgd",
            source="Evci et al., ICML 2020: drop fraction 0.3, dT 100, T_end 75 % of the steps",
        ),
        MethodRow(
            name="selfish",
            description="magnitude removal over stacked gates, random regrowth by the official code's rule, SNT-ASGD",
            parts=MappingProxyType(
                {
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
            ),
            default_optimizer="snt_asgd",
            source="Liu et al., ICML 2021, official code: whole tensor, Bernoulli counts, removed weights may return",
        ),
    )
}
