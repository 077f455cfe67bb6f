"""Durable files are written by `selfish_core/files.py` alone; every other writer is named here, with what it writes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITERS = {
    "selfish_core/files.py": "durable files",
    "selfish_core/data/download.py": "a cache of corpora, checked by sha256 at every read",
    "selfish_core/trainable.py": "Tune's own checkpoints, for users of plain Tune",
    "orchestration/cluster.py": "the token of an embedded Ray, in its scratch folder",
    "orchestration/keeper.py": "the logs of the local stack",
    "orchestration/stack.py": "the log of the local stack's keeper",
    "orchestration/submitted.py": "the spec that came with a job, in a folder of its own",
    "orchestration/supervise.py": "the log",
    "results/figures/paper.py": "a picture, for who draws one in a notebook",
    "results/cache.py": "a cache of what MLflow shows, checked by sha256 at every read",
    "results/tracking_store.py": "MLflow's database, a view",
}
CALLS = {"write_bytes", "write_text", "touch", "symlink_to", "hardlink_to", "copyfile", "copytree"}


def writes(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in CALLS | {"O_CREAT"}:
            return True
        if isinstance(node, ast.Call) and _name(node.func) in ("open", "fdopen"):
            modes = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
            texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
            if any(set(text) <= set("rwabx+t") and set(text) & set("wax+") for text in texts):
                return True
    return False


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@pytest.mark.parametrize("package", ["selfish_core", "sweeps", "orchestration", "results"])
def test_only_the_named_modules_write(package: str) -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py") if writes(path)}
    assert found == {name for name in WRITERS if name.startswith(package)}
