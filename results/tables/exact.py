"""What a table says to programs: one flat line a cell for CSV, and everything it rests on for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from results.cells import DIVERGED, Cell, Place, Statistic
from results.tables.contests import Contest, best_places, comparisons_by_place, more_seeds
from results.tables.metrics import TABLE_METRICS
from results.tables.view import View

if TYPE_CHECKING:
    from results.compare import Comparison
    from results.tables.beside import Beside

COMPARED = ("best", "num_pairs", "difference", "low", "high", "effect_size", "p", "p_holm", "is_significant")
"""Fields of the comparison of a cell with the best of its contest, in CSV."""


def lines(
    cells: Sequence[Cell], view: View, contests: Sequence[Contest], beside: Mapping[Place, Beside]
) -> tuple[dict[str, Any], ...]:
    """Return one flat line for each cell, all with the same names."""
    best, compared = best_places(contests), comparisons_by_place(contests)
    return tuple(
        {
            **_settings(cell, view),
            **_averages(cell, view),
            "is_best": cell.place in best,
            **_compared(compared.get(cell.place)),
            "mixes": ", ".join(cell.origins.mixed),
            **(beside[cell.place].line() if beside else {}),
        }
        for cell in cells
    )


def cells_data(
    cells: Sequence[Cell], view: View, contests: Sequence[Contest], beside: Mapping[Place, Beside]
) -> list[dict[str, Any]]:
    """Return everything that JSON says of each cell."""
    best, compared = best_places(contests), comparisons_by_place(contests)
    return [
        {
            "group": dict(zip(view.group_by, cell.place.group, strict=True)),
            "row": cell.row,
            "column": cell.column,
            **{name: value for name, value in _statistic(cell.metric).items() if name in ("mean", "std", "n")},
            "num_wanted": cell.of,
            "num_finished": cell.num_finished,
            "num_diverged": cell.num_diverged,
            "values": {str(seed): number(value) for seed, value in cell.values.items()},
            "beside": {name: _statistic(statistic) for name, statistic in cell.beside.items()},
            "pooled": list(cell.pooled),
            **{name: list(values) for name, values in asdict(cell.origins).items()},
            "mixes": list(cell.origins.mixed),
            "trials": dict(cell.states),
            "is_complete": cell.num_finished == cell.of,
            "is_stopped": cell.is_stopped,
            "has_diverged": DIVERGED in cell.states.values(),
            "is_best": cell.place in best,
            "compared_with_best": _comparison(compared[cell.place]) if cell.place in compared else None,
            "published": beside[cell.place].line() if beside else None,
        }
        for cell in cells
    ]


def contests_data(contests: Sequence[Contest], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return everything that JSON says of who was compared with whom."""
    return [
        {
            "where": contest.where,
            "best": contest.verdict.best,
            "is_significant": contest.verdict.is_significant,
            "alpha": contest.verdict.alpha,
            "took_part": list(contest.cells),
            "left_out": list(contest.left_out),
            "awaited": list(contest.awaited),
            "comparisons": [
                {
                    **_comparison(one),
                    "seeds_that_would_resolve": list(more_seeds(seeds, one.num_more_seeds))
                    if one.num_more_seeds
                    else None,
                }
                for one in contest.verdict.comparisons
            ],
        }
        for contest in contests
    ]


def number(value: float) -> float | int | str | None:
    """Turn a number into what JSON and CSV can hold: nothing for NaN, a word for infinity."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _settings(cell: Cell, view: View) -> dict[str, Any]:
    values = (*cell.place.group, cell.row, *((cell.column,) if view.columns is not None else ()))
    return dict(zip(view.fields, values, strict=True))


def _averages(cell: Cell, view: View) -> dict[str, Any]:
    first = view.metrics[0]
    found = {
        f"{first}_mean": number(cell.metric.mean),
        f"{first}_std": number(cell.metric.std),
        "n": cell.metric.n,
        "num_wanted": cell.of,
        "num_finished": cell.num_finished,
        "num_diverged": cell.num_diverged,
        "is_stopped": cell.is_stopped,
    }
    for name, statistic in cell.beside.items():
        if TABLE_METRICS[name].is_epoch:
            found |= {f"{name}_first": number(statistic.low), f"{name}_last": number(statistic.high)}
        else:
            found[name] = number(statistic.mean)
    return found


def _compared(one: Comparison | None) -> dict[str, Any]:
    names = {name: f"compared_{name}" for name in COMPARED}
    if one is None:
        return dict.fromkeys(names.values())
    said = _comparison(one)
    return {names[name]: said[name] for name in COMPARED}


def _comparison(one: Comparison) -> dict[str, Any]:
    plain = asdict(one)
    return {
        name: number(value) if isinstance(value, float) else list(value) if isinstance(value, tuple) else value
        for name, value in plain.items()
    }


def _statistic(statistic: Statistic) -> dict[str, Any]:
    return {name: number(value) for name, value in asdict(statistic).items()}
