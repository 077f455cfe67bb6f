"""`selfish plan` and `selfish table`: what a sweep would do, and what it has shown."""

from __future__ import annotations

from orchestration.options import (
    DataOption,
    FormatOption,
    InsecureOption,
    JsonOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    chosen_format,
    read_settings,
)


def plan(spec: SpecArgument, store: StoreOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Print a sweep's trials, their size and an estimate of time; start nothing."""
    from orchestration import plan as planning
    from orchestration import wanted
    from orchestration.plan_text import as_text
    from orchestration.terminal import answer, answer_json

    settings = read_settings(store=store, data=data)
    sweep = wanted.load(spec)
    made = planning.make(sweep, wanted.find_store(settings), num_cpus=wanted.num_cpus())
    if as_json:
        answer_json(made.to_dict())
    else:
        answer(as_text(made))


def table(
    spec: SpecArgument,
    format_name: FormatOption = "text",
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Print a sweep's table from what is recorded so far; unfinished cells say 3/5."""
    from orchestration import wanted
    from orchestration.terminal import answer

    chosen = chosen_format(format_name, as_json)
    settings = read_settings(store=store, data=data, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    sweep = wanted.load(spec)
    found = wanted.require_store(settings)
    from orchestration.tables import render_table

    answer(render_table(sweep, found, settings.tracking_uri, chosen))
    return 0
