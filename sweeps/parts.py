"""The parts of a spec: what may stand under each of its keys, read one by one from plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from selfish_core.config import HEAD_FIELDS
from selfish_core.errors import InputError, unknown_name
from selfish_core.records import METRIC_NAMES
from selfish_core.resolve import SECTION_CLASSES, SEEDS, problem_of_value
from sweeps import recipes
from sweeps.axes import Block, Point, read_axes, read_point
from sweeps.fields import read_field
from sweeps.ranges import read_space
from sweeps.sections import (
    MAX_CPUS,
    MAX_GPUS,
    PACKINGS,
    TABLE_METRICS,
    AnySection,
    EarlyStoppingPart,
    Execution,
    Keep,
    Resources,
    SearchPart,
    Table,
    read_section,
)
from sweeps.space import Space
from sweeps.yaml_reader import Findings, kind_of

__all__ = [
    "TABLE_METRICS",
    "EarlyStoppingPart",
    "Execution",
    "Keep",
    "PartsReader",
    "Resources",
    "SearchPart",
    "Table",
]

KEYS = (
    *("name", "description", "recipe", "base", "epochs", "axes", "exclude", "seeds", "table"),
    *("resources", "execution", "keep", "search", "early_stopping"),
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_EPOCHS = 100_000
MAX_DESCRIPTION = 500


class PartsReader:
    """Read the parts of a spec one by one; what is wrong goes to the findings."""

    def __init__(self, data: Mapping[str, Any], findings: Findings) -> None:
        self._data = data
        self._findings = findings
        self._notes: list[str] = []

    @property
    def is_searched(self) -> bool:
        """Whether points are chosen from the axes."""
        return "search" in self._data

    def notes(self) -> tuple[str, ...]:
        """Return what was noticed and is no error."""
        return tuple(self._notes)

    def refuse_unknown(self, path: tuple[str, ...], known: tuple[str, ...]) -> None:
        """Refuse the keys of a mapping that are none of the known."""
        mapping = self._data[path[0]] if path else self._data
        for key in mapping:
            if key not in known:
                self._findings.add((*path, key), unknown_name("key", key, known))

    def axes(self) -> tuple[Block, ...]:
        """Read the axes, every point of which is to run; a searched sweep has none."""
        is_grid = "axes" in self._data and not self.is_searched
        return read_axes(self._data["axes"], self._findings) if is_grid else ()

    def space(self) -> Space | None:
        """Read the axes of a searched sweep."""
        return read_space(self._data.get("axes"), self._findings) if self.is_searched else None

    def name(self) -> str:
        """Read the sweep's name."""
        value = self._needed("name", "a text")
        rule = "1 to 128 letters, digits, '.', '_' and '-', the first a letter or digit, without '..'"
        if value is not None and (not isinstance(value, str) or not NAME.fullmatch(value) or ".." in value):
            self._findings.add(("name",), f"name must be {rule}, got {kind_of(value)}")
        return str(value)

    def description(self) -> str:
        """Read the line that says what the sweep is."""
        value = self._data.get("description", "")
        if not isinstance(value, str) or len(value) > MAX_DESCRIPTION or not value.strip().isprintable():
            self._findings.add(
                ("description",),
                f"description must be one line of at most {MAX_DESCRIPTION} characters, got {kind_of(value)}",
            )
        return str(value).strip()

    def epochs(self) -> int:
        """Read how far every trial goes."""
        allowed = f"a whole number in [1, {MAX_EPOCHS}]"
        value = self._needed("epochs", allowed)
        if value is not None and not _is_whole(value, 1, MAX_EPOCHS):
            self._findings.add(("epochs",), f"epochs must be {allowed}, got {kind_of(value)}")
            return 1
        return int(value or 1)

    def seeds(self) -> tuple[int, ...]:
        """Read the seeds, each once."""
        value = self._needed("seeds", "a list of whole numbers, e.g. [1, 2, 3]")
        if value is None:
            return ()
        if not isinstance(value, list) or not value:
            got = "an empty list" if value == [] else kind_of(value)
            self._findings.add(("seeds",), f"seeds must be a list of whole numbers, e.g. [1, 2, 3], got {got}")
            return ()
        seeds: dict[int, None] = {}
        for index, seed in enumerate(value):
            if problem_of_value(("seed",), seed) is not None:
                self._findings.add(("seeds", index), f"a seed must be {SEEDS}, got {kind_of(seed)}")
            elif seed in seeds:
                self._note(("seeds", index), f"seed {seed} stands twice: it runs once")
            else:
                seeds[seed] = None
        return tuple(seeds)

    def recipe(self) -> recipes.Recipe | None:
        """Read the recipe that lies under the base, by its name."""
        if "recipe" not in self._data:
            return None
        value = self._data["recipe"]
        if not isinstance(value, str):
            self._findings.add(("recipe",), f"recipe must be the name of a recipe, got {kind_of(value)}")
            return None
        try:
            return recipes.load(value)
        except InputError as error:
            self._findings.add(("recipe",), str(error))
            return None

    def base(self) -> dict[str, Any]:
        """Read the sections that all trials share."""
        value = self._data.get("base", {})
        if not isinstance(value, Mapping):
            self._findings.add(("base",), f"base must be a mapping of sections, got {kind_of(value)}")
            return {}
        base: dict[str, Any] = {}
        for section, inner in value.items():
            if section == "seed":
                self._findings.add(("base", "seed"), "seed is no part of base: list the seeds under 'seeds'")
            elif section not in ("method", *SECTION_CLASSES):
                self._findings.add(("base", section), unknown_name("key", section, ("method", *SECTION_CLASSES)))
            else:
                base[section] = self._base_section(section, inner)
        return base

    def _base_section(self, section: str, value: Any) -> Any:
        if section == "method" or (section in HEAD_FIELDS and not isinstance(value, Mapping)):
            field = (section,) if section == "method" else (section, HEAD_FIELDS[section])
            self._check_value(field, value, ("base", section))
            return value if section == "method" else {HEAD_FIELDS[section]: value}
        if not isinstance(value, Mapping):
            self._findings.add(("base", section), f"{section} must be a mapping, got {kind_of(value)}")
            return {}
        known = {field for cls in SECTION_CLASSES[section].values() for field in cls.model_fields}
        for field, inner in value.items():
            if field in known:
                self._check_value((section, field), inner, ("base", section, field))
            else:
                self._findings.add(("base", section, field), unknown_name("key", field, known, of=section))
        return dict(value)

    def _check_value(self, field: tuple[str, ...], value: Any, path: tuple[str, ...]) -> None:
        problem = problem_of_value(field, value)
        if problem is not None:
            self._findings.add(path, problem)

    def exclude(self) -> tuple[Point, ...]:
        """Read the exclusions."""
        value = self._data.get("exclude", [])
        if not isinstance(value, list):
            self._findings.add(
                ("exclude",), f"exclude must be a list of mappings of fields to values, got {kind_of(value)}"
            )
            return ()
        return tuple(
            read_point(item, ("exclude", index), self._findings, may_set_seed=True) for index, item in enumerate(value)
        )

    def resources(self) -> Resources:
        """Read what one trial uses."""
        value = self._mapping("resources", ("cpu", "gpu", "pack"))
        cpu, gpu, pack = value.get("cpu", 1), value.get("gpu", 0), value.get("pack", "none")
        if not _is_whole(cpu, 1, MAX_CPUS):
            message = f"resources.cpu must be a whole number in [1, {MAX_CPUS}], got {kind_of(cpu)}"
            self._findings.add(("resources", "cpu"), message)
        is_number = isinstance(gpu, int | float) and not isinstance(gpu, bool)
        if not is_number or not 0 <= gpu <= MAX_GPUS or (gpu > 1 and gpu != int(gpu)):
            message = (
                f"resources.gpu must be a share of one GPU or a whole number in [0, {MAX_GPUS}], got {kind_of(gpu)}"
            )
            self._findings.add(("resources", "gpu"), message)
        if pack not in PACKINGS:
            self._findings.add(("resources", "pack"), unknown_name("resources.pack", pack, PACKINGS))
        return Resources(cpu=cpu, gpu=gpu, pack=pack)

    def execution(self) -> Execution:
        """Read how trials are watched over."""
        return self._section("execution", Execution) or Execution()

    def keep(self) -> Keep:
        """Read which checkpoints stay."""
        return self._section("keep", Keep) or Keep()

    def search(self) -> SearchPart | None:
        """Read how points are chosen; None where every one runs."""
        return self._section("search", SearchPart)

    def early_stopping(self) -> EarlyStoppingPart | None:
        """Read when a setting is given up; None where none is."""
        return self._section("early_stopping", EarlyStoppingPart)

    def _section(self, name: str, cls: type[AnySection]) -> AnySection | None:
        return read_section(cls, name, self._data[name], self._findings) if name in self._data else None

    def table(self) -> Table:
        """Read what the table shows."""
        value = self._mapping("table", ("rows", "columns", "metric"))
        table = Table(**{name: value[name] for name in ("rows", "columns", "metric") if name in value})
        fields = [
            read_field(name, ("table", part), self._findings, may_set_seed=True)
            for part, name in (("rows", table.rows), ("columns", table.columns))
        ]
        if None not in fields and fields[0] == fields[1]:
            self._findings.add(("table",), f"rows and columns of the table are the same field {table.rows!r}")
        if table.metric not in TABLE_METRICS:
            message = unknown_name("table metric", table.metric, TABLE_METRICS)
            is_recorded = isinstance(table.metric, str) and table.metric in METRIC_NAMES
            self._findings.add(
                ("table", "metric"), f"{message} (it is recorded, but no table shows it)" if is_recorded else message
            )
        return table

    def _mapping(self, key: str, known: tuple[str, ...]) -> dict[str, Any]:
        """Read a mapping that may be left out, without its unknown keys."""
        value = self._data.get(key, {})
        if not isinstance(value, Mapping):
            self._findings.add((key,), f"{key} must be a mapping with {', '.join(known)}, got {kind_of(value)}")
            return {}
        if key in self._data:
            self.refuse_unknown((key,), known)
        return {name: value[name] for name in value if name in known}

    def _needed(self, key: str, allowed: str) -> Any:
        if key not in self._data or self._data[key] is None:
            self._findings.add((key,) if key in self._data else (), f"{key} is missing: it must be {allowed}")
            return None
        return self._data[key]

    def _note(self, path: tuple[str | int, ...], message: str) -> None:
        document = self._findings.document
        self._notes.append(f"{document.where}:{document.line(path)}: {message}")


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
