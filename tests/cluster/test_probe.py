"""Before a sweep runs, the node that lacks something is named, and everything that it lacks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import Cluster
from support.machines import Machines

pytestmark = pytest.mark.cluster

SPEC = """\
name: lacking
base:
  corpus: {{name: folder, path: {text}}}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}}
  optimizer: {{learning_rate: 1}}
  training: {{batch_size: 2, bptt_length: 5, eval_batch_size: 2}}
epochs: 1
axes:
  - list: [{{method: static, sparsity: 0.5}}]
seeds: [1]
"""


@pytest.fixture
def text() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="text-", dir="/tmp"))
    for split in ("train", "valid", "test"):
        lines = (f"the cat {number % 9} sat on the mat" for number in range(40))
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_node_without_the_text_and_the_store_is_named(cluster: Cluster, machines: Machines, text: Path) -> None:
    head, worker = cluster.nodes.nodes["head"], cluster.nodes.nodes["worker-1"]
    head.give(text)
    worker.cut_off(machines.gateway)
    (cluster.place.folder / "lacking.yaml").write_text(SPEC.format(text=text))

    process = cluster.place.start("submit", "lacking.yaml", "--follow", *cluster.jobs)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1, told
    errors = [line.removeprefix("error: ") for line in told.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[0] for line in errors] == [f"node {worker.address}"] * 2
    assert str(text) in errors[0]
    assert errors[1].startswith(f"node {worker.address}: trial store {cluster.place.store} cannot be used")
    assert [path for method, path in cluster.s3.requests if method == "PUT" and "/attempts/" in path] == []
