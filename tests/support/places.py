"""A place in which extensions are installed: a virtual environment of its own, with a home and a store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[1] / "extensions" / "example"

PROBE = """
import sys
from orchestration.cli import call
code = call(sys.argv[1:])
sys.stdout.write("\\nloaded: " + ",".join(sorted(name for name in sys.modules if "." not in name)))
sys.exit(code)
"""


@dataclass(frozen=True)
class Place:
    """A virtual environment that sees the packages of this one, and a folder to work in.

    Args:
        python: its interpreter.
        packages: its site-packages.
        work: where commands run.
    """

    python: Path
    packages: Path
    work: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        packages = folder / "venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        parent = sysconfig.get_path("purelib")
        (packages / "parent.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
        work = folder / "work"
        work.mkdir()
        return cls(folder / "venv" / "bin" / "python", packages, work)

    def run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_", "PIP_"))}
        here = {"HOME": str(self.work), "SELFISH_STORE": str(self.work / "store")}
        here["SELFISH_TRACKING_URI"] = f"sqlite:///{self.work}/mlflow.db"
        return subprocess.run(
            [self.python, *arguments],
            env={**kept, **here},
            cwd=folder or self.work,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def selfish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "orchestration.cli", *arguments)

    def keys(self, spec: str) -> list[str]:
        done = self.selfish("plan", spec, "--json")
        assert done.returncode == 0, done.stderr
        trials: list[dict[str, Any]] = json.loads(done.stdout)["trials"]
        return [trial["key"] for trial in trials]

    def install_example(self) -> Path:
        """Install the example package as its reader does, but for the network; return its source."""
        shutil.copytree(EXAMPLE, self.work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
        done = self.run("-m", "pip", "install", *offline, "-e", ".")
        assert done.returncode == 0, done.stderr
        return self.work / "selfish_example"

    def write_package(self, name: str, modules: dict[str, str], entry_points: str) -> None:
        """Install a package by hand.

        Args:
            name: of the package and of its distribution.
            modules: text by the module's name.
            entry_points: as they stand in an installed package.
        """
        (self.packages / name).mkdir()
        for module, text in {"__init__": "", **modules}.items():
            (self.packages / name / f"{module}.py").write_text(text)
        about = self.packages / f"{name}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(entry_points)

    def loaded(self, *arguments: str) -> set[str]:
        """Return the top-level packages that a command loads."""
        done = self.run("-c", PROBE, *arguments)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.rpartition("loaded: ")[2].split(","))
