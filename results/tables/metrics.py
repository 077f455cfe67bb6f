"""The metrics that a table can show: what each is called there, how it is written, and of which epoch it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from results.cells import Statistic
from results.tables.model import NOTHING
from selfish_core.records import METRICS

AT_SELECTED = "{titles} at the epoch ≤ {epochs} of lowest validation perplexity"


@dataclass(frozen=True)
class TableMetric:
    """One metric of a table.

    Args:
        title: as it stands above a column.
        form: how its numbers are written, in Python's format language.
        rule: of which epoch it is, a sentence with {titles} and {epochs} in it.
        is_epoch: whether it is the number of an epoch, of which a range says more than a mean.
    """

    title: str
    form: str
    rule: str = AT_SELECTED
    is_epoch: bool = False


TABLE_METRICS: dict[str, TableMetric] = {
    "test_perplexity": TableMetric("test perplexity", ".2f"),
    "val_perplexity": TableMetric("validation perplexity", ".2f"),
    "best_possible_test_perplexity": TableMetric("best possible perplexity", ".2f"),
    "num_active_parameters": TableMetric("active parameters", ",.0f"),
    "sparsity": TableMetric("sparsity reached", ".4f"),
    "training_flops": TableMetric("training FLOPs", ".2e", "{titles} of all epochs ≤ {epochs}"),
    "inference_flops_per_token": TableMetric("inference FLOPs per token", ".2e"),
    "explored_fraction": TableMetric("explored fraction", ".3f"),
    "num_dead_units": TableMetric("dead units", ".1f"),
    "topology_distance_to_first": TableMetric("topology distance to first", ".3f"),
    "averaging_epoch": TableMetric(
        "averaging from epoch", ".0f", "the first epoch ≤ {epochs} whose weights are averages", is_epoch=True
    ),
    "selected_epoch": TableMetric(
        "selected epoch", ".0f", "the epoch ≤ {epochs} of lowest validation perplexity", is_epoch=True
    ),
}
"""By the name of the column in a concluded frame; what `results.aggregate.conclude` gives."""

DIRECTIONS = {metric.name: metric.direction for metric in METRICS}


def is_lower_better(name: str) -> bool | None:
    """Say which way a metric is better; None where neither is, so that nothing can be best."""
    return {"lower": True, "higher": False}.get(DIRECTIONS.get(name, "none"))


def is_on_log(name: str) -> bool:
    """Whether values are compared on their logarithm: perplexities are."""
    return name.endswith("perplexity")


def number_text(name: str, value: float) -> str:
    """Write one number of a metric."""
    return f"{value:{TABLE_METRICS[name].form}}"


def mean_text(name: str, statistic: Statistic) -> str:
    """Write a mean without its deviation; of epochs, the first and the last."""
    if not statistic.n:
        return NOTHING
    if not TABLE_METRICS[name].is_epoch:
        return number_text(name, statistic.mean)
    low, high = number_text(name, statistic.low), number_text(name, statistic.high)
    return low if low == high else f"{low}-{high}"


def selection_rule(names: Iterable[str], epochs: Iterable[int]) -> str:
    """Say in one sentence which number of a trial is taken and how a cell averages them.

    Args:
        names: metrics, in the table's order.
        epochs: to which the table's sweeps train.

    >>> selection_rule(["test_perplexity"], [8])
    'test perplexity at the epoch ≤ 8 of lowest validation perplexity; mean ± sample std over n seeds'
    """
    different = sorted(set(epochs))
    last = " or ".join(
        [", ".join(map(str, different[:-1])), str(different[-1])] if different[1:] else map(str, different)
    )
    titles: dict[str, list[str]] = {}
    for name in names:
        titles.setdefault(TABLE_METRICS[name].rule, []).append(TABLE_METRICS[name].title)
    said = [rule.format(titles=", ".join(titled), epochs=last) for rule, titled in titles.items()]
    which = " (each sweep's own)" if different[1:] else ""
    return f"{'; '.join(said)}{which}; mean ± sample std over n seeds"
