"""A package of a user's own adds scores, a method and an architecture, and its code is in the keys of its trials."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.places import Place

SPEC = "sampled.yaml"
HEAVY = {"torch", "ray", "mlflow", "pandas", "numpy"}
OFFERED = {"mgu", "sampled", "movement", "sampled_gradient"}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_its_trials_are_planned_without_torch(shared: Place) -> None:
    assert len(set(shared.keys(SPEC))) == 3
    assert not shared.loaded("plan", SPEC) & HEAVY


def test_the_schema_lists_what_it_adds(shared: Place) -> None:
    fields = json.loads(shared.selfish("schema").stdout)["properties"]["base"]["properties"]
    assert "sampled" in fields["method"]["enum"]
    told = json.dumps(fields)
    assert all(f'"{name}"' in told for name in OFFERED)


def test_doctor_lists_it_with_the_hash_of_its_code(shared: Place) -> None:
    done = shared.selfish("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["extensions"]}
    assert found.keys() == {"mgu", "sampled", "removal.movement", "regrowth.sampled_gradient"}
    assert {one["package"] for one in found.values()} == {"selfish-example 0.1.0"}
    assert not any(one["problem"] for one in found.values())
    assert found["sampled"]["code"] == ""
    assert found["mgu"]["code"] == found["removal.movement"]["code"] != ""
    assert f"selfish-example 0.1.0  {found['mgu']['code']}" in shared.selfish("doctor").stdout


def test_its_code_is_in_the_keys_of_its_trials_and_of_no_others(bare: Place) -> None:
    others = bare.keys("quickstart")
    source = bare.install_example()
    bare.write_package("other", {"rows": OTHER, "scores": "x = 1\n"}, score("removal.other", "other.rows:ROW"))
    first = bare.keys(SPEC)
    assert bare.keys("quickstart") == others

    edit(bare.packages / "other" / "scores.py", "x = 1", "x = 2")
    edit(source / "scores.py", "return -inputs.weight", "# the sign is theirs\n    return -inputs.weight")
    edit(source / "scores.py", "Minus weight times gradient", "Weight times minus gradient")
    (source / "my copy.py").write_text("no module can have this name")
    assert bare.keys(SPEC) == first, "comments, docstrings and other packages mean nothing"

    edit(source / "scores.py", "return -inputs.weight", "return inputs.weight")
    changed = bare.keys(SPEC)
    assert not set(changed) & set(first)
    assert bare.keys("quickstart") == others

    edit(source / "scores.py", "return inputs.weight", "return -inputs.weight")
    assert bare.keys(SPEC) == first, "a change that is taken back leads back to the trials before it"


def test_code_that_a_row_names_in_another_package_counts_too(bare: Place) -> None:
    source = bare.install_example()
    shutil.copytree(source, bare.packages / "elsewhere")
    edit(source / "architecture_rows.py", "selfish_example.mgu:MGU", "elsewhere.mgu:MGU")
    before = bare.keys(SPEC)
    edit(bare.packages / "elsewhere" / "mgu.py", "1 - f_BH", "1.0 - f_BH")
    assert not set(bare.keys(SPEC)) & set(before)


def test_trials_outlive_the_package_that_they_were_made_with(bare: Place) -> None:
    source = bare.install_example()
    assert bare.selfish("train", SPEC).returncode == 0
    (bare.packages / "selfish_example-0.1.0.dist-info" / "entry_points.txt").unlink()
    source.rename(source.with_name("gone"))
    listed = json.loads(bare.selfish("list", "--json").stdout)["trials"]
    assert [(trial["architecture"], trial["num_epochs"]) for trial in listed] == [("mgu", 2)] * 3
    assert bare.selfish("plan", "quickstart").returncode == 0
    refused = bare.selfish("plan", SPEC)
    assert refused.returncode == 2
    assert "unknown architecture 'mgu': known are" in refused.stderr


OTHER = """
from selfish_core.catalogue.rows import ScoreRow
ROW = ScoreRow(name="other", description="-", function="other.scores:x", source="-")
"""
HEAD = "from selfish_core.catalogue.rows import MethodRow, ScoreRow\n"
GOOD = 'name="{name}", description="-", function="selfish_core.sparsity.scores:random", source="-"'

BROKEN = {
    "removal.raises": ("raise RuntimeError('no luck\\ntoday')", "RuntimeError: no luck today"),
    "removal.exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "removal.lacks": ("", "AttributeError: module 'broken.removal_lacks' has no attribute 'ROW'"),
    "removal.number": ("ROW = 3", "it must be a ScoreRow, got int"),
    "regrowth.random": (f"ROW = ScoreRow({GOOD.format(name='random')})", "the name 'random' is taken"),
    "regrowth.none": (f"ROW = ScoreRow({GOOD.format(name='none')})", "the name 'none' is taken"),
    "regrowth.Loud": ("raise RuntimeError", "its name must be made of a-z, 0-9 and _, got 'Loud'"),
    "regrowth.named": (f"ROW = ScoreRow({GOOD.format(name='other')})", "its row has the name 'other'"),
    "regrowth.needs": (
        f"ROW = ScoreRow({GOOD.format(name='needs')}, needs=frozenset({{'luck'}}))",
        "needs.0: Input should be 'gradient' or 'momentum'",
    ),
    "regrowth.nowhere": (
        f"ROW = ScoreRow({GOOD.format(name='nowhere').replace('.scores', '.nowhere')})",
        "'selfish_core.sparsity.nowhere:random' must be `module:name` of a module that is there",
    ),
    "loud": ("raise RuntimeError", "its name must start with `removal.` or `regrowth.`"),
}


def score(name: str, value: str) -> str:
    return f"[selfish.scores]\n{name} = {value}\n"


def test_each_extension_that_cannot_be_used_is_left_out_with_one_line_and_the_rest_works(bare: Place) -> None:
    bare.install_example()
    before = bare.keys("quickstart"), bare.keys(SPEC)
    modules = {name.replace(".", "_"): f"{HEAD}{text}\n" for name, (text, _) in BROKEN.items()}
    points = "".join(f"{name} = broken.{name.replace('.', '_')}:ROW\n" for name in BROKEN)
    bare.write_package("broken", modules, f"[selfish.scores]\n{points}[selfish.score]\nx = broken:x\n")
    done = bare.selfish("plan", SPEC)
    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == sorted(
        [
            *(
                f"warning: extension {name!r} of selfish.scores (broken.{name.replace('.', '_')}:ROW, broken 1) "
                f"is left out: {why}"
                for name, (_, why) in BROKEN.items()
            ),
            "warning: extension 'x' of selfish.score (broken:x, broken 1) is left out: there is no such group: "
            "known are selfish.methods, selfish.scores, selfish.architectures",
        ]
    )
    assert (bare.keys("quickstart"), bare.keys(SPEC)) == before
    doctor = bare.selfish("doctor")
    assert doctor.returncode == 1
    assert doctor.stdout.count("left out") == 2 * (len(BROKEN) + 1), "in the list, and among the problems"


UNFIT = {
    "selfish.methods": (
        "MethodRow(name='unfit', description='-', parts=3, default_optimizer='sgd', source='-')",
        "parts: ",
    ),
    "selfish.architectures": (
        "ArchitectureRow(name='unfit', config=ArchitectureConfig, shapes=len, problem=len, with_width=len,"
        " model='selfish_core.models.gru:GRU', source='-')",
        "ArchitectureConfig has no field hidden_size",
    ),
}


@pytest.mark.parametrize("group", UNFIT)
def test_rows_of_the_other_families_are_checked_too(bare: Place, group: str) -> None:
    row, why = UNFIT[group]
    imports = "from selfish_core.catalogue.rows import *\n"
    bare.write_package("unfit", {"rows": f"{imports}ROW = {row}\n"}, f"[{group}]\nunfit = unfit.rows:ROW\n")
    done = bare.selfish("plan", "quickstart")
    assert done.returncode == 0
    assert f"(unfit.rows:ROW, unfit 1) is left out: {why}" in done.stderr


def test_of_two_packages_that_give_one_name_neither_is_taken(bare: Place) -> None:
    for name in ("one", "two"):
        modules = {"rows": OTHER.replace("other.scores", f"{name}.scores"), "scores": "def x(inputs): ...\n"}
        bare.write_package(name, modules, score("removal.other", f"{name}.rows:ROW"))
    lines = bare.selfish("plan", "quickstart").stderr.splitlines()
    assert [line.partition("left out: ")[2] for line in lines] == [
        "two.rows:ROW has the same name",
        "one.rows:ROW has the same name",
    ]


@pytest.mark.parametrize("verb", ["list", "schema", "plan"])
def test_nothing_is_said_where_nothing_is_amiss(shared: Place, verb: str) -> None:
    spec = [SPEC] if verb == "plan" else []
    assert "warning" not in shared.selfish(verb, *spec).stderr
