"""What every install gets: each dependency is pinned, and no pin is below a security floor."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FLOORS = {"ray": "2.56", "mlflow": "3.17.2", "torch": "2.11"}


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", line) for line in lines if line and not line.startswith("#")]
    assert all(found), "a line that is no pin"
    return {match[1].lower().replace("_", "-"): Version(match[2]) for match in found if match}


def test_every_dependency_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [text for extra in project["optional-dependencies"].values() for text in extra]
    for text in [*project["dependencies"], *optional]:
        wanted = Requirement(text)
        assert pins()[wanted.name.lower()] in wanted.specifier, text


def test_no_pin_is_below_a_security_floor() -> None:
    assert all(pins()[name] >= Version(floor) for name, floor in FLOORS.items())


def test_torch_is_the_version_whose_cpu_build_is_at_hand() -> None:
    assert pins()["torch"] == Version("2.13.0")
