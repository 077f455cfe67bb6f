"""Wrong input to every verb: exit code 2, one line for each thing on stderr, nothing on stdout, nothing made."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.cli import VERBS

Command = Callable[..., subprocess.CompletedProcess[str]]

BAD_SPEC = "name: bad\nepochs: 2\nbase: {method: sett, corpus: synthetic, sparsty: 1}\nseeds: [1, -1]\n"

CASES: list[tuple[tuple[str, ...], str]] = [
    (("plam",), "No such command 'plam'"),
    (("--nonsense",), "--nonsense"),
    *(((verb, "--nonsense"), "No such option") for verb in VERBS),
    *(((verb,), "Missing argument 'SPEC'") for verb in ("plan", "run", "train", "export")),
    *(((verb, "nosuch"), "unknown sweep 'nosuch'") for verb in ("plan", "run", "train")),
    (("table", "nosuch"), "unknown table or sweep 'nosuch'"),
    (("plan", "a/b.yaml"), "a/b.yaml: cannot be read"),
    (("show",), "Missing argument 'KEY'"),
    (("import",), "Missing argument 'FILE'"),
    (("import", "nosuch.zip"), "there is no such file"),
    (("export", "tiny.yaml", "no/such/folder.zip"), "there is no such folder"),
    (("run", "tiny.yaml", "--format", "jsn"), "unknown format 'jsn'"),
    (("table", "tiny.yaml", "--format", "jsn"), "did you mean 'json'"),
    (("train", "tiny.yaml", "--device", "gpu"), "unknown device 'gpu'"),
    (("train", "tiny.yaml", "--only", "zz"), "no trial of tiny has a key that starts with 'zz'"),
    (("run", "tiny.yaml", "--tracking-uri", "http://example.com"), "--insecure-tracking"),
    (("run", "tiny.yaml", "--tracking-uri", "./mlruns"), "must be sqlite:///"),
    (("run", "tiny.yaml", "--ray-address", "nowhere"), "must be HOST:PORT"),
    (("run", "tiny.yaml", "--ray-address", "127.0.0.1:1"), "no Ray cluster at '127.0.0.1:1'"),
    (("ui", "--port", "70000"), "less than or equal to 65535"),
    *(((verb,), "there is no trial store") for verb in ("list", "sync", "ui")),
    (("show", "abc"), "there is no trial store"),
    (("table", "tiny.yaml"), "there is no trial store"),
    (("export", "tiny.yaml", "x.zip"), "there is no trial store"),
]


@pytest.mark.parametrize(("arguments", "told"), CASES, ids=[" ".join(arguments) for arguments, _ in CASES])
def test_is_answered_by_one_line(
    selfish: Command, tiny: Path, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = selfish(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_every_problem_of_a_spec_is_told_with_its_line(selfish: Command, tmp_path: Path, verb: str) -> None:
    (tmp_path / "bad.yaml").write_text(BAD_SPEC)
    done = selfish(verb, "bad.yaml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: bad.yaml:") for line in lines)
    assert "did you mean 'sparsity'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_several_trials_share_the_start_of(selfish: Command, tiny: Path) -> None:
    assert selfish("train", "tiny.yaml", "--device", "cpu").returncode == 0
    done = selfish("show", "")
    assert done.returncode == 2
    assert "4 trials have a key" in done.stderr


def test_resources_that_no_machine_has(selfish: Command, tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + "resources: {cpu: 1000}\n")
    done = selfish("run", "tiny.yaml")
    assert done.returncode == 2
    assert "resources.cpu: a trial asks for 1000" in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(selfish: Command, tmp_path: Path) -> None:
    for arguments in (("--debug", "plan", "nosuch"), ("plan", "nosuch", "--debug")):
        assert "Traceback" in selfish(*arguments).stderr


def test_control_characters_are_escaped(selfish: Command) -> None:
    done = selfish("plan", "\x1b[2Jx.yaml")
    assert "\x1b" not in done.stderr
    assert "\\x1b[2Jx.yaml" in done.stderr


def test_help_names_every_verb_and_takes_little(selfish: Command) -> None:
    done = selfish("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in done.stdout


def test_no_verb_at_all_shows_the_help(selfish: Command) -> None:
    done = selfish()
    assert done.returncode == 2
    assert "Usage: selfish" in done.stderr


def test_a_folder_that_is_no_trial_store(selfish: Command, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.tex").write_text("x")
    done = selfish("run", "tiny.yaml")
    assert done.returncode == 2
    assert "is no trial store" in done.stderr
