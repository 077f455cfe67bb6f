"""The probe: a task on every node of a cluster that was joined, to see that a trial can run there before any does.

Each node looks for itself: the package and its version, the corpora, and whether it is this trial store that it writes.
What is missing is said by node, all of it at once.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestration.job import Job, first_line
from selfish_core.config import TrialConfig
from selfish_core.data import corpora
from selfish_core.errors import InputError, SelfishError
from selfish_core.object_storage import is_url
from selfish_core.provenance import code_version
from selfish_core.trial_store import TrialStore

PACKAGES = ("torch", "ray")
SECONDS = 90.0
"""For all nodes together; a node's first worker takes some 10 s, more where many start at once."""


@dataclass(frozen=True)
class Question:
    """What a node is to look for.

    Args:
        code_version: of the driver's scientific code.
        packages: name -> version that the driver has.
        store: folder or URL of the trial store.
        store_id: of the trial store that is there.
        trials: of each corpus that is read, one trial that reads it, as `TrialConfig.to_dict` gives it.
        data: folder of the corpora, or None.
    """

    code_version: str
    packages: Mapping[str, str]
    store: str
    store_id: str
    trials: Sequence[Mapping[str, Any]]
    data: str | None


@dataclass(frozen=True)
class Node:
    """A node of the cluster.

    Args:
        id: Ray's.
        name: for people: its address, with the start of the id where several nodes have it.
    """

    id: str
    name: str


def probe_nodes(job: Job) -> None:
    """Look at every node on which a trial of the job could run; the driver has joined the cluster.

    Raises:
        InputError: with one line for everything that a node lacks.
        StoreError: when the driver itself cannot use the trial store.
    """
    problems = ask_nodes(ask(job), nodes_for(job.cpu, job.gpu), SECONDS)
    still_there = {node.id for node in nodes_for(job.cpu, job.gpu)}
    lines = [f"node {node.name}: {told}" for node, told in problems if node.id in still_there]
    if lines:
        raise InputError("\n".join(lines))


def ask(job: Job) -> Question:
    """Return what every node must have, as the driver has it."""
    by_corpus = {_text_of(trial): trial for trial in job.trials.values()}
    return Question(
        code_version=code_version(),
        packages={name: metadata.version(name) for name in PACKAGES},
        store=job.store,
        store_id=TrialStore.open(job.store).store_id,
        trials=tuple(by_corpus.values()),
        data=job.data,
    )


def look(question: Question) -> list[str]:
    """Return what this machine lacks, one line each; it runs on each node, in a worker."""
    found = [
        f"has {name} {there}, the driver {version}: install the same on all nodes"
        for name, version in question.packages.items()
        if (there := _version(name)) != version
    ]
    if code_version() != question.code_version:
        told = f"has version {code_version()} of the code, the driver {question.code_version}"
        found.append(f"{told}: install the same version of Selfish on all nodes")
    return [*found, *_corpus_problems(question), *_store_problems(question)]


def nodes_for(cpu: float, gpu: float) -> list[Node]:
    """Return the living nodes that have the CPUs and GPUs for a trial."""
    import ray

    rows = [
        row
        for row in ray.nodes()
        if row["Alive"] and row["Resources"].get("CPU", 0.0) >= cpu and row["Resources"].get("GPU", 0.0) >= gpu
    ]
    shared = Counter(row["NodeManagerAddress"] for row in rows)
    return [Node(row["NodeID"], _name(row, shared[row["NodeManagerAddress"]] > 1)) for row in rows]


def ask_nodes(question: Question, nodes: Sequence[Node], seconds: float) -> Iterator[tuple[Node, str]]:
    """Ask all nodes at once, and yield what each lacks.

    Args:
        question: the same for all.
        nodes: on which nothing else need be free.
        seconds: after which a node that has not answered is said not to.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(look)
    answers = {
        node: task.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(question)
        for node in nodes
    }
    ray.wait(list(answers.values()), num_returns=len(answers), timeout=seconds, fetch_local=False)
    for node, answer in answers.items():
        for told in _answered(answer, seconds):
            yield node, told


def _text_of(trial: Mapping[str, Any]) -> str:
    """Return a text's own fields, without how much of it a trial reads."""
    return json.dumps({**trial["corpus"], "train_fraction": None}, sort_keys=True)


def _name(row: Mapping[str, Any], is_shared: bool) -> str:
    address, node_id = row["NodeManagerAddress"], row["NodeID"]
    return f"{address} ({node_id[:8]})" if is_shared else str(address)


def _answered(answer: Any, seconds: float) -> Iterable[str]:
    import ray

    try:
        found: list[str] = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(answer, force=True)
        return [f"has not answered for {seconds:g} s: is Selfish installed there, for the Python that Ray uses?"]
    except ray.exceptions.WorkerCrashedError:
        return ["its worker ended at once: is Selfish installed there, for the Python that Ray uses?"]
    except ray.exceptions.RayError as error:
        return [f"no trial can run there: {_reason(error)}"]
    return found


def _reason(error: Exception) -> str:
    """Return why a task could not be run, from the last line of what Ray tells of it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return first_line(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _corpus_problems(question: Question) -> Iterator[str]:
    folder = Path(question.data) if question.data is not None else None
    for trial in question.trials:
        try:
            corpora.verify(TrialConfig.from_dict(trial).corpus, folder, download=False)
        except (SelfishError, OSError) as error:
            yield str(error)


def _store_problems(question: Question) -> Iterator[str]:
    where = f"trial store {question.store}"
    try:
        store = TrialStore.find(question.store)
        if store is None:
            yield f"{where} is not there: it must be a place that all nodes share"
        elif store.store_id != question.store_id:
            yield f"{where} is another one there, with id {store.store_id}, the driver's has {question.store_id}"
        elif not is_url(question.store) and not os.access(question.store, os.W_OK):
            yield f"{where} cannot be written there"
        else:
            TrialStore.open(question.store)
    except (SelfishError, OSError) as error:
        yield f"{where} cannot be used: {error}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
