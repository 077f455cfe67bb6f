"""`selfish run` and `selfish train`: bring a sweep's trials to their answers, on Ray or in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    DataOption,
    FormatOption,
    InsecureOption,
    JsonOption,
    MaxGpuHoursOption,
    PicturesOption,
    RayOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    chosen_format,
    read_settings,
)

if TYPE_CHECKING:
    from orchestration.reconcile import Reconciled
    from orchestration.settings import Settings
    from orchestration.wanted import Wanted
    from selfish_core.trial_store import TrialStore
    from sweeps.parts import Resources


def run(
    spec: SpecArgument,
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    ray_address: RayOption = None,
    rerun: Annotated[
        list[str] | None, typer.Option("--rerun", metavar="KEY", help="Answer this trial anew; the old answer is kept.")
    ] = None,
    code_older_than: Annotated[
        str | None,
        typer.Option("--code-older-than", metavar="VERSION", help="Answer anew what older code computed; `now` works."),
    ] = None,
    max_gpu_hours: MaxGpuHoursOption = None,
    require_tracking: Annotated[
        bool, typer.Option("--require-tracking", help="An MLflow that cannot be reached is an error.")
    ] = False,
    insecure_tracking: InsecureOption = False,
    pictures: PicturesOption = True,
    format_name: FormatOption = "text",
    as_json: JsonOption = False,
) -> int:
    """Run the trials of a sweep that have no answer yet, then print its table; running it again is safe."""
    from orchestration import cluster, wanted

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
    stored = found.sweep(sweep.spec.name)
    num_requests = stored.num_requests()
    with stored.owned() as lock:
        _answer_anew(sweep, found, rerun or [], code_older_than)
        _check_gpu_hours(sweep, found, max_gpu_hours)
        from orchestration.reconcile import reconcile  # pandas and more, which a refusal does without
        from orchestration.running import Owned

        done = reconcile(sweep, found, settings, Owned(lock, num_requests), must_track=require_tracking)
    _conclude(done, found, settings, chosen, _flags(store, tracking_uri))
    if pictures and done.is_tracked:
        _exhibit(done.wanted, found, settings)
    return done.exit_code


def _check_gpu_hours(sweep: Wanted, store: TrialStore, max_gpu_hours: float | None) -> None:
    """Refuse a sweep that asks for more than its user allows."""
    if max_gpu_hours is not None:
        from orchestration import plan, prices

        prices.refuse_beyond(plan.make(sweep, store, plan.capacity(None, None)), max_gpu_hours)


def _answer_anew(sweep: Wanted, store: TrialStore, prefixes: list[str], older_than: str | None) -> None:
    """Take the trials that were named, or that older code computed, their answers."""
    from orchestration import rerun, wanted
    from orchestration.terminal import count, say

    if not prefixes and older_than is None:
        return
    keys = rerun.chosen(wanted.chosen(sweep, store), store, prefixes, older_than)
    begun = rerun.start_anew(store, keys)
    say(f"{count(len(begun), 'trial')} to be answered anew; the old answers stay in the trial store")


def _conclude(done: Reconciled, store: TrialStore, settings: Settings, format_name: str, flags: str) -> None:
    """Print the table and what a user may want to do next."""
    from orchestration.tables import render_table
    from orchestration.terminal import answer, count, say

    sweep = done.wanted
    answer(render_table(sweep, store, settings.tracking_uri if done.is_tracked else None, format_name))
    if not done.is_tracked:
        say(f"the table is made from the records; `selfish sync{flags}` brings MLflow up to date")
    decided = done.todo.decided
    if decided.stopped:
        say(f"{count(len(decided.stopped), 'trial')} stopped early")
    if done.num_missing:
        num_trials = len(sweep.trials)
        say(f"{count(done.num_missing, 'trial')} of {num_trials} without an answer, {len(decided.failed)} failed")
    say(f"browse it: selfish ui{flags}")


def _exhibit(sweep: Wanted, store: TrialStore, settings: Settings) -> None:
    """Give MLflow what takes seconds to make, now that nobody waits for the sweep."""
    from orchestration.terminal import say
    from orchestration.tracking_artifacts import AT_ONCE, Extent, write_artifacts

    extent = Extent(max_trials=AT_ONCE, data=settings.data)
    for line in write_artifacts(store, settings.tracking_uri, [sweep], extent, say).lines():
        say(line)


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
    if sweep.spec.search is not None:
        raise InputError(f"{sweep.spec.name} searches its axes, which `selfish train` cannot: use `selfish run`")
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
