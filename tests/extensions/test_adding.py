"""docs/adding.md: what it shows is the example package, and what it tells to run works."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

from support.places import EXAMPLE, Place

from selfish_core.catalogue.rows import ArchitectureRow, MethodRow, ScoreRow
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.models.output import Output
from selfish_core.sparsity.scores import ScoreInputs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()
]


def test_it_shows_every_file_of_the_example_package() -> None:
    shown = dict(re.findall(r"^`(\S+)`\n\n```\w+\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE))
    files = [path for path in EXAMPLE.rglob("*.*") if path.suffix in (".py", ".toml", ".yaml")]
    assert shown == {path.relative_to(EXAMPLE).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_it_explains_every_field_that_an_extension_fills_in_or_reads() -> None:
    names = {field.name for cls in (ScoreInputs, ScoreRow, MethodRow, ArchitectureRow) for field in fields(cls)}
    names |= {*ParameterShape.model_fields, *Output._fields}
    assert not {name for name in names if f"`{name}`" not in PAGE}


def test_its_commands_work(bare: Place) -> None:
    assert COMMANDS[0] == ["python", "-m", "pip", "install", "-e", "."]
    bare.install_example()
    for command in COMMANDS[1:]:
        if command[0] == "selfish":
            done = bare.selfish(*command[1:])
            assert done.returncode == 0, done.stderr
    assert "sampled_gradient" in done.stdout, "the table"
    trials = json.loads(bare.selfish("list", "--json").stdout)["trials"]
    assert [trial["num_epochs"] for trial in trials] == [2, 2, 2]
    assert "all 3 trials are answered" in bare.selfish("train", "sampled.yaml").stderr


def test_the_conformance_tests_enumerate_what_is_installed(shared: Place) -> None:
    """Those of single rows; the whole command, with every pair of the catalogue, takes a minute."""
    *command, chosen = COMMANDS[-1]
    assert command[:4] == ["python", "-m", "pytest", "tests/conformance"]
    families = [f"tests/conformance/test_every_{family}.py" for family in ("score", "method", "model")]
    done = shared.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *families, "-k", chosen, folder=ROOT)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
