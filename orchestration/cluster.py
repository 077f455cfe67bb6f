"""The Ray that a sweep runs on: one of our own, with a folder and a token of its own, or one that the user names.

Ours never attaches to another's cluster, keeps `~/.ray` untouched, and leaves nothing behind: its folder is locked
while it lives, and folders whose lock is free are removed at the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfish_core.errors import InputError, ResourcesError, SelfishError

MAX_FOLDER_LENGTH = 40
"""Longest path of our folder: Ray's socket names below it are some 65 bytes, and the system allows 107 in all."""

OBJECT_STORE_BYTES = 80 * 2**20
"""Ray's smallest; configs and metrics are all that passes through it."""

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Keeps all of Ray's ports on 127.0.0.1; Ray has it for desktops. Who joins such a cluster needs it too."""

CONNECT_SECONDS = 5.0

NO_SNAPSHOTS = 10**9
"""Seconds between two snapshots of Tune's own state, which nobody reads; each is as long as there are trials."""

NUM_AHEAD = 3
"""Trials that Tune is given before a worker is free: with its own one, tiny trials take 1.3 times as long."""

HEAD_LOST_SECONDS = "10"
"""After so long without the cluster's head a driver ends, and is started again; Ray's own default is 60."""

KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
"""Else glibc gives the logits' pages back after each step and faults them in again: about 15 % of the time."""

WORKER_HOOK = "orchestration.processes.start_worker"
_PREFIX = "run-"


@dataclass(frozen=True)
class Capacity:
    """The most that one node has.

    Args:
        cpu: logical CPUs.
        gpu: GPUs.
    """

    cpu: float
    gpu: float


def local_capacity() -> Capacity:
    """Return what this machine has for us, without starting anything."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        num_gpus = len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    else:
        num_gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return Capacity(cpu=len(os.sched_getaffinity(0)), gpu=num_gpus)


def check_fits(cpu: float, gpu: float, capacity: Capacity, where: str) -> None:
    """Refuse what would wait for ever.

    Raises:
        ResourcesError: when one trial asks for more than one node has.
    """
    for name, asked, there in (("cpu", cpu, capacity.cpu), ("gpu", gpu, capacity.gpu)):
        if asked > there:
            raise ResourcesError(
                f"resources.{name}: a trial asks for {asked:g}, {where} has {there:g}: ask for at most that"
            )


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for one embedded cluster, 0700, locked while in use and removed at the end."""
    base = _own_base()
    with contextlib.ExitStack() as stack:
        with _locked(base, is_patient=True):
            _remove_stale(base)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            stack.enter_context(_locked(folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def environment(folder: Path, given: Mapping[str, str], *, is_embedded: bool) -> dict[str, str]:
    """Return the driver's environment; for an embedded cluster with a token that nobody else has.

    Args:
        folder: of `scratch()`; the token is written there, 0600, before Ray runs.
        given: the command's own environment.
        is_embedded: whether the cluster is ours; another's keeps the user's own settings of Ray.
    """
    ours = {
        **KEEP_FREED_MEMORY,
        **given,
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": str(NO_SNAPSHOTS),
        "TUNE_MAX_PENDING_TRIALS_PG": str(NUM_AHEAD),
        "RAY_AIR_NEW_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
        "RAY_gcs_rpc_server_reconnect_timeout_s": HEAD_LOST_SECONDS,
    }
    if not is_embedded:
        return ours
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_NAMESPACE", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        ours.pop(name, None)
    return {
        **ours,
        **LOOPBACK_ONLY,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_write_token(folder)),
    }


def check_address(address: str) -> None:
    """Refuse a cluster that nobody listens for, which Ray would wait for without end.

    `auto` means the cluster that this process was started in as a job.

    Raises:
        InputError: when the address is none, or nothing answers there.
    """
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"ray address {address!r} must be HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(f"no Ray cluster at {address!r}: {error.strerror or error}") from None


@contextlib.contextmanager
def connect(address: str | None, folder: Path) -> Iterator[Capacity]:
    """Start our own cluster, or join the one at an address; only the driver does so.

    Yields:
        What its largest node has.

    Raises:
        SelfishError: when the cluster cannot be started or joined.
    """
    import ray

    common: dict[str, Any] = {"log_to_driver": False, "runtime_env": {"worker_process_setup_hook": WORKER_HOOK}}
    try:
        if address is None:
            capacity = local_capacity()
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=int(capacity.cpu),
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=str(folder / "ray"),
                **common,
            )
        else:
            ray.init(address=address, **common)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _no_cluster(address, error) from error
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield Capacity(cpu=max(node.get("CPU", 0.0) for node in nodes), gpu=max(node.get("GPU", 0.0) for node in nodes))
    finally:
        ray.shutdown()


def not_on(nodes: Collection[str]) -> dict[str, str]:
    """Return the labels that keep a trial off nodes, given by their addresses; none where there are none."""
    import ray

    if not nodes:
        return {}
    named = sorted(node["NodeID"] for node in ray.nodes() if node["NodeManagerAddress"] in nodes)
    return {"ray.io/node-id": f"!in({','.join(named)})"} if named else {}


def _no_cluster(address: str | None, error: Exception) -> SelfishError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if address is None:
        return SelfishError(f"Ray cannot be started on this machine: {reason}")
    return InputError(
        f"no Ray cluster could be joined at {address!r}: {reason} (is it up, and is its token in RAY_AUTH_TOKEN?)"
    )


def _own_base() -> Path:
    """Return our folder of folders: short, ours alone, no link."""
    for place in (Path(tempfile.gettempdir()), Path("/tmp")):
        base = place / f"selfish-{os.getuid()}"
        if len(str(base)) + len(_PREFIX) + 9 <= MAX_FOLDER_LENGTH:
            break
    with contextlib.suppress(FileExistsError):
        base.mkdir(mode=0o700)
    info = base.lstat()
    if not base.is_dir() or base.is_symlink() or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise SelfishError(f"{base}: must be a folder of yours that nobody else can read; remove it or set TMPDIR")
    return base


@contextlib.contextmanager
def _locked(folder: Path, *, is_patient: bool = False) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if is_patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _write_token(folder: Path) -> Path:
    path = folder / "token"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path
