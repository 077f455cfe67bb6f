"""What a hash of Python code depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from selfish_core import provenance
from selfish_core.source_hash import hash_sources, meaning

CODE = b'"""About."""\n\ndef f(x):\n    """Add."""\n    return x + 1\n'


def test_comments_layout_docstrings_and_line_ends_mean_nothing() -> None:
    other = b"# another\ndef f( x ):\n\n    '''Plus.'''\n    return (x\n        + 1)  # one\n"
    assert meaning(CODE) == meaning(other) == meaning(CODE.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("changed", [b"x + 2", b"x - 1", b"1 + x", b"y + 1", b"'x' + 1"])
def test_anything_else_counts(changed: bytes) -> None:
    assert meaning(CODE.replace(b"x + 1", changed)) != meaning(CODE)


@pytest.mark.parametrize("text", [b"print 'Python 2'", b"{{ template }} = 1 2", b"\x00\xff"])
def test_what_is_no_python_counts_by_its_bytes(text: bytes) -> None:
    assert meaning(text) == text


def test_names_and_order_of_files_count(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_bytes(CODE)
    one, two = ("one.py", tmp_path / "file.py"), ("two.py", tmp_path / "file.py")
    assert len({hash_sources(files) for files in ([one], [two], [one, two], [two, one])}) == 4


def test_the_code_version_is_that_of_the_syntax_trees_of_the_science() -> None:
    here = Path(provenance.__file__).parent
    digest = hashlib.sha256()
    for name in provenance.SCIENCE:
        for path in [here / name] if name.endswith(".py") else sorted((here / name).rglob("*.py")):
            digest.update(f"{path.relative_to(here).as_posix()}\n".encode() + meaning(path.read_bytes()) + b"\n")
    assert provenance.code_version() == digest.hexdigest()[:12]
