"""`selfish submit`, `up` and `down`: sweeps that run on a Ray cluster, and one on this machine to run them on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    InsecureOption,
    JobsOption,
    JsonOption,
    MaxGpuHoursOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    read_settings,
)

if TYPE_CHECKING:
    from orchestration.jobs_api import JobsApi
    from orchestration.settings import Settings
    from orchestration.stack import Stack
    from orchestration.wanted import Wanted

LOOPBACK_HOST = "127.0.0.1"


def submit(
    spec: SpecArgument,
    jobs_url: JobsOption = None,
    store: StoreOption = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DIR", help="Folder of the corpora on the cluster's nodes.")
    ] = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    insecure_network: Annotated[
        bool, typer.Option("--insecure-network", help="Allow plain http to a cluster on other machines.")
    ] = False,
    max_gpu_hours: MaxGpuHoursOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay, and show what the job prints until it ends.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Hand a sweep to a Ray cluster and leave; submitting it again finds the job that runs."""
    from orchestration import jobs, wanted
    from orchestration.terminal import answer, answer_json, count, say
    from selfish_core.places import without_password
    from selfish_core.provenance import code_version

    settings = read_settings(
        store=store, data=data, tracking_uri=tracking_uri, jobs_url=jobs_url, insecure_tracking=insecure_tracking
    )
    local = _find_local(settings)
    api = _connect(settings, local, insecure_network)
    sweep = wanted.load(spec)
    jobs.check_paths(sweep.spec, sweep.trials)
    _check_gpu_hours(sweep, settings, max_gpu_hours)
    flags = _flags(settings, local, insecure_tracking)
    if without_password(settings.tracking_uri) != settings.tracking_uri and "--tracking-uri" in flags:
        say("warning: the password in the tracking URI is seen by whoever sees the cluster's jobs; set it on its nodes")
    if api.is_open_to_all():
        say(f"warning: {api.url} wants no token: whoever reaches it can run what he likes there")
    done = jobs.submit(api, jobs.Wish(sweep.spec, settings.store, flags, code_version()))
    _register(sweep, settings)
    if done.failure:
        say(f"note: {done.failure}")
    search = sweep.spec.search
    size = count(len(sweep.trials), "trial") if search is None else count(search.num_trials, "point")
    say(f"{sweep.spec.name}: {size}, {'submitted' if done.is_new else 'runs already'}; jobs: {api.url}")
    if not follow:
        say(f"watch it: selfish status {sweep.spec.name} --store {settings.store}")
    if as_json:
        answer_json({"id": done.id, "is_new": done.is_new, "sweep": sweep.spec.name, "jobs_url": api.url})
    else:
        answer(done.id)
    return _follow(api, done.id) if follow else 0


def up(
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="CPUs for trials; all by default.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs for trials; all by default.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Wanted port of the jobs API.")] = 8265,
    mlflow_port: Annotated[int, typer.Option("--mlflow-port", min=0, max=65535, help="Wanted port of MLflow.")] = 5000,
    no_mlflow: Annotated[bool, typer.Option("--no-mlflow", help="Start no MLflow server.")] = False,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address of this machine on which Ray listens.")
    ] = LOOPBACK_HOST,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Start a Ray cluster and an MLflow server on this machine, which stay until `selfish down`."""
    from orchestration import cluster, stack
    from orchestration.stack_text import described, how_to_use
    from orchestration.terminal import answer, answer_json, say

    settings = read_settings(tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    found, is_new = stack.running(), False
    if found is None:
        capacity = cluster.local_capacity()
        say("starting Ray" + ("" if no_mlflow else " and MLflow"))
        plan = stack.make_plan(
            cpus=cpus or int(capacity.cpu),
            gpus=int(capacity.gpu) if gpus is None else gpus,
            host=_checked_host(host),
            port=port,
            mlflow_port=None if no_mlflow else mlflow_port,
            tracking_uri=settings.tracking_uri,
        )
        found, is_new = stack.up(plan)
    if not is_new:
        say("it is up already; to change it, `selfish down` first")
    if as_json:
        answer_json({"is_new": is_new, **described(found)})
    else:
        answer(how_to_use(found))
    return 0


def down(as_json: JsonOption = False) -> int:
    """End what `selfish up` has started, and nothing else."""
    from orchestration import stack
    from orchestration.terminal import answer_json, say

    was_up = stack.down()
    say("ended; sweeps that were running go on when they are submitted again" if was_up else "nothing is up")
    if as_json:
        answer_json({"was_up": was_up})
    return 0


def _connect(settings: Settings, local: Stack | None, is_insecure_allowed: bool) -> JobsApi:
    """Return the cluster that somebody named, else that of the local stack.

    Raises:
        InputError: when there is neither, the URL is none, or the cluster cannot see the trial store.
    """
    from orchestration.jobs_api import TOKEN_PATH, JobsApi, checked_url, read_token
    from selfish_core.errors import InputError

    if local is not None:
        return JobsApi(local.plan.jobs_url, read_token({TOKEN_PATH: str(local.token_path)}))
    if settings.jobs_url is None:
        raise InputError("no cluster: name one by --jobs-url, or start one on this machine by `selfish up`")
    url = checked_url(settings.jobs_url, settings.origins["jobs_url"].origin, is_insecure_allowed=is_insecure_allowed)
    if settings.origins["store"].is_default:
        raise InputError(
            f"the default trial store, {settings.store}, is one of this machine: name one that the cluster sees by "
            "--store, e.g. s3://BUCKET/PREFIX or a folder that all its nodes share"
        )
    return JobsApi(url, read_token(os.environ))


def _find_local(settings: Settings) -> Stack | None:
    """Return the local stack where nobody has named another cluster."""
    from orchestration import stack

    local = stack.running()
    return local if local is not None and settings.jobs_url in (None, local.plan.jobs_url) else None


def _check_gpu_hours(sweep: Wanted, settings: Settings, max_gpu_hours: float | None) -> None:
    """Refuse a sweep that asks for more than its user allows, by what this machine sees of the trial store."""
    if max_gpu_hours is not None:
        from orchestration import plan, prices, wanted

        prices.refuse_beyond(plan.make(sweep, wanted.find_store(settings), None), max_gpu_hours)


def _flags(settings: Settings, local: Stack | None, insecure_tracking: bool) -> list[str]:
    """Return the flags of `selfish run` on the cluster; what nobody named here is the cluster's own."""
    flags = ["--store", settings.store]
    if settings.data is not None:
        flags += ["--data", str(settings.data)]
    if not settings.origins["tracking_uri"].is_default:
        flags += ["--tracking-uri", settings.tracking_uri]
    elif local is not None:
        flags += ["--tracking-uri", local.plan.tracking_uri]
    return [*flags, "--insecure-tracking"] if insecure_tracking else flags


def _register(sweep: Wanted, settings: Settings) -> None:
    """Keep the spec where `selfish status` looks, if this machine sees the trial store; the job does so again."""
    from orchestration.terminal import say
    from selfish_core.errors import StoreError
    from selfish_core.trial_store import TrialStore

    try:
        store = TrialStore.find(settings.store)
        if store is not None:
            store.sweep(sweep.spec.name).save_spec(sweep.spec.text)
    except (StoreError, OSError) as error:
        say(f"note: this machine does not see the trial store, so `status` works elsewhere only: {error}")


def _follow(api: JobsApi, job_id: str) -> int:
    from orchestration import jobs
    from orchestration.processes import Stopped
    from orchestration.terminal import say
    from selfish_core.errors import InterruptedRunError

    try:
        job = jobs.follow(api, job_id, say)
    except Stopped as stopped:
        error = InterruptedRunError(f"{job_id} goes on; the same command shows it again")
        error.exit_code = stopped.exit_code
        raise error from None
    say(f"{job_id} has {job.status.lower()}")
    return 0 if job.status == "SUCCEEDED" else 1


def _checked_host(host: str) -> str:
    """Return an address of this machine.

    Raises:
        InputError: when it is none.
    """
    import socket

    from selfish_core.errors import InputError

    try:
        with socket.create_server((host, 0)):
            return host
    except OSError:
        raise InputError(f"--host {host!r} is no IPv4 address of this machine") from None
