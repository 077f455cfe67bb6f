"""`selfish explain`, `diff`, `verify`: where a number comes from, how trials differ, whether every byte is sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import JsonOption, StoreOption, read_settings

if TYPE_CHECKING:
    from selfish_core.trial_store import Verified

MAX_LINES = 1000
"""Damaged files, and other files, that are named one a line; JSON has them all."""


def explain(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table's name, or a spec, as for `selfish table`.")],
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row, as it is printed.")],
    column: Annotated[
        str | None, typer.Argument(metavar="[COLUMN]", help="The column, as it is printed, where there are any.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="VALUE", help="The block of rows, once a field of it.")
    ] = None,
    rows: Annotated[str | None, typer.Option("--rows", metavar="FIELD", help="As for `selfish table`.")] = None,
    columns: Annotated[str | None, typer.Option("--columns", metavar="FIELD", help="As for `selfish table`.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", metavar="METRIC", help="As for `selfish table`.")] = None,
    group_by: Annotated[str | None, typer.Option("--group-by", metavar="FIELD", help="As for `selfish table`.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the trials behind a cell of a table, what computed them, and how to repeat one."""
    from dataclasses import replace

    from orchestration import wanted
    from orchestration.terminal import answer, answer_json

    found = wanted.require_store(read_settings(store=store))
    from orchestration import explain as explaining
    from orchestration.explain_text import as_text

    sources = explaining.Sources.read(table, found)
    view = sources.view.changed(rows=rows, columns=columns, metric=metric, group_by=group_by)
    where = explaining.Where(row, column, tuple(group or ()))
    data = explaining.explain(replace(sources, view=view), where)
    if as_json:
        answer_json(data)
    else:
        answer(as_text(data))


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A trial's content key, or how it starts.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="METRIC", help="Whose curves are compared; may stand several times."),
    ] = None,
    other_store: Annotated[
        str | None, typer.Option("--other-store", metavar="PLACE", help="The trial store of B, where it is another.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show two trials side by side: config, what computed them, and their curves."""
    from orchestration import diff as comparing
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json

    here = wanted.require_store(read_settings(store=store))
    there = here if other_store is None else wanted.require_store(read_settings(store=other_store))
    trials = (here.trial(listing.find_key(here, first)), there.trial(listing.find_key(there, second)))
    data = comparing.diff(*trials, metric or ())
    if as_json:
        answer_json(data)
    else:
        answer(comparing.as_text(data))


def verify(
    place: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|STORE]", help="An archive, or a trial store; the usual store by default."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check every checksum of an archive or a trial store; each damaged file is named, nothing is changed."""
    from dataclasses import asdict

    from orchestration.terminal import answer, answer_json

    found = _verified(place if place is not None else str(read_settings().store))
    if as_json:
        answer_json({**asdict(found), "num_sound": found.num_sound})
    else:
        named = [*_lines("damaged", found.damaged), *_lines("left over", found.leftovers), *_lines("note", found.notes)]
        answer("\n".join([*named, _summary(found)]))
    return 1 if found.damaged else 0


def _verified(place: str) -> Verified:
    """Verify what is there.

    Raises:
        InputError: when nothing is.
    """
    from pathlib import Path

    from selfish_core.errors import InputError
    from selfish_core.object_storage import is_url
    from selfish_core.trial_store import TrialStore

    path = Path(place).expanduser()
    if not is_url(place) and not path.is_dir():
        if not path.is_file():
            raise InputError(f"{place}: there is no such file or folder; name an archive or a trial store")
        from results.archive_check import check, is_archive

        if not is_archive(path):
            raise InputError(f"{place}: is no export of Selfish; name an archive or a trial store")
        with _progress() as told:
            return check(path, told)
    with _progress() as told:
        return TrialStore.verify(place if is_url(place) else path, told)


def _lines(what: str, findings: Mapping[str, str]) -> list[str]:
    from orchestration.terminal import clean

    lines = [clean(f"{what}: {name}: {told}") for name, told in list(findings.items())[:MAX_LINES]]
    more = len(findings) - MAX_LINES
    return [*lines, f"{what}: … {more:,} more: --json lists all"] if more > 0 else lines


def _summary(found: Verified) -> str:
    """Return the last line: what was checked, and what came of it."""
    from orchestration.terminal import count

    parts = [count(number, kind) for kind, number in found.counts.items()]
    sound = f"{count(found.num_sound, 'file')} sound" + (f" ({', '.join(parts)})" if parts else "")
    return f"{found.place}: {sound}, {len(found.damaged)} damaged"


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how far it is, on a terminal alone."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("files", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
