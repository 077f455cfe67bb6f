"""The tables in the README come out of the trials that ship with the project, on any machine, byte for byte."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "exports").glob("*.zip"))


def selfish(*arguments: str, home: Path) -> str:
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "TZ": "Pacific/Auckland",
        "COLUMNS": "60",
    }
    found = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=home,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def told_in_readme(sweep: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^\$ selfish table {re.escape(sweep)}\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    assert block is not None, f"README shows no table of {sweep}"
    return block.group(1)


def test_both_sweeps_of_the_readme_ship() -> None:
    assert SHIPPED == ["ptb-cpu", "quickstart"]


@pytest.mark.parametrize("sweep", SHIPPED)
def test_import_and_table_print_what_the_readme_shows(sweep: str, tmp_path: Path) -> None:
    selfish("import", str(ROOT / "exports" / f"{sweep}.zip"), home=tmp_path)
    table = selfish("table", sweep, home=tmp_path)
    assert [line.rstrip() for line in table.splitlines()] == told_in_readme(sweep).splitlines()
    selfish("import", str(ROOT / "exports" / f"{sweep}.zip"), home=tmp_path)
    assert selfish("table", sweep, home=tmp_path) == table


@pytest.mark.parametrize("sweep", SHIPPED)
def test_every_trial_of_the_sweep_is_answered_by_what_ships(sweep: str, tmp_path: Path) -> None:
    path = ROOT / "exports" / f"{sweep}.zip"
    assert path.stat().st_size < 4_000_000
    selfish("import", str(path), home=tmp_path)
    cells = json.loads(selfish("table", sweep, "--format", "json", home=tmp_path))["cells"]
    assert cells
    assert all(cell["n"] == cell["num_wanted"] == 3 for cell in cells)


def test_averaging_starts_in_every_averaging_trial_of_ptb_cpu(tmp_path: Path) -> None:
    selfish("import", str(ROOT / "exports" / "ptb-cpu.zip"), home=tmp_path)
    cells = json.loads(selfish("table", "ptb-cpu", "--format", "json", home=tmp_path))["cells"]
    assert {cell["row"] for cell in cells} == {"dense", "static", "set", "rigl", "selfish"}
    assert all(cell["beside"]["averaging_epoch"]["n"] == 3 for cell in cells)
