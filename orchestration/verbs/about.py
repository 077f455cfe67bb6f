"""`selfish ui`, `schema` and `doctor`: looking at the runs, writing specs, and finding out what is amiss."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.options import (
    DataOption,
    InsecureOption,
    JsonOption,
    RayOption,
    StoreOption,
    TrackingOption,
    read_settings,
)


def ui(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Wanted port on the loopback interface.")
    ] = 5000,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
) -> int:
    """Open MLflow's web pages on the trials, until Ctrl-C."""
    import signal

    from orchestration import wanted
    from orchestration.processes import Stopped
    from orchestration.terminal import say

    settings = read_settings(store=store, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    found = wanted.require_store(settings)
    from orchestration.ui import run_ui
    from results.names import experiment_name

    try:
        return run_ui(settings.tracking_uri, experiment_name(found.store_id), say, port)
    except Stopped as stopped:
        if stopped.exit_code == 128 + signal.SIGINT:
            return 0
        raise


def schema() -> None:
    """Print the JSON Schema of specs, for editors."""
    from orchestration.terminal import answer_json
    from sweeps.spec import json_schema

    answer_json(json_schema())


def doctor(
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    ray_address: RayOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Say what is installed, where every setting comes from, and whether store, corpora and MLflow are well."""
    from orchestration.doctor import examine, examined_text
    from orchestration.terminal import answer, answer_json

    settings = read_settings(
        store=store, data=data, tracking_uri=tracking_uri, ray_address=ray_address, insecure_tracking=insecure_tracking
    )
    found = examine(settings)
    if as_json:
        answer_json(found)
    else:
        answer(examined_text(found))
    return 0 if found["is_well"] else 1
