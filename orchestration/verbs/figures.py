"""`selfish figure`: a sweep's figures, as files for paper or as pages to zoom in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    DataOption,
    InsecureOption,
    StoreOption,
    TrackingOption,
    existing_folder,
    read_settings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.wanted import Wanted
    from results.figures.model import Figure
    from results.figures.options import FigureOptions
    from selfish_core.trial_store import TrialStore

FORMATS = ("pdf", "png", "svg", "html", "json")
"""Suffixes of a figure's file: for paper, or interactive as a page of its own and as Plotly's JSON."""

NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="The figure; --list shows all.")]
SweepArgument = Annotated[
    str | None, typer.Argument(metavar="SPEC", help="A spec's file, or the name of a shipped sweep.")
]


def figure(
    name: NameArgument = None,
    spec: SweepArgument = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help=f"Where to: .{', .'.join(FORMATS)}; SWEEP-NAME.pdf here by default."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="FIELD", help="A colour for each of its values; the table's rows.")
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", metavar="M", help="What is drawn.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="FIELD=VALUE", help="Show these trials only; repeatable.")
    ] = None,
    band: Annotated[
        str | None, typer.Option("--band", metavar="interval|std", help="Around means: 95 % t interval, or ± one std.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the figures and what each shows.")] = False,
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
) -> int:
    """Draw a figure of a sweep from what is recorded so far."""
    from orchestration.terminal import answer, columns, say
    from results.figures.options import FigureOptions
    from results.figures.registry import FIGURES, check
    from selfish_core.errors import InputError

    if list_all:
        answer(columns([[known, kind.description] for known, kind in FIGURES.items()]))
        return 0
    if name is None or spec is None:
        raise InputError("name a figure and a spec: `selfish figure NAME SPEC`; `selfish figure --list` shows all")
    options = FigureOptions(by=by, metric=metric, where=_conditions(where or ()), band=band or "")
    check(name, options)
    from orchestration import wanted
    from orchestration.outfile import write

    sweep = wanted.load(spec)
    path = _file(output or f"{sweep.spec.name}-{name}.pdf", is_forced=force)
    settings = read_settings(store=store, data=data, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    found = wanted.require_store(settings)
    made = _build(name, wanted.chosen(sweep, found), found, settings.tracking_uri, options)
    content = _bytes(made, path)
    what = "replaced" if path.exists() else "written"
    write(path, content, is_forced=force)
    say(f"{path}: {what}, {len(content):,} bytes")
    say(made.caption)
    return 0


def _conditions(texts: Sequence[str]) -> dict[str, str]:
    """Read the trials that are to be shown.

    Raises:
        InputError: when a text is no FIELD=VALUE, or a field stands in two.
    """
    from selfish_core.errors import InputError, shown

    found: dict[str, str] = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise InputError(f"--where must be FIELD=VALUE, e.g. sparsity=0.67: got {shown(text)}")
        if field in found:
            raise InputError(f"--where {field} is given twice: a trial has one value of a field")
        found[field] = value
    return found


def _file(text: str, *, is_forced: bool) -> Path:
    """Return the file to write.

    Raises:
        InputError: when its suffix is none of `FORMATS`, its folder is not there, or it is there and may not be
            replaced.
    """
    from orchestration.outfile import check_free
    from selfish_core.errors import InputError, unknown_name

    path = existing_folder(text)
    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise InputError(f"{path.name}: {unknown_name('suffix', path.suffix.removeprefix('.'), FORMATS)}")
    check_free(path, is_forced=is_forced)
    return path


def _build(name: str, sweep: Wanted, store: TrialStore, tracking_uri: str | None, options: FigureOptions) -> Figure:
    """Read what is recorded, and what else the figure is made of, and build it."""
    from orchestration.figures import complete
    from orchestration.gathering import gather
    from orchestration.terminal import say
    from results.figures import build

    evidence = gather(sweep.spec, sweep.trials, store, tracking_uri)
    for warning in evidence.warnings:
        say(f"warning: {warning}")
    return build(name, evidence, complete(name, evidence, store, options))


def _bytes(made: Figure, path: Path) -> bytes:
    """Return the file's content, in the format of its suffix."""
    from results.figures import interactive, paper

    suffix = path.suffix.removeprefix(".").lower()
    if suffix == "html":
        return interactive.to_html(made).encode()
    if suffix == "json":
        return interactive.to_json(made).encode() + b"\n"
    return paper.render(made, suffix)
