"""The nodes that the other tests of the lane run on are what they seem to be, of both kinds."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.loopback import LoopbackMachines
from support.machines import Machines
from support.namespaces import NamespaceMachines, namespaces_are_permitted
from support.processes import working_in
from support.ray_nodes import Nodes

pytestmark = pytest.mark.cluster

WHERE = """
import json
import sys
import ray
ray.init(address=sys.argv[1], log_to_driver=False)
where = ray.remote(num_cpus=1)(ray.util.get_node_ip_address)
hold = ray.util.placement_group([{"CPU": 1}] * int(sys.argv[2]), strategy="STRICT_SPREAD")
ray.get(hold.ready())
places = [
    where.options(scheduling_strategy=ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(hold, index))
    for index in range(int(sys.argv[2]))
]
sys.stdout.write(json.dumps(sorted(ray.get([place.remote() for place in places]))))
"""


@pytest.fixture(params=["network namespaces", "loopback addresses"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    is_loopback = request.param == LoopbackMachines.kind
    if not is_loopback and not namespaces_are_permitted():
        pytest.skip("network namespaces are not permitted here")
    with contextlib.closing(LoopbackMachines() if is_loopback else NamespaceMachines(tmp_path / "nodes")) as machines:
        yield machines


def test_tasks_run_at_three_addresses_for_those_with_the_token_and_nothing_is_left(machines: Machines) -> None:
    with Nodes(machines) as nodes:
        assert len(set(nodes.addresses.values())) == 3
        assert addresses_of_tasks(nodes) == sorted(nodes.addresses.values())

        with pytest.raises(urllib.error.HTTPError) as refused:
            nodes.ask("/api/jobs/", token="0" * 64)
        assert refused.value.code in (401, 403)
        assert [job["type"] for job in nodes.ask("/api/jobs/")] == ["DRIVER"]

        folders = [node.folder for node in nodes.nodes.values()]
        running = {process.pid for process in psutil.Process().children(recursive=True)}
        assert len(running) > 20
    assert [process for process in psutil.process_iter() if process.pid in running and is_alive(process)] == []
    assert [process for folder in folders for process in working_in(folder)] == []


def addresses_of_tasks(nodes: Nodes) -> list[str]:
    words = [sys.executable, "-c", WHERE, nodes.head_address, str(len(nodes.nodes))]
    client = nodes.popen("head", words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    return list(json.loads(out))


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
