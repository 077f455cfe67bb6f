"""The YAML files that come with Selfish, a folder for each kind: their names, and reading one by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfish_core.errors import InputError, unknown_name
from sweeps.yaml_reader import read


def names(folder: Path) -> tuple[str, ...]:
    """Return the names of a folder's files, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def load(folder: Path, kind: str, name: str) -> Mapping[str, Any]:
    """Read one file.

    Args:
        folder: of the files.
        kind: what they are, in one word, for the message.
        name: of the one.

    Raises:
        InputError: when there is none of this name; the line lists the known ones and offers the nearest.
    """
    known = names(folder)
    if name not in known:
        raise InputError(unknown_name(kind, name, known))
    path = folder / f"{name}.yaml"
    return read(path.read_bytes(), path.name).data
