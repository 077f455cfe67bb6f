"""One cell of a table: the trials that differ in their seed alone, averaged, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANSWERED, UNFINISHED, DIVERGED, MISSING, STOPPED = "answered", "unfinished", "diverged", "missing", "stopped"

BESIDE = ("num_active_parameters", "training_flops", "averaging_epoch", "best_possible_test_perplexity")
"""What a cell shows beside its metric, as a rule."""

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Statistic:
    """Mean and sample standard deviation of one quantity over the seeds of a cell.

    Args:
        mean: NaN where there is no value.
        std: with ddof=1; NaN below two values.
        n: how many values.
        low: the smallest value; NaN where there is none.
        high: the largest value; NaN where there is none.
    """

    mean: float
    std: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Place:
    """Where a cell stands.

    Args:
        group: values of the fields that the table is grouped by; each makes a block of rows.
        row: value of the row field.
        column: value of the column field; None where the table has no columns.
    """

    group: tuple[Setting, ...]
    row: Setting
    column: Setting


@dataclass(frozen=True)
class Origins:
    """What computed a cell's trials and on what; each sorted, and of one entry as a rule.

    Args:
        code_versions: of the code.
        data_hashes: of the corpora, 12 hex digits each.
        fingerprints: of the machines, `name=value;…`.
    """

    code_versions: tuple[str, ...] = ()
    data_hashes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @property
    def mixed(self) -> tuple[str, ...]:
        """Which of the three are several, in words."""
        found = {
            "code versions": self.code_versions,
            "data hashes": self.data_hashes,
            "fingerprints": self.fingerprints,
        }
        return tuple(words for words, values in found.items() if len(values) > 1)


@dataclass(frozen=True)
class Cell:
    """One group of trials that differ in their seed.

    Args:
        place: where it stands.
        metric: the metric over the trials that finished and did not diverge; n=0 while a trial is unfinished.
        beside: the same for each metric that is shown beside it.
        values: seed -> the metric of its trial, of those in the mean; empty where two trials have one seed.
        states: content key -> state of each trial, in order of keys.
        origins: what computed the trials and on what.
        pooled: fields other than those shown and the seed in which the trials differ; empty as a rule.
        is_pruned: whether trials start dense, so that not all of their epochs may be selected.
    """

    place: Place
    metric: Statistic
    beside: Mapping[str, Statistic]
    values: Mapping[int, float]
    states: Mapping[str, str]
    origins: Origins
    pooled: tuple[str, ...]
    is_pruned: bool = False

    @property
    def row(self) -> Setting:
        """Value of the row field."""
        return self.place.row

    @property
    def column(self) -> Setting:
        """Value of the column field."""
        return self.place.column

    @property
    def code_versions(self) -> tuple[str, ...]:
        """Versions of the code that computed its trials, sorted."""
        return self.origins.code_versions

    @property
    def data_hashes(self) -> tuple[str, ...]:
        """Short checksums of what its trials were trained on, sorted."""
        return self.origins.data_hashes

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What its trials were computed on, sorted."""
        return self.origins.fingerprints

    @property
    def keys(self) -> tuple[str, ...]:
        """Content keys of its trials, sorted."""
        return tuple(self.states)

    @property
    def of(self) -> int:
        """How many trials were wanted."""
        return len(self.states)

    @property
    def num_finished(self) -> int:
        """How many trials are answered or diverged."""
        return sum(state in (ANSWERED, DIVERGED) for state in self.states.values())

    @property
    def num_diverged(self) -> int:
        """How many trials diverged."""
        return sum(state == DIVERGED for state in self.states.values())

    @property
    def is_awaited(self) -> bool:
        """Whether it has no number yet and is to have one."""
        return self.num_finished < self.of and not self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Whether early stopping gave it up."""
        return STOPPED in self.states.values()


def setting_order(value: Setting) -> tuple[int, float, str]:
    """Return what settings are sorted by: nothing first, then numbers by size, then words."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, str):
        return (2, 0.0, value)
    return (1, float(value), "")
