"""`selfish report`: what a sweep has shown, as one HTML file that opens without a network."""

from __future__ import annotations

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
        str | None, typer.Option("--output", "-o", metavar="FILE", help="The new file; SWEEP.html here by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
) -> None:
    """Write a sweep's report: summary, tables, figures, failures, what is missing, where every number comes from."""
    from orchestration import wanted
    from orchestration.outfile import check_free, write
    from orchestration.terminal import say

    if output is not None:
        check_free(existing_folder(output), is_forced=force)
    settings = read_settings(store=store, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    sweep = wanted.load(spec)
    path = existing_folder(output if output is not None else f"{sweep.spec.name}.html")
    check_free(path, is_forced=force)
    found = wanted.require_store(settings)
    from orchestration.reporting import render_report

    text, warnings = render_report(sweep, found, settings.tracking_uri)
    for warning in warnings:
        say(f"warning: {warning}")
    data = text.encode()
    write(path, data, is_forced=force)
    say(f"{path}: {len(data) / 1e6:.1f} MB, opens in any browser without a network")
