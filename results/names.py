"""How a trial store appears in MLflow: names of experiments and tags, and the text for values that MLflow cannot hold.

The projector writes these names and `results.load` reads them; nothing here imports mlflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from selfish_core.records import GATE_DENSITY_PREFIX

TAG_KEY = "selfish.key"
TAG_SWEEP = "selfish.sweep"
TAG_RECORDS = "selfish.records_sha256"
TAG_CODE_VERSION = "selfish.code_version"
TAG_FINGERPRINT = "selfish.fingerprint"
TAG_DATA = "selfish.data_sha256"
TAG_MESSAGE = "selfish.message"
TAG_ARTIFACTS = "selfish.artifacts_sha256"
TAG_MODEL = "selfish.model"
TAG_EPOCHS = "epochs"
TAG_STATE = "state"
TAG_FAILURE = "failure"
TAG_PARENT = "mlflow.parentRunId"
TAG_NOTE = "mlflow.note.content"
SWEEP_PREFIX = "sweep."
NONFINITE_PREFIX = "nonfinite."

FIRST_CHARTS = frozenset({"val_perplexity", "test_perplexity", "train_perplexity", "sparsity", "is_averaging"})
_CURVES = "curves/"
_GATE_DENSITIES = "gate_density/"

MAX_TAG_CHARS = 8000
"""MLflow cuts longer tag values silently, so nothing longer is ever sent."""

MAX_STEP = 1_000_000
"""No trial has more epochs; a tag that says so is not ours."""


def in_mlflow(metric: str) -> str:
    """Return a recorded metric's name in MLflow, whose charts are grouped by what stands before a slash.

    Groups come by the alphabet, and what has none after them: the few that everybody looks for make the first group.

    >>> in_mlflow("val_perplexity"), in_mlflow("gradient_norm"), in_mlflow("gate_density.lstm0.input")
    ('curves/val_perplexity', 'gradient_norm', 'gate_density/lstm0.input')
    """
    if metric.startswith(GATE_DENSITY_PREFIX):
        return metric.replace(GATE_DENSITY_PREFIX, _GATE_DENSITIES, 1)
    return _CURVES + metric if metric in FIRST_CHARTS else metric


def recorded(name: str) -> str:
    """Undo `in_mlflow`."""
    if name.startswith(_GATE_DENSITIES):
        return name.replace(_GATE_DENSITIES, GATE_DENSITY_PREFIX, 1)
    return name.removeprefix(_CURVES)


def experiment_name(store_id: str) -> str:
    """Return the name of the experiment that shows a trial store.

    >>> experiment_name("0123456789abcdef")
    'selfish/01234567'
    """
    return f"selfish/{store_id[:8]}"


def is_exact_in_mlflow(value: float) -> bool:
    """Whether MLflow keeps every bit: not so for NaN, the infinities (clipped) and -0.0 (SQLite drops the sign)."""
    return math.isfinite(value) and not (value == 0 and math.copysign(1.0, value) < 0)


def encode_inexact(values: Iterable[tuple[int, float]]) -> str:
    """Write the values that MLflow cannot hold as the text of a tag, steps in a row as one range.

    Args:
        values: (step, value) in any order.

    >>> encode_inexact([(3, float("inf")), (4, float("inf")), (7, float("nan")), (9, -0.0)])
    '+inf@3-4,nan@7,-0.0@9'
    """
    ranges: list[tuple[str, int, int]] = []
    for step, value in sorted(values, key=lambda pair: pair[0]):
        text = "+inf" if value == math.inf else repr(value)
        if ranges and ranges[-1][0] == text and ranges[-1][2] == step - 1:
            ranges[-1] = (text, ranges[-1][1], step)
        else:
            ranges.append((text, step, step))
    return ",".join(f"{text}@{first}" if first == last else f"{text}@{first}-{last}" for text, first, last in ranges)


def decode_inexact(text: str) -> dict[int, float]:
    """Read what `encode_inexact` wrote.

    Raises:
        ValueError: when the text is of another form.
    """
    values: dict[int, float] = {}
    for part in text.split(",") if text else ():
        value, _, steps = part.partition("@")
        first, _, last = steps.partition("-")
        if int(last or first) > MAX_STEP:
            raise ValueError(f"names a step beyond {MAX_STEP}")
        for step in range(int(first), int(last or first) + 1):
            values[step] = float(value)
    return values
