"""How a sweep's settings are shared out over panels: one panel for each value of the table's column field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.evidence import Evidence
from results.figures.options import FigureOptions
from results.figures.settings import Field, Setting, Value, order, settings, short, text, told_apart, values_of, varied
from selfish_core.resolve import field_path

LEVEL = ("sparsity", "level")


@dataclass(frozen=True)
class Share:
    """What one panel shows.

    Args:
        title: the value that its settings have in common; empty where there is one panel.
        settings: each with a style of its own.
    """

    title: str
    settings: tuple[Setting, ...]


def shared(evidence: Evidence, options: FigureOptions) -> list[Share]:
    """Share settings out over panels; those without a value, and dense ones, are in every panel to be compared with.

    Args:
        evidence: of the sweep.
        options: field of the colours, and which trials.

    Raises:
        InputError: as `results.figures.settings.settings`.
    """
    by = field_path(options.by or evidence.spec.table.rows)
    columns = next(
        name for name in (evidence.spec.table.columns, evidence.spec.table.rows, "method") if field_path(name) != by
    )
    field = field_path(columns)
    found = settings(evidence, options, also=(columns,))
    places: dict[Value, list[Setting]] = {}
    values = values_of(evidence, columns)
    for setting in found:
        places.setdefault(values[setting.keys[0]], []).append(setting)
    references = [value for value in places if value is None or (field == LEVEL and value == 0)]
    everywhere = [setting for value in references for setting in places[value]] if len(references) < len(places) else []
    for value in references if everywhere else ():
        del places[value]
    if len(places) == 1:
        return [Share("", tuple(varied(told_apart(found, (field,)))))]
    return [
        Share(f"{short(field)} {text(value)}", _named([*everywhere, *places[value]], field))
        for value in sorted(places, key=lambda value: order(value, field))
    ]


def num_columns(num_panels: int) -> int:
    """Return how many panels stand beside each other."""
    return min(num_panels, 2 if num_panels in (1, 2, 4) else 3)


def named(evidence: Evidence, options: FigureOptions) -> list[Setting]:
    """Return a sweep's settings, named by what gives the colour, the table's columns, and what else is needed.

    Raises:
        InputError: as `results.figures.settings.settings`.
    """
    columns = evidence.spec.table.columns
    return told_apart(settings(evidence, options, also=(columns,)), (field_path(columns),))


def _named(found: Sequence[Setting], field: Field) -> tuple[Setting, ...]:
    """Leave out of the settings' names what the panel's title says, and give each a style of its own."""
    return tuple(
        replace(setting, values={name: value for name, value in setting.values.items() if name != field})
        for setting in varied(told_apart(found, (field,)))
    )
