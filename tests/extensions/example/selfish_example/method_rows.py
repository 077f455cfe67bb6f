"""A method is a row of parts; these are the fields of `sparsity` in a spec."""

from __future__ import annotations

from selfish_core.catalogue.rows import MethodRow

SAMPLED = MethodRow(
    name="sampled",
    description="removal by movement, regrowth drawn by the gradient, once an epoch",
    parts={
        "distribution": "er",
        "exact_count": True,
        "removal": "movement",
        "removal_rate": 0.3,
        "schedule": "cosine",
        "final_removal_rate": 0.0,
        "regrowth": "sampled_gradient",
        "may_return": False,
        "update_every_epochs": 1,
    },
    default_optimizer="nt_asgd",
    source="made up for this example",
)
