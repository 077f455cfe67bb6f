"""What a table shows of a sweep's trials: rows, columns, metrics, and what is compared; every name is checked here."""

from __future__ import annotations

from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from results.cells import BESIDE, field_column
from results.tables.metrics import TABLE_METRICS
from selfish_core.errors import InputError, unknown_name
from sweeps.spec import Spec

Layout = Literal["long", "grid"]
LAYOUTS: tuple[str, ...] = get_args(Layout)

NO_COLUMNS = "none"
"""What a user writes for a table of one column."""


class View(BaseModel):
    """What a table shows, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: str = Field(description="field of the rows")
    columns: str | None = Field(default=None, description="field of the columns; null: there is one")
    metrics: tuple[str, ...] = Field(min_length=1, description="the first is compared; the others stand beside it")
    group_by: tuple[str, ...] = Field(default=(), description="fields, each of whose values makes a block of rows")
    layout: Layout = Field(default="long", description="long: one line for each cell; grid: rows × columns")
    compare: Literal["rows", "columns", "none"] = Field(
        default="rows", description="rows: with the others of the same column; columns: of the same row"
    )
    references: tuple[str | int | float, ...] = Field(
        default=(), description="rows that stand there to be looked at and are compared with none"
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        seen: dict[str, str] = {}
        for name in self.fields:
            column = field_column(name)
            if column in seen:
                known = (
                    f"{seen[column]!r} and {name!r}, which are one field" if seen[column] != name else f"{name!r} twice"
                )
                raise InputError(f"the table has {known}: give each field once")
            seen[column] = name
        for place, name in enumerate(self.metrics):
            if name not in TABLE_METRICS:
                raise InputError(unknown_name("table metric", name, TABLE_METRICS))
            if name in self.metrics[:place]:
                raise InputError(f"metric {name!r} stands twice")
        if self.compare == "columns" and self.columns is None:
            raise InputError("a table without columns cannot compare columns: compare rows, or none")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that tell its cells apart, as they are written."""
        return (*self.group_by, self.rows, *((self.columns,) if self.columns is not None else ()))

    def changed(
        self,
        *,
        rows: str | None = None,
        columns: str | None = None,
        metric: str | None = None,
        group_by: str | None = None,
        layout: str | None = None,
    ) -> Self:
        """Return the view that a user asks for; what is None stays, a free form is a grid.

        Args:
            rows: field.
            columns: field; `none` for a table of one column.
            metric: metric, or several, separated by commas.
            group_by: field, or several, separated by commas.
            layout: `long` or `grid`.

        Raises:
            InputError: when a name is unknown, or stands twice.
        """
        if layout is not None and layout not in LAYOUTS:
            raise InputError(unknown_name("layout", layout, LAYOUTS))
        if all(option is None for option in (rows, columns, metric, group_by, layout)):
            return self
        is_free = any(option is not None for option in (rows, columns, metric, group_by))
        chosen = layout or ("grid" if is_free else self.layout)
        metrics = _names(metric) if metric is not None else self.metrics
        if metric is None and (chosen, self.layout) == ("grid", "long"):
            metrics = metrics[:1]
        if chosen == "long" and len(metrics) == 1:
            metrics += tuple(name for name in BESIDE if name not in metrics)
        given: dict[str, Any] = {**self._bare(), "layout": chosen, "metrics": metrics}
        if rows is not None:
            given |= {"rows": rows, "references": ()}
        if columns is not None:
            given["columns"] = None if columns == NO_COLUMNS else columns
        if group_by is not None:
            given["group_by"] = _names(group_by)
        if given["columns"] is None and self.compare == "columns":
            given["compare"] = "rows"
        View.model_validate(given)
        return self.model_copy(update=given)

    def _bare(self) -> dict[str, Any]:
        """Return its own fields, without those of a definition."""
        return {name: getattr(self, name) for name in View.model_fields}


def of_spec(spec: Spec) -> View:
    """Return the view that a spec's `table:` asks for."""
    table = spec.table
    return View(
        rows=table.rows,
        columns=table.columns,
        metrics=(table.metric, *(name for name in BESIDE if name != table.metric)),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
