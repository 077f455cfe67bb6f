"""Rebuild every table and figure that the README and the docs show, from the exports that ship with the project.

    python docs/rebuild.py             # what `make results` runs: writes what has changed
    python docs/rebuild.py --check     # writes nothing, shows the differences, and exits with 1 where there are any

The trials of `exports/*.zip` are imported into a trial store that is thrown away afterwards. Then, in README.md and
docs/*.md:

- a block that begins with `$ selfish table …` (or `explain`, `diff`) gets what this command prints;
- a line `selfish figure … -o FILE.png` writes that picture;

and docs/results/ gets the table of every sweep that ships, as text and as Markdown. Texts are to be the same byte for
byte; pictures, whose letters other versions of the font library draw a little differently, to the eye.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from orchestration import cli  # noqa: E402
from results.archive import import_archive  # noqa: E402
from selfish_core.files import LocalStorage, SystemCalls  # noqa: E402
from selfish_core.trial_store import TrialStore  # noqa: E402

FOLDER = "docs/results"
FORMATS = {"txt": "text", "md": "markdown"}

BLOCK = re.compile(
    r"^```\n(?P<prompt>\$ selfish (?P<command>(?:table|explain|diff) [^\n]*)\n)(?P<told>.*?)^```$", re.M | re.S
)
FIGURE = re.compile(r"^(?:\$ )?selfish (?P<command>figure .* -o (?P<file>\S+\.png))$", re.M)

BLOCK_PIXELS = 8
FAR = 0.12
"""Pictures look the same while no block has colours so far apart, of [0, 1]: a curve or dot that is off by one percent
makes 0.2 and more, edges that another machine smooths differently make 0.04."""


class _Unsynced(SystemCalls):
    """Does not wait for the disk: the trial store is thrown away."""

    def sync(self, descriptor: int) -> None:
        """Do nothing."""


def documents(root: Path) -> list[Path]:
    """Return the files whose tables and figures are rebuilt."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def rebuilt(root: Path = ROOT) -> dict[Path, bytes]:
    """Return every file as the exports have it: the documents, and the tables and figures in docs/results.

    Args:
        root: of the project.
    """
    files: dict[Path, bytes] = {}
    with tempfile.TemporaryDirectory() as scratch, _at(Path(scratch)):
        store = TrialStore.open_in(LocalStorage(Path(scratch) / "store", _Unsynced()))
        shipped = sorted((root / "exports").glob("*.zip"))
        for archive in shipped:
            import_archive(store, archive)
        for document in documents(root):
            text = document.read_text(encoding="utf-8")
            files[document] = BLOCK.sub(_filled, text).encode()
            for found in FIGURE.finditer(text):
                files[root / found["file"]] = _drawn(found["command"], found["file"], Path(scratch))
        for archive in shipped:
            for ending, format_name in FORMATS.items():
                text = run(f"table {archive.stem} --format {format_name}")
                files[root / FOLDER / f"{archive.stem}.{ending}"] = text.encode()
    return files


def run(command: str) -> str:
    """Return what a command of `selfish` prints on stdout.

    Raises:
        RuntimeError: when it fails.
    """
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = cli.call(shlex.split(command))
    if code:
        raise RuntimeError(f"selfish {command}: exit code {code}: {errors.getvalue()}")
    return out.getvalue()


def _filled(block: re.Match[str]) -> str:
    """Return a block of a document with what its command prints now."""
    told = "".join(f"{line.rstrip()}\n" for line in run(block["command"]).splitlines())
    return f"```\n{block['prompt']}{told}```"


def _drawn(command: str, file: str, scratch: Path) -> bytes:
    picture = scratch / Path(file).name
    run(command.replace(file, shlex.quote(str(picture))))
    return picture.read_bytes()


@contextlib.contextmanager
def _at(scratch: Path) -> Iterator[None]:
    """Let commands work on a trial store of their own, whatever this machine's settings are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_"))}
    own = {
        "HOME": str(scratch),
        "SELFISH_STORE": str(scratch / "store"),
        "SELFISH_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db",
    }
    with mock.patch.dict(os.environ, {**kept, **own}, clear=True):
        yield


def is_same_picture(one: bytes, other: bytes) -> bool:
    """Whether two PNGs look the same: of one size, and every small block of one colour.

    Args:
        one: its bytes.
        other: its bytes.
    """
    if one == other:
        return True
    first, second = _blocks(one), _blocks(other)
    return first.shape == second.shape and float(abs(first - second).max()) < FAR


def _blocks(data: bytes) -> NDArray[np.float64]:
    """Return the mean colours of a picture's blocks, on white, in [0, 1]."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    size = (flat.width // BLOCK_PIXELS, flat.height // BLOCK_PIXELS)
    return np.asarray(flat.resize(size, Image.Resampling.BOX), dtype=np.float64) / 255


def differences(files: dict[Path, bytes], root: Path = ROOT) -> list[str]:
    """Say, file by file, how what is there differs from what the exports have.

    Args:
        files: from `rebuilt`.
        root: of the project.
    """
    told = []
    for path, data in files.items():
        name = str(path.relative_to(root))
        there = path.read_bytes() if path.is_file() else None
        if there is None:
            told.append(f"{name}: is missing\n")
        elif path.suffix == ".png":
            if not is_same_picture(there, data):
                told.append(f"{name}: looks different\n")
        elif there != data:
            lines = [text.decode().splitlines(keepends=True) for text in (there, data)]
            told.append("".join(difflib.unified_diff(*lines, f"{name} as it is", f"{name} from the exports")))
    folder = root / FOLDER
    strays = sorted(set(folder.iterdir()) - set(files)) if folder.is_dir() else []
    return [*told, *(f"{path.relative_to(root)}: nothing makes it\n" for path in strays)]


def main() -> int:
    """Rebuild or check, and return the exit code."""
    parser = argparse.ArgumentParser(description="Rebuild the tables and figures of README and docs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where anything differs")
    is_check = parser.parse_args().check
    files = rebuilt()
    told = differences(files)
    if is_check:
        sys.stdout.writelines(told)
        return 1 if told else 0
    for path, data in files.items():
        there = path.read_bytes() if path.is_file() else b""
        if there == data or (path.suffix == ".png" and there and is_same_picture(there, data)):
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        sys.stdout.write(f"{path.relative_to(ROOT)}: written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
