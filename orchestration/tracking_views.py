"""Views of a sweep in MLflow's list of runs, kept as MLflow keeps a view that somebody shares: grouped and sorted.

A view is a tag of the experiment; a link with its key opens it. MLflow's web pages read it, the service does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from results import names
from selfish_core.resolve import field_path
from sweeps.spec import Spec

SHARED_VIEW = "mlflow.sharedViewState."
TRAINING_PAGES = {"workflowType": "machine_learning"}

RUN_NAME = "attributes.`Run Name`"
COLUMNS = (
    *(f"metrics.`{names.in_mlflow(metric)}`" for metric in ("val_perplexity", "test_perplexity", "sparsity")),
    *("tags.`method`", "tags.`seed`", "tags.`state`"),
)


def views(spec: Spec) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the views of a sweep: key -> what it is, and the fields by which it groups."""
    table = tuple(".".join(field_path(name)) for name in (spec.table.rows, spec.table.columns) if name != "epochs")
    return {
        f"{spec.name}.table": (f"trials by {spec.table.rows} and {spec.table.columns}, means over seeds", table),
        f"{spec.name}.seeds": ("trials by seed", ("seed",)),
        f"{spec.name}.trials": ("all trials, the best first", ()),
    }


def tags_of_views(spec: Spec) -> dict[str, str]:
    """Return the experiment's tags that hold a sweep's views."""
    return {SHARED_VIEW + key: json.dumps(_state(spec.name, fields)) for key, (_, fields) in views(spec).items()}


def links(spec: Spec, experiment_id: str) -> str:
    """Return Markdown that leads from a run's note to the views."""
    place = f"#/experiments/{quote(experiment_id, safe='')}/runs"
    found = (
        f"[{what}]({place}?{urlencode({**TRAINING_PAGES, 'viewStateShareKey': key})})"
        for key, (what, _) in views(spec).items()
    )
    return f"See {'; '.join(found)}.\n"


def _state(sweep: str, fields: Sequence[str]) -> dict[str, object]:
    """Return what MLflow's pages keep of a list of runs, as far as it is not as usual."""
    keys = [{"mode": "param", "groupByData": field} for field in fields]
    return {
        "searchFilter": f"tags.`{names.SWEEP_PREFIX}{sweep}` = '1'",
        "orderByKey": f"metrics.`{names.in_mlflow('val_perplexity')}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": [RUN_NAME, *COLUMNS],
        "columnWidths": {RUN_NAME: 420 if fields else 260},
        "groupBy": {"aggregateFunction": "average", "groupByKeys": keys} if keys else None,
    }
