"""A file that a user asked for is new or replaced on purpose, and nothing beside it is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.outfile import FORCE, NEW, check_free, write
from selfish_core.errors import InputError


def test_a_file_is_written_once(tmp_path: Path) -> None:
    write(tmp_path / "a.html", b"first")
    with pytest.raises(InputError, match=f"is there already; {FORCE}"):
        write(tmp_path / "a.html", b"second")
    assert (tmp_path / "a.html").read_bytes() == b"first"


def test_a_forced_file_is_replaced_and_those_beside_it_stay(tmp_path: Path) -> None:
    for name in ("a.html", "a.html.new"):
        (tmp_path / name).write_bytes(b"mine")
    write(tmp_path / "a.html", b"second", is_forced=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"a.html": b"second", "a.html.new": b"mine"}


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_name_that_is_none_of_ours_is_refused(is_forced: bool, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file 'a b\.html' is not a name"):
        write(tmp_path / "a b.html", b"", is_forced=is_forced)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("remedy", [FORCE, NEW])
def test_what_may_not_be_written_is_refused_with_what_to_do(remedy: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"mine")
    with pytest.raises(InputError, match=f"is there already; {remedy}"):
        check_free(tmp_path / "a.html", remedy=remedy)
    with pytest.raises(InputError, match="is a folder; name a"):
        check_free(tmp_path, is_forced=True, remedy=remedy)
    check_free(tmp_path / "b.html")
    check_free(tmp_path / "a.html", is_forced=True)
