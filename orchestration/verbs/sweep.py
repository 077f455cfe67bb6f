"""`selfish plan`: what a sweep would do."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.options import (
    DataOption,
    JsonOption,
    MaxGpuHoursOption,
    SpecArgument,
    StoreOption,
    read_settings,
)


def plan(
    spec: SpecArgument,
    store: StoreOption = None,
    data: DataOption = None,
    cpus: Annotated[
        float | None, typer.Option("--cpus", metavar="N", help="CPUs of the cluster; this machine's by default.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option("--gpus", metavar="N", help="GPUs of the cluster; this machine's by default.")
    ] = None,
    price_per_gpu_hour: Annotated[
        float | None, typer.Option("--price-per-gpu-hour", metavar="X", help="Tell the price too.")
    ] = None,
    max_gpu_hours: MaxGpuHoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a sweep's trials, their size, and an estimate of time, GPU-hours and checkpoints; start nothing."""
    from orchestration import plan as planning
    from orchestration import prices, texts, wanted
    from orchestration.plan_text import as_text
    from orchestration.terminal import answer, answer_json, say

    amounts = {"--cpus": cpus, "--gpus": gpus, "--price-per-gpu-hour": price_per_gpu_hour}
    for option, value in {**amounts, "--max-gpu-hours": max_gpu_hours}.items():
        prices.check_amount(option, value)
    settings = read_settings(store=store, data=data)
    sweep = wanted.load(spec)
    made = planning.make(sweep, wanted.find_store(settings), planning.capacity(cpus, gpus))
    warnings = list(texts.missing((trial.trial.config for trial in made.missing), settings))
    if as_json:
        price = prices.price_of(made, price_per_gpu_hour) if price_per_gpu_hour is not None else None
        answer_json({**made.to_dict(), "price": price, "warnings": warnings})
    else:
        answer(as_text(made, price_per_gpu_hour))
    for warning in warnings:
        say(f"warning: {warning}")
    if max_gpu_hours is not None:
        prices.refuse_beyond(made, max_gpu_hours)
