"""The cluster launcher's file: what Ray's own code and schema say of it, and what we ask of it beyond that."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "ray" / "aws.yaml"
BLANK = re.compile(r"<([a-z-]+)>")
FILLED = {
    "region": "eu-central-1",
    "image": "registry.example/selfish:0.1.0",
    "ami": "ami-0123456789abcdef0",
    "bucket": "a-bucket",
    "mlflow-url": "https://mlflow.example",
    "head-profile": "a-head-profile",
    "worker-profile": "a-worker-profile",
}


def filled() -> dict[str, Any]:
    text = BLANK.sub(lambda match: FILLED[match[1]], FILE.read_text(encoding="utf-8"))
    config: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return config


def environment() -> dict[str, str]:
    options = [option.removeprefix("--env ") for option in filled()["docker"]["run_options"] if "--env " in option]
    return dict(option.split("=", 1) for option in options)


def test_ray_takes_the_file_once_it_is_filled_in() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(filled())
    prepared = prepare_config(filled())
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu-spot"]["resources"]["GPU"] == 1
    assert prepared["setup_commands"] == [], "the image holds everything: nodes install nothing"


def test_ray_refuses_the_file_with_an_unknown_key() -> None:
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError):
        validate_config(prepare_config(filled() | {"idle_timeout": 5}))


def test_every_blank_is_explained_at_the_top() -> None:
    head, _, body = FILE.read_text(encoding="utf-8").partition("cluster_name:")
    assert set(BLANK.findall(body)) == set(FILLED)
    for name in FILLED:
        assert re.search(rf"^#   <{name}> ", head, re.MULTILINE), name


def test_workers_are_spot_and_the_head_is_not() -> None:
    types = filled()["available_node_types"]
    assert types["gpu-spot"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in types[filled()["head_node_type"]]["node_config"]


def test_every_node_asks_for_the_token_and_reports_nothing_to_anybody() -> None:
    config = filled()
    assert environment()["RAY_AUTH_MODE"] == "token"
    assert environment()["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment()["RAY_AUTH_TOKEN_PATH"] in config["file_mounts"]
    assert "--dashboard-host=127.0.0.1" in " ".join(config["head_start_ray_commands"])


def test_the_environment_is_what_selfish_and_ray_read() -> None:
    import ray

    from orchestration import settings

    program = (Path(ray.__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server").read_bytes()
    for name in environment():
        if name.startswith("RAY_health_check"):
            assert name.removeprefix("RAY_").encode() in program, name
        if name.startswith("SELFISH_"):
            assert name.removeprefix("SELFISH_").lower() in settings.NAMES, name


def test_every_command_is_one_that_bash_reads() -> None:
    config = filled()
    for command in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]:
        subprocess.run(["bash", "-n", "-c", command], check=True, timeout=20)


def test_the_image_installs_the_pins_and_only_extras_that_exist() -> None:
    import tomllib

    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install = re.search(r"pip install -c constraints\.txt '\.(\[[a-z0-9,]+\])'", text)
    assert install
    assert Requirement(f"selfish{install[1]}").extras <= set(project["optional-dependencies"])
    base = re.search(r"^FROM python:(\d+\.\d+)\.\d+-", text, re.MULTILINE)
    assert base
    assert base[1] in project["requires-python"]
    for package in ("selfish_core", "sweeps", "orchestration", "results"):
        assert f"COPY {package} {package}\n" in text
        assert f"!{package}\n" in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
