"""Submitting a sweep: one live job for each sweep of a trial store, however often and from wherever it is submitted.

A job's id is the sweep's name, a hash of name and trial store, and a number that goes up when the job before has ended.
Ray gives an id to one job only, so of fifty submissions at once one starts a job and the others find it. The spec
travels in the job's metadata: the job needs none of the submitter's files, and the next submitter can compare.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.jobs_api import JobsApi, RayJob
from selfish_core.catalogue.corpora import FolderCorpusConfig
from selfish_core.errors import InputError, SelfishError, shown
from sweeps.expand import Trial
from sweeps.spec import Spec
from sweeps.yaml_reader import MAX_BYTES, Path, read

MODULE = "orchestration.submitted"
"""What the job runs."""

SWEEP, SPEC, CODE = "selfish_sweep", "selfish_spec", "selfish_code"
"""Names in a job's metadata: the sweep, its spec in base64 of zlib, and the submitter's code version."""

JOB_VARIABLE = "SELFISH_JOB"
"""Tells the job its own id."""

STOP_SECONDS = "30"
"""How long `ray job stop` gives a sweep for an orderly end; Ray's own default is 3."""

FOLLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Wish:
    """What is to run.

    Args:
        spec: checked.
        store: folder or URL of the trial store, as the cluster names it.
        flags: of `selfish run`, beside the spec and the cluster's address.
        code_version: of the submitter's scientific code.
    """

    spec: Spec
    store: str
    flags: Sequence[str]
    code_version: str

    @property
    def family(self) -> str:
        """What the ids of this sweep's jobs begin with."""
        digest = hashlib.sha256(f"{self.spec.name}\n{self.store}".encode()).hexdigest()
        return f"{self.spec.name}-{digest[:8]}"

    @property
    def entrypoint(self) -> str:
        """What the job's shell runs."""
        return shlex.join(["python", "-P", "-m", MODULE, *self.flags])

    @property
    def metadata(self) -> dict[str, str]:
        """What the job carries."""
        return {SWEEP: self.spec.name, SPEC: packed(self.spec.text), CODE: self.code_version}


@dataclass(frozen=True)
class Submission:
    """The job that runs the sweep.

    Args:
        id: of the job.
        is_new: whether this submission started it.
        failure: how the job before ended, where that was no success.
    """

    id: str
    is_new: bool
    failure: str = ""


def check_paths(spec: Spec, trials: Iterable[Trial]) -> None:
    """Refuse a text of the user's own that a spec names by where the spec lies, which no job knows.

    Raises:
        InputError: at the first one.
    """
    written = {os.path.normpath(text) for text in _texts(spec.document.data)}
    for trial in trials:
        corpus = trial.config.corpus
        if isinstance(corpus, FolderCorpusConfig) and os.path.normpath(corpus.path) not in written:
            told = f"{spec.document.where}: corpus.path is relative to the folder of the spec"
            raise InputError(f"{told}: write the whole path that the text has on the cluster's nodes")


def submit(api: JobsApi, wish: Wish) -> Submission:
    """Start the sweep's job, or find the live one.

    Raises:
        InputError: when a sweep of this name runs from another spec, or the token is refused.
        SelfishError: when the cluster does not answer or does not take the job.
    """
    tried, refusal = "", ""
    while True:
        family = _family(api.jobs(), wish.family)
        for _, job in family:
            if job.is_live:
                _check_same(wish.spec, job)
                return Submission(job.id, is_new=False)
        number = 1 + max((number for number, _ in family), default=0)
        job_id = f"{wish.family}-{number}"
        if job_id == tried:
            raise SelfishError(f"the Ray cluster at {api.url} did not take job {job_id}: {refusal}")
        variables = {JOB_VARIABLE: job_id, "RAY_JOB_STOP_WAIT_TIME_S": STOP_SECONDS}
        refusal = api.start(job_id, wish.entrypoint, wish.metadata, variables)
        if not refusal:
            return Submission(job_id, is_new=True, failure=_failure(family))
        tried = job_id


def follow(api: JobsApi, job_id: str, report: Callable[[str], None]) -> RayJob:
    """Pass on what a job prints, line by line, until it has ended.

    Raises:
        InputError, SelfishError: when the cluster is lost; the job goes on.
    """
    num_shown = 0
    while True:
        job = api.job(job_id)
        lines = api.logs(job_id).splitlines(keepends=True)
        whole = lines if not job.is_live else [line for line in lines if line.endswith("\n")]
        for line in whole[num_shown:]:
            report(line.rstrip("\n"))
        num_shown = max(num_shown, len(whole))
        if not job.is_live:
            return job
        time.sleep(FOLLOW_SECONDS)


def packed(text: bytes) -> str:
    """Pack a spec's bytes into a text that an environment variable can hold: see `unpacked`."""
    return base64.b64encode(zlib.compress(text, 9)).decode()


def unpacked(text: str) -> bytes:
    """Return the bytes of a spec that `packed` has packed.

    Raises:
        ValueError: when there is none, or it is larger than a spec may be.
    """
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(base64.b64decode(text, validate=True), MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof:
        raise ValueError(f"it is cut, or holds more than {MAX_BYTES} bytes")
    return found


def first_difference(here: Any, there: Any, path: Path = ()) -> tuple[Path, str] | None:
    """Return where two documents first differ and how, in the first one's order; None where they say the same.

    The order of keys does not count, that of lists does.

    >>> first_difference({"a": 1, "b": [1, 2]}, {"b": [1, 3], "a": 1})
    (('b', 1), '2 here, 3 there')
    """
    ours, theirs = _parts(here), _parts(there)
    if ours is None or theirs is None or isinstance(here, Mapping) != isinstance(there, Mapping):
        is_same = here == there and isinstance(here, bool) == isinstance(there, bool)
        return None if is_same else (path, f"{_shown(here)} here, {_shown(there)} there")
    names = [*ours, *(name for name in theirs if name not in ours)]
    found = (first_difference(ours.get(name, _NONE), theirs.get(name, _NONE), (*path, name)) for name in names)
    return next((difference for difference in found if difference is not None), None)


_NONE = object()


def _parts(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, list):
        return dict(enumerate(value))
    return dict(value) if isinstance(value, Mapping) else None


def _texts(value: Any) -> Iterator[str]:
    for part in (_parts(value) or {}).values():
        yield from _texts(part)
    if isinstance(value, str):
        yield value


def _shown(value: Any) -> str:
    return "nothing" if value is _NONE else shown(value)


def _family(jobs: Sequence[RayJob], family: str) -> list[tuple[int, RayJob]]:
    """Return a sweep's jobs by number, the oldest first."""
    matches = ((re.fullmatch(rf"{re.escape(family)}-([1-9][0-9]{{0,8}})", job.id), job) for job in jobs)
    return sorted(((int(match[1]), job) for match, job in matches if match), key=lambda pair: pair[0])


def _failure(family: Sequence[tuple[int, RayJob]]) -> str:
    if not family or family[-1][1].status == "SUCCEEDED":
        return ""
    job = family[-1][1]
    lines = [line.strip() for line in job.message.splitlines() if line.strip()]
    return f"{job.id} has {job.status.lower()}" + (f": {lines[-1][:300]}" if lines else "")


def _check_same(spec: Spec, job: RayJob) -> None:
    told = f"sweep {spec.name!r} runs as job {job.id} from another spec"
    try:
        running = read(unpacked(job.metadata.get(SPEC, "")), job.id)
    except (ValueError, InputError):
        raise InputError(f"{told}, which cannot be read: wait for its end, or give this one another name") from None
    difference = first_difference(spec.document.data, running.data)
    if difference is not None:
        path, what = difference
        place, name = f"{spec.document.where}:{spec.document.line(path)}", ".".join(str(part) for part in path)
        ways = f"`selfish stop {spec.name}` ends it, or give this one another name"
        raise InputError(f"{place}: {told}: {name} is {what}; {ways}")
