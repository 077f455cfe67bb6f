"""A hash of Python code by what it does: comments, layout and docstrings do not count."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_sources(files: Iterable[tuple[str, Path]]) -> str:
    """Hash files by their names and syntax trees: 64 hex digits. A file that Python cannot parse counts by its bytes.

    Args:
        files: the name that each goes by, and where it is; their order counts.
    """
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\n".encode() + meaning(path.read_bytes()) + b"\n")
    return digest.hexdigest()


def meaning(source: bytes) -> bytes:
    r"""Return what a file's code does, as text that is the same for any comments, layout and docstrings.

    >>> meaning(b"x = 1  # one") == meaning(b"x=1") != meaning(b"x = 2")
    True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    return ast.dump(_without_docstrings(tree)).encode()


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
