"""A sweep's spec: from its YAML file to frozen data, or to one line for everything that is wrong with it.

What can be said of a single value or field is said here; what several of them mean together, for one trial, in
`sweeps.expand`. A spec names data only: there is no key that names code.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfish_core.errors import InputError, unknown_name
from sweeps.axes import Block, Point
from sweeps.parts import KEYS, NAME, TABLE_METRICS, PartsReader, Resources, Table
from sweeps.recipes import Recipe
from sweeps.schema import json_schema
from sweeps.sections import (
    EarlyStoppingPart,
    Execution,
    Keep,
    SearchPart,
    contradictions_of_early_stopping,
    contradictions_of_keep,
)
from sweeps.space import Space
from sweeps.yaml_reader import MAX_BYTES, Document, Findings, read
from sweeps.yaml_reader import Path as Place

__all__ = ["TABLE_METRICS", "Resources", "Spec", "Table", "json_schema", "load", "parse", "shipped"]

FOLDER = Path(__file__).parent
PAPER = "paper/"
MAX_TRIALS = 10_000


@dataclass(frozen=True)
class Spec:
    """One sweep, as its file says it.

    Args:
        path: the file.
        text: its bytes.
        document: its plain data, with the line of every value.
        name: of the sweep, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}` without `..`.
        description: one line.
        epochs: to which every trial is trained, ≥ 1.
        recipe: what lies under the base; None where the spec names none.
        base: sections that all trials share; a section given as a scalar stands as its head field.
        axes: blocks whose points follow one another; without any, there is one point; none in a searched sweep.
        space: what a search chooses points from; None where every point runs.
        exclude: points that leave out every trial which agrees with all of one's settings.
        seeds: of each point's trials, no two equal.
        resources: of one trial.
        execution: how trials are watched over.
        keep: which checkpoints stay.
        search: how points are chosen; None where every point runs.
        early_stopping: when a setting is given up; None where none is.
        table: what to show.
        notes: what a user should know that is no error.
    """

    path: Path
    text: bytes
    document: Document
    name: str
    description: str
    epochs: int
    recipe: Recipe | None
    base: Mapping[str, Any]
    axes: tuple[Block, ...]
    space: Space | None
    exclude: tuple[Point, ...]
    seeds: tuple[int, ...]
    resources: Resources
    execution: Execution
    keep: Keep
    search: SearchPart | None
    early_stopping: EarlyStoppingPart | None
    table: Table
    notes: tuple[str, ...]


def shipped() -> dict[str, Path]:
    """Return the sweeps that come with Selfish, by name; those of the paper are named `paper/…`."""
    return {
        path.relative_to(FOLDER).with_suffix("").as_posix(): path
        for path in sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob(f"{PAPER}*.yaml")])
    }


def load(name_or_path: str | Path) -> Spec:
    """Read a spec and check every value in it.

    Args:
        name_or_path: a YAML file, or the name of a shipped sweep.

    Raises:
        InputError: when there is no such file or sweep.
        ProblemsError: with one line, `file:line: …`, for each thing that is wrong.
    """
    given = str(name_or_path)
    path = Path(given)
    sweeps = shipped()
    if given in sweeps:
        path = sweeps[given]
    elif NAME.fullmatch(given.removeprefix(PAPER)) and path.suffix not in (".yaml", ".yml") and not path.exists():
        raise InputError(f"{unknown_name('sweep', given, sweeps)} (or give the path of a YAML file)")
    return parse(_read_file(path), path)


def parse(data: bytes, path: Path) -> Spec:
    """Read a spec from its bytes.

    Args:
        data: the whole file.
        path: what messages call it, and where relative paths in it start.

    Raises:
        ProblemsError: with one line, `file:line: …`, for each thing that is wrong.
    """
    document = read(data, _printable(str(path)))
    findings = Findings(document)
    reader = PartsReader(document.data, findings)
    spec = Spec(
        path=path,
        text=data,
        document=document,
        name=reader.name(),
        description=reader.description(),
        epochs=reader.epochs(),
        recipe=reader.recipe(),
        base=reader.base(),
        axes=reader.axes(),
        space=reader.space(),
        exclude=reader.exclude(),
        seeds=reader.seeds(),
        resources=reader.resources(),
        execution=reader.execution(),
        keep=reader.keep(),
        search=reader.search(),
        early_stopping=reader.early_stopping(),
        table=reader.table(),
        notes=reader.notes(),
    )
    reader.refuse_unknown((), KEYS)
    if not findings:
        for place, message in _contradictions(spec):
            findings.add(place, message)
    findings.raise_if_any()
    return spec


def _contradictions(spec: Spec) -> Iterator[tuple[Place, str]]:
    """Say which parts do not go together, each sound by itself."""
    yield from contradictions_of_keep(spec.keep)
    if spec.early_stopping is not None:
        yield from contradictions_of_early_stopping(spec.early_stopping, spec.epochs)
    if spec.resources.pack == "auto":
        pack, gpu = ("resources", "pack"), spec.resources.gpu
        if not 0 < gpu <= 1:
            yield pack, f"pack: auto shares one GPU out, and resources.gpu is {gpu}: give gpu a share, e.g. 0.5"
        if not spec.execution.canary_steps:
            yield pack, "pack: auto measures in a canary, and execution.canary_steps is 0: give it a few steps"
    if spec.search is None or spec.space is None:
        return
    num_trials = spec.search.num_trials * len(spec.seeds)
    if num_trials > MAX_TRIALS:
        counts = f"{spec.search.num_trials:,} points × {len(spec.seeds):,} seeds"
        yield ("search", "num_trials"), f"{num_trials:,} trials ({counts}): at most {MAX_TRIALS:,} are allowed"
    if spec.search.sampler == "gp" and spec.space.has_conditions:
        yield ("search", "sampler"), "sampler gp knows no conditions (when): take tpe or random, or leave them out"


def _read_file(path: Path) -> bytes:
    """Read a regular file, one byte more than a spec may have at most."""
    where = _printable(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{where}: cannot be read: {reason}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{where}: cannot be read: a spec is a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
