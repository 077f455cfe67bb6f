"""What computed a number: the version of the scientific code, and the machine's fingerprint."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

SCIENCE = ("accounting.py", "catalogue", "data", "models", "optim", "sparsity", "training")
"""The files and folders of `selfish_core` on which a trial's numbers depend."""


@cache
def code_version() -> str:
    """Hash the scientific code: 12 hex digits over its syntax trees, so comments and layout do not count."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in SCIENCE:
        for path in sorted([here / name] if name.endswith(".py") else (here / name).rglob("*.py")):
            tree = _without_docstrings(ast.parse(path.read_text(encoding="utf-8")))
            digest.update(f"{path.relative_to(here).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:12]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_bare_text(statement)]
    return tree


def _is_bare_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
