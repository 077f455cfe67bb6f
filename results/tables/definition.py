"""The tables that come with Selfish: each a data file that names its sweeps, rows, columns, metrics and layout."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from results.cells import Setting
from results.tables.view import View
from selfish_core.errors import InputError, unknown_name
from sweeps import shipped_files, spec

FOLDER = Path(__file__).with_name("definitions")


class Join(BaseModel):
    """Which cell a published number stands beside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: dict[str, Setting] = Field(min_length=1, description="fields of the table and their values in the cell")
    id: str = Field(description="row of results/published.yaml")

    def is_of(self, settings: Mapping[str, Setting]) -> bool:
        """Whether a cell with these values of its fields is the one."""
        return all(name in settings and settings[name] == value for name, value in self.where.items())


class Definition(View):
    """A table by name."""

    name: str = Field(description="of its file")
    title: str = Field(description="one line")
    sweeps: tuple[str, ...] = Field(min_length=1, description="shipped sweeps whose trials it is made of")
    published: tuple[Join, ...] = Field(default=(), description="published numbers that stand beside its cells")

    @model_validator(mode="after")
    def _its_names_exist(self) -> Self:
        for name in self.sweeps:
            if name not in spec.shipped():
                raise InputError(unknown_name("sweep", name, spec.shipped(), of=f"table {self.name}"))
        for join in self.published:
            for name in join.where:
                if name not in self.fields:
                    raise InputError(unknown_name("field", name, self.fields, of=f"table {self.name}"))
        return self


def names() -> tuple[str, ...]:
    """Return the names of the tables that come with Selfish, sorted."""
    return shipped_files.names(FOLDER)


@cache
def load(name: str) -> Definition:
    """Read a definition.

    Raises:
        InputError: when there is none of this name; the line lists the known ones and offers the nearest.
    """
    return Definition.model_validate({"name": name, **shipped_files.load(FOLDER, "table", name)})


def found(table: str) -> tuple[Definition | None, tuple[str, ...]]:
    """Return the definition of a name, None where a sweep has it, and the names of the sweeps that it is made of.

    A table by name wins over a sweep.

    Args:
        table: name of a definition, name of a shipped sweep, or a spec's file.

    Raises:
        InputError: when it is none of them; lists the tables and sweeps that come with Selfish.
    """
    if table in names():
        definition = load(table)
        return definition, definition.sweeps
    is_file = Path(table).exists() or "/" in table or table.endswith((".yaml", ".yml"))
    if table not in spec.shipped() and not is_file:
        known = [*names(), *spec.shipped()]
        raise InputError(f"{unknown_name('table or sweep', table, known)} (or give the path of a YAML file)")
    return None, (table,)


def definitions() -> dict[str, Definition]:
    """Return all of them, by name."""
    return {name: load(name) for name in names()}
