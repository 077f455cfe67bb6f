"""`selfish run` and `selfish train`: bring a sweep's trials to their answers, on Ray or in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    DataOption,
    FormatOption,
    InsecureOption,
    JsonOption,
    RayOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    chosen_format,
    read_settings,
)

if TYPE_CHECKING:
    from sweeps.parts import Resources


def run(
    spec: SpecArgument,
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    ray_address: RayOption = None,
    require_tracking: Annotated[
        bool, typer.Option("--require-tracking", help="An MLflow that cannot be reached is an error.")
    ] = False,
    insecure_tracking: InsecureOption = False,
    format_name: FormatOption = "text",
    as_json: JsonOption = False,
) -> int:
    """Run the trials of a sweep that have no answer yet, then print its table; running it again is safe."""
    from orchestration import cluster, wanted
    from orchestration.terminal import answer, count, say

    chosen = chosen_format(format_name, as_json)
    settings = read_settings(
        store=store, data=data, tracking_uri=tracking_uri, ray_address=ray_address, insecure_tracking=insecure_tracking
    )
    sweep = wanted.load(spec)
    if settings.ray_address is None:
        _check_fits(sweep.spec.resources)
    else:
        cluster.check_address(settings.ray_address)
    found = wanted.open_store(settings)
    with found.sweep(sweep.spec.name).owned():
        from orchestration.reconcile import reconcile  # pandas and more, which a refusal does without

        done = reconcile(sweep, found, settings, must_track=require_tracking)
    from orchestration.tables import render_table

    answer(render_table(sweep, found, settings.tracking_uri if done.is_tracked else None, chosen))
    if not done.is_tracked:
        say(f"the table is made from the records; `selfish sync{_flags(store, tracking_uri)}` brings MLflow up to date")
    if done.num_missing:
        say(f"{count(done.num_missing, 'trial')} of {len(sweep.trials)} without an answer, {len(done.failures)} failed")
    say(f"browse it: selfish ui{_flags(store, tracking_uri)}")
    return done.exit_code


def train(
    spec: SpecArgument,
    only: Annotated[
        str | None, typer.Option("--only", metavar="KEY_PREFIX", help="Only trials whose key starts like this.")
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda|auto", help="Where to train.")] = "auto",
    store: StoreOption = None,
    data: DataOption = None,
) -> int:
    """Run a sweep's missing trials one after another in this process, without Ray or MLflow."""
    from orchestration import wanted
    from selfish_core.errors import InputError, unknown_name

    if device not in ("cpu", "cuda", "auto"):
        raise InputError(unknown_name("device", device, ("cpu", "cuda", "auto")))
    settings = read_settings(store=store, data=data)
    sweep = wanted.load(spec)
    _check_fits(sweep.spec.resources)
    chosen = [trial for trial in sweep.trials if trial.key.startswith(only or "")]
    if not chosen:
        raise InputError(
            f"no trial of {sweep.spec.name} has a key that starts with {only!r}: `selfish plan` shows them"
        )
    from orchestration.in_process import train_trials

    return train_trials(sweep, chosen, wanted.open_store(settings), settings, device)


def _check_fits(resources: Resources) -> None:
    """Refuse a trial that asks for more than this machine has."""
    from orchestration import cluster

    cluster.check_fits(resources.cpu, resources.gpu, cluster.local_capacity(), "this machine")


def _flags(store: str | None, tracking_uri: str | None) -> str:
    """Return the flags that lead another command to what this one wrote, each after a space."""
    import shlex

    flags = (("--store", store), ("--tracking-uri", tracking_uri))
    return "".join(f" {flag} {shlex.quote(value)}" for flag, value in flags if value is not None)
