"""docs/cluster.md: every file and verb that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from orchestration import cli

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w/])(?:/opt/selfish/)?((?:deploy|tests)/[\w./-]*\w)", TEXT))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_file_of_deploy_is_named_on_the_page_or_by_another() -> None:
    texts = [TEXT, *(path.read_text(encoding="utf-8") for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    for path in (ROOT / "deploy").rglob("*"):
        assert path.is_dir() or path.suffix == ".dockerignore" or any(path.name in text for text in texts), path


def test_every_verb_that_the_page_names_is_there() -> None:
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
    verbs = set(re.findall(r"^selfish ([a-z]+)", blocks, re.MULTILINE)) | set(re.findall(r"`selfish ([a-z]+)", TEXT))
    assert {"run", "submit", "up", "down", "sync"} <= verbs
    assert verbs <= set(cli.VERBS)
