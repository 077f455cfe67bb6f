"""One point after another into trials: laid over base and recipe, resolved and checked, once for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfish_core.catalogue.methods import METHODS
from selfish_core.config import HEAD_FIELDS, TrialConfig
from selfish_core.errors import CorpusError, Problem, ProblemsError, shown
from selfish_core.resolve import SECTION_CLASSES, resolve
from sweeps.axes import Point, Setting
from sweeps.scalars import Scalar
from sweeps.spec import Resources, Spec
from sweeps.yaml_reader import Findings

_FOLDER_FACTS = ("sha256", "num_tokens", "vocabulary_size")


@dataclass(frozen=True)
class Trial:
    """One trial that a sweep wants.

    Args:
        config: complete.
        key: its content key.
        epochs: how far the sweep wants it.
        resources: what it uses while it runs.
        point: the axes' fields, as the spec names them, and their values.
    """

    config: TrialConfig
    key: str
    epochs: int
    resources: Resources
    point: Mapping[str, Scalar]


class _Exclusions:
    """What is left out, sorted by fields, so that a trial is looked up and not compared with each."""

    def __init__(self, exclude: Sequence[Point]) -> None:
        self._by_fields: dict[tuple[tuple[str, ...], ...], dict[tuple[Any, ...], list[int]]] = {}
        for index, exclusion in enumerate(exclude):
            values = tuple(_comparable(setting.value) for setting in exclusion)
            known = self._by_fields.setdefault(tuple(setting.field for setting in exclusion), {})
            known.setdefault(values, []).append(index)
        self._unused = dict.fromkeys(range(len(exclude)))

    def take(self, raw: Mapping[str, Any], seed: int) -> bool:
        """Say whether a trial is left out, and remember by which exclusions."""
        is_excluded = False
        for fields, known in self._by_fields.items():
            for index in known.get(tuple(_comparable(_value_of(raw, seed, field)) for field in fields), ()):
                self._unused.pop(index, None)
                is_excluded = True
        return is_excluded

    def unused(self) -> list[int]:
        """Return the exclusions that left out nothing."""
        return list(self._unused)


class Expander:
    """Turn points into trials, one after another."""

    def __init__(
        self, spec: Spec, findings: Findings, folders: dict[str, Mapping[str, Any] | str] | None = None
    ) -> None:
        self.trials: dict[str, Trial] = {}
        self._spec = spec
        self._findings = findings
        self._duplicates: dict[int, int] = {}
        self._folders = {} if folders is None else folders
        self._exclusions = _Exclusions(spec.exclude)

    def take(self, point: Point) -> None:
        """Add the trials of one point."""
        raw = _lay_over(self._spec.base, point)
        raw = raw if self._spec.recipe is None else self._spec.recipe.under(raw)
        seeds = [seed for seed in self._spec.seeds if not self._exclusions.take(raw, seed)]
        if not seeds:
            return
        try:
            first = resolve({**self._described(raw), "seed": seeds[0]}, epochs=self._spec.epochs)
        except ProblemsError as error:
            for problem in error.problems:
                self._findings.add_at(_blame(self._spec, point, problem), problem.message)
            return
        shown_point = {setting.name: setting.value for setting in point}
        for seed in seeds:
            config = first if seed == first.seed else first.model_copy(update={"seed": seed})
            key = config.key()
            if key in self.trials:
                line = max((setting.line for setting in point), default=1)
                self._duplicates[line] = self._duplicates.get(line, 0) + 1
            else:
                self.trials[key] = Trial(config, key, self._spec.epochs, self._spec.resources, shown_point)

    def refuse_none_left(self) -> None:
        """Refuse exclusions that leave out everything."""
        if not self._findings and not self.trials:
            self._findings.add(("exclude",), "no trial is left: exclude leaves out every one")

    def notes(self) -> list[str]:
        """Say which trials stood twice, and which exclusions leave nothing out."""
        where = self._spec.document.where
        notes = []
        for line, count in sorted(self._duplicates.items()):
            what = "trial means" if count == 1 else "trials mean"
            notes.append(f"{where}:{line}: {count} {what} the same as one before: each runs once")
        for index in self._exclusions.unused():
            line = self._spec.document.line(("exclude", index))
            notes.append(f"{where}:{line}: this exclusion leaves out no trial")
        return notes

    def _described(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fill in what a config must know of a folder of the user's own."""
        corpus = raw.get("corpus", {})
        path = corpus.get("path")
        if corpus.get("name") != "folder" or not isinstance(path, str):
            return raw
        place = self._spec.path.parent.absolute() / path
        if all(corpus.get(name) is not None for name in _FOLDER_FACTS):
            return {**raw, "corpus": {**corpus, "path": str(place)}}
        found = self._describe(place)
        if isinstance(found, str):
            raise ProblemsError([Problem(("corpus", "path"), found)])
        given = {name: value for name, value in corpus.items() if value is not None}
        problems = [
            Problem(("corpus", name), f"corpus.{name} is not what the folder holds: {shown(found[name])}")
            for name in _FOLDER_FACTS
            if name in given and given[name] != found[name]
        ]
        if problems:
            raise ProblemsError(problems)
        return {**raw, "corpus": {**found, **given, "path": str(place)}}

    def _describe(self, place: Path) -> Mapping[str, Any] | str:
        """Describe a folder, or say in a line why that fails; once for each folder."""
        from selfish_core.data.corpora import describe_folder  # imports numpy, which no other spec needs

        name = str(place)
        if name not in self._folders:
            try:
                self._folders[name] = describe_folder(place)
            except CorpusError as error:
                self._folders[name] = str(error)
        return self._folders[name]


def _lay_over(base: Mapping[str, Any], point: Point) -> dict[str, Any]:
    raw = {name: dict(part) if isinstance(part, Mapping) else part for name, part in base.items()}
    for setting in point:
        if len(setting.field) == 1:
            raw[setting.field[0]] = setting.value
        else:
            raw.setdefault(setting.field[0], {})[setting.field[1]] = setting.value
    return raw


def _value_of(raw: Mapping[str, Any], seed: int, field: tuple[str, ...]) -> Any:
    """The value that a field will have: written, of the method's row, or by default."""
    if field == ("seed",):
        return seed
    if field == ("method",):
        return raw.get("method")
    section, name = field
    part = raw.get(section, {})
    if name in part:
        return part[name]
    method = METHODS.get(str(raw.get("method")))
    parts: dict[str, Any] = {}
    if method is not None:
        parts = dict(method.parts) if section == "sparsity" else {"name": method.default_optimizer}
    if name in parts and section in ("sparsity", "optimizer"):
        return parts[name]
    classes = SECTION_CLASSES[section]
    cls = classes.get(
        "" if "" in classes else str(part.get("name", parts.get("name") if section == "optimizer" else ""))
    )
    return cls.model_fields[name].default if cls is not None and name in cls.model_fields else None


def _comparable(value: object) -> tuple[bool, object]:
    """Tell true from 1, which are equal in Python; 1 and 1.0 stay equal."""
    return isinstance(value, bool), repr(value) if isinstance(value, Mapping | list) else value


def _blame(spec: Spec, point: Point, problem: Problem) -> int:
    """Find the line of the value that causes a problem: of the axis item that takes part in it, else in the base."""
    axes: dict[tuple[str | int, ...], Setting] = {setting.field: setting for setting in point}
    for path in (problem.path, *problem.also):
        if path in axes:
            return axes[path].line
    lines = spec.document.lines
    for path in (problem.path, *problem.also):
        written = ("base", *path) if isinstance(_written(spec, path[0]), Mapping) else ("base", *_short(path))
        if written in lines:
            return lines[written]
    section = problem.path[0]
    nearest = [setting for setting in point if setting.field[0] == section]
    if not nearest and ("base", section) in lines:
        return lines["base", section]
    nearest += [axes[("method",)]] if ("method",) in axes else []
    return nearest[0].line if nearest else spec.document.line(("base", "method"))


def _written(spec: Spec, section: str | int) -> Any:
    """What the spec's file says of a section in its base."""
    return spec.document.data.get("base", {}).get(section)


def _short(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The short way to write a field: a section's head field is the section itself."""
    return path[:1] if len(path) == 2 and HEAD_FIELDS.get(str(path[0])) == path[1] else path
