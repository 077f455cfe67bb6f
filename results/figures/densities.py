"""Where the active weights are: the density of every gate over training, and of every layer at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from results.evidence import Evidence
from results.figures import axes
from results.figures.curves import counted, within
from results.figures.layout import named, num_columns, shared
from results.figures.model import Figure, Panel, Series
from results.figures.options import FigureOptions
from results.figures.settings import Setting, cut_short, left_out, order
from results.figures.styles import FIRST_OF_OTHERS, style_at
from results.figures.summary import by_epoch, curve, note, summarise
from selfish_core.accounting import tensor_targets
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError
from selfish_core.records import GATE_DENSITY_PREFIX

MAX_PANELS, MAX_COLUMNS = 24, 4
WIDTH = 0.6
"""How far apart the first and the last dot of a layer are, where layers are 1 apart."""

Gates = Mapping[str, Mapping[str, int]]
"""Layer to gate to its number of maskable weights, in the model's order."""


def gate_densities(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show the density of every gate epoch by epoch: a row of panels for each setting, a column for each layer.

    Raises:
        InputError: when no trial has gates whose densities change, or there would be too many panels.
    """
    frame = within(evidence)
    found = named(evidence, options)
    keys = _moving_keys(frame)
    moving = _by_rows([one for one in found if keys.intersection(one.keys)])
    if not moving:
        raise InputError(
            f"no trial of {evidence.spec.name} that is shown has gates whose densities change: the figure needs an "
            "architecture with gates, and a method that updates its masks"
        )
    configs = {trial.key: trial.config for trial in evidence.trials}
    gates = [_gated(_gates(configs[setting.keys[0]])) for setting in moving]
    _check_recorded(frame, gates)
    num_panels = sum(map(len, gates))
    if num_panels > MAX_PANELS:
        told = f"{num_panels} panels, a layer of a setting each, and at most {MAX_PANELS} can be read"
        raise InputError(f"the figure would have {told}: choose settings by --where FIELD=VALUE")
    drawn = _gate_lines(frame, moving, gates, options.band)
    every = [line for lines in drawn.values() for line in lines]
    x = axes.numeric("epoch", frame["epoch"].astype(float), whole=True)
    ends = [end for line in every for end in (*line.low, *line.high)]
    y = axes.numeric("density", [value for line in every for value in line.y], ends=ends)
    panels = tuple(Panel(name, x, y, lines) for name, lines in drawn.items())
    told = note([len(counted(by_epoch(frame, "sparsity"), setting)) for setting in moving], options.band)
    still = [one.name() for one in found if one not in moving]
    unchanged = f" Left out, since their densities do not change: {'; '.join(still)}." if still else ""
    caption = f"Share of active weights in each gate after each epoch: {told}.{unchanged}{cut_short(moving)}"
    columns = _num_columns(moving, gates)
    title = f"Gate densities of {evidence.spec.name}"
    return Figure("gate-densities", title, caption, told, panels, columns, columns > 1)


def layer_densities(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show the density of every layer after the last epoch, from its gates' densities and sizes.

    Raises:
        InputError: when no sparse setting is finished.
    """
    frame = within(evidence)
    configs = {trial.key: trial.config for trial in evidence.trials}
    last = frame[frame["epoch"] == evidence.spec.epochs].set_index("key")
    panels, counts = [], []
    shares = shared(evidence, options)
    _check_recorded(frame, [_gates(configs[key]) for share in shares for one in share.settings for key in one.answered])
    for share in shares:
        found = [(one, _layers(last, one, configs)) for one in share.settings if one.is_finished]
        found = [(one, layers) for one, layers in found if _is_sparse(layers)]
        names = list(dict.fromkeys(layer for _, layers in found for layer in layers))
        series = [
            _dots(setting, layers, names, _offset(place, len(found)), options.band)
            for place, (setting, layers) in enumerate(found)
        ]
        counts += [len(values) for _, layers in found for values in layers.values()]
        ends = [end for one in series for end in (*one.low, *one.high)]
        y = axes.numeric("density", [value for one in series for value in one.y], ends=ends)
        if series:
            panels.append(Panel(share.title, axes.categories("", names), y, tuple(series)))
    if not panels:
        raise InputError(f"no sparse setting of {evidence.spec.name} is finished, so no layer has a density to show")
    told = note(counts, options.band, "bars")
    caption = (
        f"Share of active weights in each layer after epoch {evidence.spec.epochs}: {told}. Dense settings are left "
        f"out.{left_out(named(evidence, options))}"
    )
    title = f"Layer densities of {evidence.spec.name}"
    return Figure("layer-densities", title, caption, told, tuple(panels), num_columns(len(panels)), len(panels) > 1)


def _gates(config: TrialConfig) -> Gates:
    """Return the maskable weights of each gate of each layer."""
    found: dict[str, dict[str, int]] = {}
    for target in tensor_targets(config):
        shape = target.shape
        layer = found.setdefault(shape.layer, {})
        for gate, rows in shape.gate_slices:
            layer[gate] = layer.get(gate, 0) + (rows.stop - rows.start) * (shape.size // shape.shape[0])
    return found


def _check_recorded(frame: pd.DataFrame, gates: Sequence[Gates]) -> None:
    """Refuse trials of which a gate's density was never recorded.

    Raises:
        InputError: naming the first that is missing.
    """
    for layers in gates:
        for layer, names in layers.items():
            for gate in names:
                if f"{GATE_DENSITY_PREFIX}{layer}.{gate}" not in frame.columns:
                    raise InputError(f"no record tells the density of gate {gate} of {layer}, which the figure needs")


def _gated(gates: Gates) -> Gates:
    return {layer: names for layer, names in gates.items() if len(names) > 1}


def _by_rows(found: Sequence[Setting]) -> list[Setting]:
    """Put settings that differ in their colour's field alone beside each other."""

    def others(setting: Setting) -> list[tuple[int, float, str]]:
        return [order(value, field) for field, value in list(setting.values.items())[1:]]

    return sorted(found, key=others)


def _moving_keys(frame: pd.DataFrame) -> set[str]:
    """Return the trials in which the density of a gate changes."""
    columns = [name for name in frame.columns if name.startswith(GATE_DENSITY_PREFIX) and not name.endswith(".all")]
    changes = (frame.groupby("key")[columns].nunique() > 1).any(axis="columns")
    return {str(key) for key in changes.index[changes]}


def _gate_lines(
    frame: pd.DataFrame, moving: Sequence[Setting], gates: Sequence[Gates], band: str
) -> dict[str, tuple[Series, ...]]:
    """Return the lines of each panel, by its title; a gate has one style in all of them."""
    order_of_gates = list(dict.fromkeys(gate for layers in gates for names in layers.values() for gate in names))
    tables: dict[str, pd.DataFrame] = {}
    drawn: dict[str, tuple[Series, ...]] = {}
    for setting, layers in zip(moving, gates, strict=True):
        for layer, names in layers.items():
            lines = []
            for gate in names:
                metric = f"{GATE_DENSITY_PREFIX}{layer}.{gate}"
                if metric not in tables:
                    tables[metric] = by_epoch(frame, metric)
                found = curve(tables[metric], counted(tables[metric], setting), band)
                texts = tuple(f"n = {found.n}" for _ in found.epochs)
                style = style_at(FIRST_OF_OTHERS + order_of_gates.index(gate))
                lines.append(Series(gate, style, found.epochs, found.mean, found.low, found.high, "line", texts))
            drawn[f"{setting.name()}: {layer}"] = tuple(lines)
    return drawn


def _num_columns(moving: Sequence[Setting], gates: Sequence[Gates]) -> int:
    """Return a column for each layer where settings have the same number of them, else one for each colour."""
    num_panels, num_layers = sum(map(len, gates)), {len(layers) for layers in gates}
    if len(num_layers) == 1 and 1 < max(num_layers) <= MAX_COLUMNS:
        return max(num_layers)
    num_groups = len({setting.group for setting in moving})
    is_grid = 1 < num_groups <= MAX_COLUMNS and num_panels % num_groups == 0
    return num_groups if is_grid else num_columns(num_panels)


def _layers(last: pd.DataFrame, setting: Setting, configs: Mapping[str, TrialConfig]) -> dict[str, list[float]]:
    """Return the density of each layer in each trial that is answered."""
    found: dict[str, list[float]] = {}
    for key in setting.answered:
        for layer, gates in _gates(configs[key]).items():
            names = [f"{GATE_DENSITY_PREFIX}{layer}.{gate}" for gate in gates]
            active = sum(last.loc[key, names].to_numpy(dtype=float) * list(gates.values()))
            found.setdefault(layer, []).append(float(active) / sum(gates.values()))
    return found


def _is_sparse(layers: Mapping[str, Sequence[float]]) -> bool:
    return any(value < 1 for values in layers.values() for value in values)


def _dots(
    setting: Setting, layers: Mapping[str, Sequence[float]], names: Sequence[str], offset: float, band: str
) -> Series:
    found = [summarise(values, band) for values in layers.values()]
    return Series(
        setting.name(),
        setting.style,
        tuple(names.index(layer) + offset for layer in layers),
        tuple(one.mean for one in found),
        tuple(one.low for one in found),
        tuple(one.high for one in found),
        "dots",
        tuple(f"{layer}, n = {one.n}" for layer, one in zip(layers, found, strict=True)),
    )


def _offset(place: int, number: int) -> float:
    return WIDTH * (place / (number - 1) - 0.5) if number > 1 else 0.0
