"""Published numbers, each with its source: one data file, `published.yaml`, joined to tables by row id."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sweeps.yaml_reader import read

FILE = Path(__file__).with_name("published.yaml")

NOT_PUBLISHED = "not published in a source we hold"
"""What a table says where a number is None, or a row is not here."""


class _Row(BaseModel):
    """One published result, as the file says it; what is not published is None."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: str = Field(min_length=1, description="name in the catalogue")
    sparsity: float | None = Field(default=None, ge=0, lt=1, description="share of inactive weights, as published")
    num_parameters: int | None = Field(default=None, gt=0, description="kept ones, as rounded by the source")
    val_perplexity: float | None = Field(default=None, gt=1)
    val_std: float | None = Field(default=None, gt=0)
    test_perplexity: float | None = Field(default=None, gt=1)
    test_std: float | None = Field(default=None, gt=0)
    note: str = Field(default="", description="what a reader must know to compare with it")
    source: str = Field(min_length=1, description="where it was read: address, and version or date")

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_empty(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None:
            raise ValueError(f"{info.field_name} is empty: leave the line out where nothing is published")
        return value

    @model_validator(mode="after")
    def _std_has_its_mean(self) -> Self:
        if (self.val_std and not self.val_perplexity) or (self.test_std and not self.test_perplexity):
            raise ValueError("a std stands without its perplexity")
        return self


class Published(_Row):
    """One published result.

    The id is `corpus/architecture/name`; `source` is the whole text where the file has the name of one.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+/[a-z0-9_]+/[a-z0-9_]+$")
    corpus: str
    model: str = Field(description="architecture, by its name in the catalogue")


class _File(BaseModel):
    """The data file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sources: dict[str, str]
    rows: dict[str, _Row]

    @model_validator(mode="after")
    def _sources_are_there_and_used(self) -> Self:
        named = {row.source for row in self.rows.values()}
        if odd := sorted(named ^ set(self.sources)):
            raise ValueError(f"sources that are named and not given, or given and not named: {', '.join(odd)}")
        return self


@cache
def published() -> Mapping[str, Published]:
    """Return the published results by their id, in the order of the file."""
    return parse(FILE.read_bytes(), FILE.name)


def parse(data: bytes, where: str) -> Mapping[str, Published]:
    """Read and check a file of published results.

    Args:
        data: the file.
        where: what messages call it.

    Raises:
        ProblemsError: when it is no plain YAML or has an id twice.
        pydantic.ValidationError: when a row is not what `Published` says.
    """
    file = _File.model_validate(read(data, where).data)
    return MappingProxyType({name: _published(name, row, file.sources) for name, row in file.rows.items()})


def _published(name: str, row: _Row, sources: Mapping[str, str]) -> Published:
    corpus, _, rest = name.partition("/")
    said = row.model_dump(exclude_unset=True) | {"source": sources[row.source]}
    return Published(id=name, corpus=corpus, model=rest.partition("/")[0], **said)
