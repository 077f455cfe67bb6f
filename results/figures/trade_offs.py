"""One number for each setting against another: perplexity against sparsity, removal rate and training FLOPs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from results.evidence import Evidence
from results.figures import axes
from results.figures.model import Axis, Figure, Form, Panel, Series
from results.figures.options import FigureOptions
from results.figures.settings import (
    Field,
    Setting,
    Value,
    left_out,
    settings,
    short,
    text,
    told_apart,
    values_of,
    varied,
    words,
)
from results.figures.styles import Style
from results.figures.summary import Summary, note, summarise
from selfish_core.errors import InputError
from selfish_core.resolve import field_path

FRONT = "Pareto front"
FRONT_STYLE = Style("#7F7F7F", "solid", "circle")


@dataclass(frozen=True)
class _Point:
    """A finished setting: where it stands, and its metric over seeds."""

    setting: Setting
    x: Value
    metric: Summary


def perplexity_sparsity(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show perplexity against sparsity, a line for each method; dense ones as levels.

    Raises:
        InputError: when there are not two sparsities.
    """
    return _against(evidence, options, "perplexity-sparsity", "sparsity", "sparsity", (None, 0.0))


def perplexity_removal_rate(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show perplexity against the removal rate at the start, a line for each method; those without one as levels.

    Raises:
        InputError: when there are not two removal rates.
    """
    name = "perplexity-removal-rate"
    return _against(evidence, options, name, "sparsity.removal_rate", "removal rate at the start", (None,))


def perplexity_flops(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show perplexity against training FLOPs, and the settings that no other beats in both.

    Raises:
        InputError: when no setting is finished.
    """
    metric = options.metric or evidence.spec.table.metric
    columns = field_path(evidence.spec.table.columns)
    whole = settings(evidence, options, also=(evidence.spec.table.columns,))
    found = told_apart(whole, (columns,))
    known = [point for point in _points(evidence, found, metric, options.band, "training_flops") if point.metric.n]
    if not known:
        raise InputError(_nothing(evidence, found))
    points = sorted(known, key=lambda point: (_number(point.x), point.metric.mean))
    front: list[_Point] = []
    for point in points:
        if not front or point.metric.mean < front[-1].metric.mean:
            front.append(point)
    paths = _lines(points, columns)
    is_ordered = not any(isinstance(point.setting.values.get(columns), str) for point in known)
    form: Form = "path" if is_ordered else "dots"
    series = [_series(name, style, inside, form, columns) for name, style, inside in paths]
    xs, means = tuple(_number(point.x) for point in front), tuple(point.metric.mean for point in front)
    series.insert(0, Series(FRONT, FRONT_STYLE, xs, means, form="front"))
    counts = [point.metric.n for point in known]
    x = axes.numeric("training FLOPs", [_number(point.x) for point in known], is_log=True)
    y = _metric_axis(metric, known)
    caption = (
        f"{_selected(evidence, metric)} against the training FLOPs of all {evidence.spec.epochs} epochs, by the "
        f"methods' own rules: {note(counts, options.band, 'bars')}. The grey steps join the settings that no other "
        f"beats in both means.{_vary_too(paths, whole, columns)}{left_out(found)}"
    )
    panel = Panel("", x, y, tuple(series))
    told = note(counts, options.band, "bars")
    return Figure("perplexity-flops", f"{words(metric).capitalize()} and training FLOPs", caption, told, (panel,))


def _against(
    evidence: Evidence, options: FigureOptions, name: str, field: str, label: str, levels: Sequence[Value]
) -> Figure:
    metric = options.metric or evidence.spec.table.metric
    x = field_path(field)
    by = _colours(evidence, options, x)
    chosen = FigureOptions(by, options.metric, options.where, options.band)
    whole = settings(evidence, chosen, also=(field,))
    found = told_apart(whole, (x,))
    known = [point for point in _points(evidence, found, metric, options.band, field) if point.metric.n]
    if not known:
        raise InputError(_nothing(evidence, found))
    along = [point for point in known if point.x not in levels]
    lines = _lines(sorted(along, key=lambda point: _number(point.x)), x)
    if all(len(inside) < 2 for _, _, inside in lines):
        raise InputError(
            f"no line of {evidence.spec.name} has two finished settings that differ in {short(x)} alone, and the "
            f"figure needs one: give {field} more values in the spec's axes"
        )
    across = _lines([point for point in known if point.x in levels], x)
    series = [_series(name, style, inside, "level", x) for name, style, inside in across]
    series += [_series(name, style, inside, "line" if len(inside) > 1 else "dots", x) for name, style, inside in lines]
    counts = [point.metric.n for point in known]
    told = note(counts, options.band)
    caption = (
        f"{_selected(evidence, metric)} against {label}: {told}. Settings without one are drawn across."
        f"{_vary_too(lines, whole, x)}{left_out(found)}"
    )
    panel = Panel(
        "", axes.numeric(label, [_number(point.x) for point in along]), _metric_axis(metric, known), tuple(series)
    )
    return Figure(name, f"{words(metric).capitalize()} and {label}", caption, told, (panel,))


def _colours(evidence: Evidence, options: FigureOptions, x: Field) -> str:
    """Return the field of the colours: what was asked for, else the first of the table's fields that is not x."""
    if options.by is not None:
        if field_path(options.by) == x:
            raise InputError(f"--by {options.by}: this figure has {short(x)} along its axis; give another field")
        return options.by
    table = evidence.spec.table
    return next(name for name in (table.rows, table.columns, "method") if field_path(name) != x)


def _points(evidence: Evidence, found: Iterable[Setting], metric: str, band: str, x: str) -> Iterable[_Point]:
    """Return the finished settings, each with its metric's mean; x is `training_flops`, or a field of the config."""
    concluded = evidence.concluded.set_index("key")
    values = {} if x == "training_flops" else values_of(evidence, x)
    for setting in found:
        if setting.is_finished:
            rows = concluded.loc[list(setting.answered)]
            at = values[setting.keys[0]] if values else float(rows[x].mean())
            yield _Point(setting, at, summarise([float(value) for value in rows[metric]], band))


def _lines(points: Iterable[_Point], along: Field) -> list[tuple[str, Style, list[_Point]]]:
    """Return a name, a style and the points of each line: those that differ in one field alone, in their order."""
    lines: dict[str, list[_Point]] = {}
    for point in points:
        lines.setdefault(point.setting.name(without=(along,)), []).append(point)
    firsts = [inside[0].setting for inside in lines.values()]
    ranks = sorted(range(len(firsts)), key=lambda place: firsts[place].rank)
    styles = dict(zip(ranks, (one.style for one in varied([firsts[place] for place in ranks])), strict=True))
    names = list(lines)
    return [(names[place], styles[place], lines[names[place]]) for place in ranks]


def _vary_too(lines: Iterable[tuple[str, Style, list[_Point]]], whole: Sequence[Setting], along: Field) -> str:
    """Say in which other fields the settings of a line differ, since their values follow from the one along it."""
    seen: dict[tuple[str, Field], set[Value]] = {}
    for name, _, points in lines:
        for point in points:
            for field, value in whole[point.setting.rank].values.items():
                seen.setdefault((name, field), set()).add(value)
    fields = sorted({field for (_, field), values in seen.items() if len(values) > 1 and field != along})
    return f" Along a line, {', '.join(short(field) for field in fields)} changes too." if fields else ""


def _series(name: str, style: Style, points: Sequence[_Point], form: Form, along: Field) -> Series:
    return Series(
        name,
        style,
        tuple(0.0 if form == "level" else _number(point.x) for point in points),
        tuple(point.metric.mean for point in points),
        tuple(point.metric.low for point in points),
        tuple(point.metric.high for point in points),
        form,
        tuple(f"{short(along)} {text(point.setting.values.get(along))}, n = {point.metric.n}" for point in points),
    )


def _metric_axis(metric: str, points: Iterable[_Point]) -> Axis:
    known = list(points)
    ends = [end for point in known for end in (point.metric.low, point.metric.high)]
    return axes.numeric(words(metric), [point.metric.mean for point in known], ends=ends)


def _selected(evidence: Evidence, metric: str) -> str:
    return f"{words(metric).capitalize()} at the epoch ≤ {evidence.spec.epochs} of lowest validation perplexity"


def _nothing(evidence: Evidence, found: Iterable[Setting]) -> str:
    return f"no setting of {evidence.spec.name} is finished yet.{left_out(found)}"


def _number(value: Value) -> float:
    return value if isinstance(value, float) else math.nan if value is None else float(value)
