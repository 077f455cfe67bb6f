"""What is made for a cluster of our own, and what is refused before it starts."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration import cluster
from orchestration.cluster import Capacity
from selfish_core.errors import InputError, ResourcesError, SelfishError


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place / f"selfish-{os.getuid()}"
    shutil.rmtree(place)


def test_the_folder_is_ours_alone_short_and_goes_away(base: Path) -> None:
    with cluster.scratch() as folder:
        assert folder.parent == base
        assert {stat.S_IMODE(path.stat().st_mode) for path in (base, folder)} == {0o700}
        assert len(str(folder)) <= cluster.MAX_FOLDER_LENGTH
        (folder / "x").write_text("x")
    assert list(base.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_a_live_one_holds_is_not(base: Path) -> None:
    with cluster.scratch() as live:
        (base / "run-stale").mkdir()
        (base / "run-stale" / "x").write_text("x")
        with cluster.scratch() as second:
            assert sorted(base.iterdir()) == sorted([live, second])


def test_a_folder_that_others_may_read_is_refused(base: Path) -> None:
    base.mkdir(mode=0o755)
    base.chmod(0o755)
    with pytest.raises(SelfishError, match="nobody else can read"), cluster.scratch():
        pass


def test_a_link_in_the_place_of_our_folder_is_refused(base: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    base.symlink_to(tmp_path)
    with pytest.raises(SelfishError, match="must be a folder of yours"), cluster.scratch():
        pass


def test_our_cluster_has_a_token_of_its_own_and_knows_no_other_cluster(tmp_path: Path) -> None:
    given = {"RAY_ADDRESS": "1.2.3.4:6379", "RAY_AUTH_TOKEN": "theirs", "PATH": "/bin"}
    made = cluster.environment(tmp_path, given, is_embedded=True)
    token = Path(made["RAY_AUTH_TOKEN_PATH"])
    assert "RAY_ADDRESS" not in made
    assert "RAY_AUTH_TOKEN" not in made
    assert made["RAY_AUTH_MODE"] == "token"
    assert made["RAY_USAGE_STATS_ENABLED"] == "0"
    assert made["PATH"] == "/bin"
    assert len(token.read_text()) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_another_cluster_keeps_the_users_token(tmp_path: Path) -> None:
    made = cluster.environment(tmp_path, {"RAY_AUTH_TOKEN": "theirs"}, is_embedded=False)
    assert made["RAY_AUTH_TOKEN"] == "theirs"
    assert "RAY_AUTH_TOKEN_PATH" not in made


def test_what_would_wait_for_ever_is_refused() -> None:
    cluster.check_fits(2, 0, Capacity(2, 0), "this machine")
    with pytest.raises(ResourcesError, match=r"resources\.cpu: a trial asks for 3, this machine has 2"):
        cluster.check_fits(3, 0, Capacity(2, 0), "this machine")
    with pytest.raises(ResourcesError, match=r"resources\.gpu: a trial asks for 0\.5, this machine has 0"):
        cluster.check_fits(1, 0.5, Capacity(2, 0), "this machine")


def test_the_cluster_of_the_job_itself_needs_no_address() -> None:
    cluster.check_address("auto")


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:0", "host:99999", "host:x"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InputError, match="must be HOST:PORT"):
        cluster.check_address(address)


def test_an_address_where_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        cluster.check_address(f"127.0.0.1:{server.getsockname()[1]}")
        port = server.getsockname()[1]
    with pytest.raises(InputError, match="no Ray cluster at"):
        cluster.check_address(f"127.0.0.1:{port}")


LISTENERS = """
import json, os, sys
from pathlib import Path
import psutil
from orchestration import cluster
with cluster.connect(None, Path(sys.argv[1])):
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [c.laddr.ip for p in ours for c in p.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    print(json.dumps(found))
"""


@pytest.mark.ray
def test_an_embedded_cluster_listens_on_loopback_alone() -> None:
    with cluster.scratch() as folder:
        environment = cluster.environment(folder, os.environ, is_embedded=True)
        done = subprocess.run(
            [sys.executable, "-c", LISTENERS, str(folder)], env=environment, capture_output=True, text=True, check=True
        )
    addresses = [address.removeprefix("::ffff:") for address in json.loads(done.stdout.splitlines()[-1])]
    assert len(addresses) >= 3
    assert {address for address in addresses if not ipaddress.ip_address(address).is_loopback} == set()
