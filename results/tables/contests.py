"""Who is compared with whom in a table, what came of it, and the lines below the table that say so.

A contest is held among the cells of one column of a block, or of one row, as the view says. Who is unfinished, without
a value, or made of more settings than one takes no part, and the notes count them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.cells import Cell, Place, Setting
from results.tables.metrics import TABLE_METRICS, is_lower_better, is_on_log
from results.tables.view import View
from results.tables.words import place_text, setting_text

if TYPE_CHECKING:
    from results.compare import Comparison, Verdict

MAX_NOTES = 4
"""Contests that are told one by one below the table; JSON has all of them."""

MAX_SEEDS = 40
"""A seed list that is longer is told by its ends."""

NUM_SEEDS = 2**31


@dataclass(frozen=True)
class Contest:
    """Cells that were compared with each other.

    Args:
        where: what they share, in words; empty where the table has one contest.
        cells: name -> cell of those that took part.
        left_out: names of those that could not.
        awaited: names of those that may still, once they have finished.
        verdict: what came of it.
    """

    where: str
    cells: Mapping[str, Cell]
    left_out: tuple[str, ...]
    awaited: tuple[str, ...]
    verdict: Verdict

    @property
    def is_won(self) -> bool:
        """Whether the best is significantly best and nobody is awaited who may be better."""
        return self.verdict.is_significant and not self.awaited

    @property
    def closest(self) -> Comparison | None:
        """The unresolved comparison with the nearest mean; None where all are resolved."""
        open_ones = [one for one in self.verdict.comparisons if not one.is_significant]
        best = self.cells[self.verdict.best].metric.mean if self.verdict.best is not None else math.nan
        return min(open_ones, key=lambda one: (abs(self.cells[one.other].metric.mean - best), one.other), default=None)


def hold(cells: Sequence[Cell], view: View) -> list[Contest]:
    """Compare the cells as the view says; a contest of fewer than two is none.

    Args:
        cells: of the table, sorted.
        view: what it shows.
    """
    direction = is_lower_better(view.metrics[0])
    if direction is None or view.compare == "none":
        return []
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        if cell.row not in view.references:
            groups.setdefault(_shared(cell.place, view), []).append(cell)
    contests = []
    for among in groups.values():
        ready = {_name(cell, view): cell for cell in among if _can_take_part(cell, view)}
        if len(ready) >= 2:
            from results.compare import judge  # and with it SciPy, which a table without a contest does without

            samples = {name: cell.values for name, cell in ready.items()}
            verdict = judge(samples, on_log=is_on_log(view.metrics[0]), is_lower_better=direction)
            others = {_name(cell, view): cell for cell in among if _name(cell, view) not in ready}
            awaited = tuple(name for name, cell in others.items() if cell.is_awaited)
            contests.append(Contest(_where(among[0].place, view), ready, tuple(others), awaited, verdict))
    return contests


def best_places(contests: Iterable[Contest]) -> frozenset[Place]:
    """Return where the cells stand that are significantly best."""
    return frozenset(
        contest.cells[contest.verdict.best].place
        for contest in contests
        if contest.is_won and contest.verdict.best is not None
    )


def comparisons_by_place(contests: Iterable[Contest]) -> dict[Place, Comparison]:
    """Return for each cell that took part and is not the best of its contest how the best compares with it."""
    return {
        contest.cells[comparison.other].place: comparison
        for contest in contests
        for comparison in contest.verdict.comparisons
    }


def more_seeds(seeds: Sequence[int], num_more: int) -> tuple[int, ...]:
    """Return a sweep's seeds and so many new ones behind them.

    >>> more_seeds([1, 2, 3], 2)
    (1, 2, 3, 4, 5)
    """
    new = (number % NUM_SEEDS for number in itertools.count(max(seeds) + 1))
    return (*seeds, *itertools.islice((seed for seed in new if seed not in seeds), num_more))


def notes(contests: Sequence[Contest], view: View, seeds: Sequence[int]) -> list[str]:
    """Say below the table what was tested, what is resolved, and what would resolve the rest.

    Args:
        contests: of the table.
        view: what it shows.
        seeds: of its sweeps.
    """
    if not contests:
        return []
    told = [_test(contests, view)]
    told += [line for contest in contests[:MAX_NOTES] for line in _outcome(contest, view, seeds)]
    if contests[MAX_NOTES:]:
        told.append(f"{len(contests) - MAX_NOTES} more comparisons are not told here; --format json has all of them.")
    left_out = sum(len(contest.left_out) for contest in contests)
    if left_out:
        told.append(f"Compared is what has finished and is one setting: {left_out} of the cells took no part.")
    return told


def _test(contests: Sequence[Contest], view: View) -> str:
    counts = sorted({one.num_pairs for contest in contests for one in contest.verdict.comparisons})
    most = "1 pair" if counts[-1] == 1 else f"{counts[-1]} pairs"
    pairs = most if len(counts) == 1 else f"{counts[0]} to {most}"
    metric = TABLE_METRICS[view.metrics[0]].title
    what = f"the logarithm of {metric}" if is_on_log(view.metrics[0]) else metric
    field = view.rows if view.compare == "columns" else view.columns
    among = f" for each {field}" if field is not None else ""
    aside = f" ({', '.join(map(setting_text, view.references))} aside)" if view.references else ""
    alpha = contests[0].verdict.alpha
    is_marked = any(contest.is_won for contest in contests)
    marked = (
        "marked (* or bold) is a best that beats every other"
        if is_marked
        else "none is marked: no best beats every other"
    )
    return (
        f"Test: the best mean{among}{aside} against each other, t test of {what} paired by seed ({pairs}), "
        f"Holm-corrected, level {alpha:g}; {marked}."
    )


def _outcome(contest: Contest, view: View, seeds: Sequence[int]) -> list[str]:
    verdict, closest = contest.verdict, contest.closest
    where = f"{contest.where}: " if contest.where else ""
    lines = []
    if closest is None:
        waits = f"; not marked while unfinished: {', '.join(contest.awaited)}" if contest.awaited else ""
        lines.append(
            f"{where}{verdict.best} is best of {len(contest.cells)}, largest corrected p {_p(verdict.p_holm)}{waits}."
        )
    else:
        others = [one.other for one in verdict.comparisons if not one.is_significant and one is not closest]
        also = f" (nor from {', '.join(others)})" if others else ""
        lines.append(
            f"{where}{verdict.best} is not resolved from {closest.other}{also}: {_figures(closest, view)}"
            f"; {_remedy(closest, seeds)}."
        )
    unpaired = [one for one in verdict.comparisons if one.unpaired]
    if unpaired:
        said = ", ".join(f"{one.other} (without {_seed_list(one.unpaired)})" for one in unpaired)
        lines.append(f"{where}incomplete pairs of {verdict.best} and {said}.")
    return lines


def _figures(one: Comparison, view: View) -> str:
    if one.trouble:
        return one.trouble
    kind, form = ("ratio", ".3f") if is_on_log(view.metrics[0]) else ("difference", ".3g")
    return (
        f"{kind} {one.difference:{form}}, 95 % interval {one.low:{form}} to {one.high:{form}}, "
        f"effect size d_z {one.effect_size:.2f}, corrected p {_p(one.p_holm)}"
    )


def _remedy(one: Comparison, seeds: Sequence[int]) -> str:
    if not one.num_more_seeds:
        return (
            "how many more seeds would resolve them cannot be said" if one.trouble else "1,000 more seeds would not do"
        )
    told = "1 more seed" if one.num_more_seeds == 1 else f"{one.num_more_seeds} more seeds"
    line = _seed_list(more_seeds(seeds, one.num_more_seeds))
    return f"{told} would resolve {one.best} vs {one.other}: `seeds: [{line}]`"


def _seed_list(seeds: Sequence[int]) -> str:
    shown = [str(seed) for seed in seeds]
    return ", ".join(shown if len(shown) <= MAX_SEEDS else [*shown[:3], "…", shown[-1]])


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _can_take_part(cell: Cell, view: View) -> bool:
    values = cell.values.values()
    is_sound = all(math.isfinite(value) and (value > 0 or not is_on_log(view.metrics[0])) for value in values)
    return bool(values) and is_sound and not cell.pooled


def _shared(place: Place, view: View) -> tuple[Setting, ...]:
    """What the cells of a contest share."""
    return (*place.group, place.row if view.compare == "columns" else place.column)


def _name(cell: Cell, view: View) -> str:
    """What tells a cell apart from the others of its contest."""
    return setting_text(cell.column if view.compare == "columns" else cell.row)


def _where(place: Place, view: View) -> str:
    if view.compare == "columns":
        return place_text(view.group_by, place.group, view.rows, place.row)
    return place_text(view.group_by, place.group, view.columns, place.column)
