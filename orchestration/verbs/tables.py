"""`selfish table`: what a sweep has shown so far, and the tables that come with Selfish by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    FORMATS,
    DataOption,
    InsecureOption,
    JsonOption,
    StoreOption,
    TrackingOption,
    chosen_format,
    read_settings,
)
from selfish_core.errors import InputError

if TYPE_CHECKING:
    from orchestration.wanted import Wanted
    from results.tables.view import View

NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME|SPEC", help="A table by name, a spec's file, or a shipped sweep.")
]
RowsOption = Annotated[str | None, typer.Option("--rows", metavar="FIELD", help="Field of the rows.")]
ColumnsOption = Annotated[
    str | None, typer.Option("--columns", metavar="FIELD", help="Field of the columns; none for a single one.")
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", metavar="NAME[,NAME]", help="What cells show; the first is compared.")
]
GroupByOption = Annotated[
    str | None, typer.Option("--group-by", metavar="FIELD[,FIELD]", help="One block of rows for each value.")
]
LayoutOption = Annotated[
    str | None, typer.Option("--layout", metavar="long|grid", help="One line for each cell, or rows × columns.")
]
ListOption = Annotated[bool, typer.Option("--list", help="List the tables that come by name.")]


FormatOption = Annotated[
    str | None, typer.Option("--format", metavar="|".join(FORMATS), help="How the table is printed; text by default.")
]


def table(
    name: NameArgument = None,
    rows: RowsOption = None,
    columns: ColumnsOption = None,
    metric: MetricOption = None,
    group_by: GroupByOption = None,
    layout: LayoutOption = None,
    format_name: FormatOption = None,
    is_list: ListOption = False,
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Print a table from what is recorded so far: a cell is mean ± std over seeds, an unfinished one says 3/5."""
    from orchestration import wanted
    from orchestration.terminal import answer, say

    if as_json and format_name not in (None, "json"):
        raise InputError(f"--json and --format {format_name} contradict each other: give one of them")
    chosen = chosen_format(format_name or "text", as_json)
    shown = {"rows": rows, "columns": columns, "metric": metric, "group_by": group_by, "layout": layout}
    if name is None or is_list:
        _list(name, [option for option, value in shown.items() if value is not None], chosen)
        return 0
    settings = read_settings(store=store, data=data, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    sweeps, view, may_be_empty = _read(name)
    view = view.changed(**shown)
    found = wanted.find_store(settings) if may_be_empty else wanted.require_store(settings)
    if found is None:
        say(f"note: there is no trial store at {settings.store}: nothing is recorded yet")
    from orchestration.tables import make_table
    from results.tables.render import render

    answer(render(make_table(sweeps, view, found, settings.tracking_uri), chosen))
    return 0


def _read(name: str) -> tuple[list[Wanted], View, bool]:
    """Read the sweeps that a table is made of and what it shows, and say whether it may be printed without a store.

    A table by name can be printed before anything is recorded.
    """
    from orchestration import wanted
    from results.tables import definition, view

    defined, names = definition.found(name)
    sweeps = [wanted.load(sweep) for sweep in names]
    return sweeps, view.of_spec(sweeps[0].spec) if defined is None else defined, defined is not None


def _list(name: str | None, options: Sequence[str], format_name: str) -> None:
    """Print the names of the tables with their titles."""
    from orchestration.terminal import answer, answer_json
    from orchestration.terminal import columns as aligned
    from results.tables.definition import definitions

    if name is not None or options:
        given = name if name is not None else f"--{options[0].replace('_', '-')}"
        raise InputError(f"{given} has no meaning for the list of tables: give a table or sweep, and no --list")
    if format_name not in ("text", "json"):
        raise InputError(f"the list of tables is text or json, got --format {format_name}")
    found = definitions().values()
    if format_name == "json":
        answer_json([{"name": one.name, "title": one.title, "sweeps": one.sweeps} for one in found])
    else:
        answer(aligned([["TABLE", "SHOWS"], *([one.name, one.title] for one in found)]))
