"""`selfish report`: what a sweep has shown, as one HTML file that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.options import (
    InsecureOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    existing_folder,
    read_settings,
)


def report(
    spec: SpecArgument,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="The new file; SWEEP.html here by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
) -> None:
    """Write a sweep's report: summary, tables, figures, failures, what is missing, where every number comes from."""
    from orchestration import wanted
    from orchestration.terminal import say

    if output is not None:
        _check_free(existing_folder(output), force)
    settings = read_settings(store=store, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    sweep = wanted.load(spec)
    path = existing_folder(output if output is not None else f"{sweep.spec.name}.html")
    _check_free(path, force)
    found = wanted.require_store(settings)
    from orchestration.reporting import render_report

    text, warnings = render_report(sweep, found, settings.tracking_uri)
    for warning in warnings:
        say(f"warning: {warning}")
    data = text.encode()
    _write(path, data, force)
    say(f"{path}: {len(data) / 1e6:.1f} MB, opens in any browser without a network")


def _check_free(path: Path, force: bool) -> None:
    """Refuse what cannot be written to.

    Raises:
        InputError: for a folder, or a file that is there and is to be kept.
    """
    from selfish_core.errors import InputError

    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file by --output")
    if not force and path.exists():
        raise InputError(f"{path}: is there already; --force writes over it, --output names another file")


def _write(path: Path, data: bytes, force: bool) -> None:
    """Write a file aside and give it its name at once, so that no reader meets half of it.

    Raises:
        InputError: when a file of this name came meanwhile and is to be kept, or the name is none of ours.
    """
    from selfish_core.errors import InputError
    from selfish_core.files import LocalStorage

    folder = LocalStorage(path.parent)
    name = f"{path.name}.new" if force else path.name
    if force:
        folder.delete(name)
    try:
        folder.create(name, data)
    except FileExistsError:
        raise InputError(f"{path}: is there already; --force writes over it") from None
    if force:
        (path.parent / name).replace(path)
