from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from selfish_core.data import reading
from selfish_core.data.reading import MAX_FILE_BYTES, read_file
from selfish_core.errors import CorpusError


def test_a_regular_file_is_read_whole(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_bytes(b"x\r\n\0")
    assert read_file(tmp_path, "inner/a.txt") == b"x\r\n\0"


def test_the_folder_that_the_user_named_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_file(tmp_path / "link", "a.txt") == b"x"


@pytest.mark.parametrize("name", ["a.txt", "inner/a.txt"])
def test_a_missing_file_is_told_apart(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path, name)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "no such folder", name)


@pytest.mark.parametrize("name", ["../a.txt", "/etc/passwd", "inner/../../a.txt", "", ".", "inner//a.txt"])
def test_names_stay_inside(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "a.txt").write_bytes(b"outside")
    with pytest.raises(CorpusError, match="not a relative path inside"):
        read_file(root, name)


def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _make_link_inside(path: Path) -> None:
    (path.parent / "b.txt").write_bytes(b"x")
    path.symlink_to("b.txt")


def _make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def _make_endless_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_make_pipe, "a pipe"),
        (Path.mkdir, "a folder"),
        (_make_link_out, "a symbolic link"),
        (_make_link_inside, "a symbolic link"),
        (_make_dangling_link, "a symbolic link"),
        (_make_endless_link, "a symbolic link"),
        (_make_socket, "a socket"),
    ],
)
def test_only_regular_files_are_read(tmp_path, make, kind):
    make(tmp_path / "a.txt")
    with pytest.raises(CorpusError) as caught:
        read_file(tmp_path, "a.txt")
    assert str(caught.value) == f"{tmp_path / 'a.txt'}: {kind}, must be a regular file"


def test_devices_are_refused():
    with pytest.raises(CorpusError, match="a device"):
        read_file(Path("/dev"), "zero")


def test_folders_on_the_way_may_be_no_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_bytes(b"x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "ptb").symlink_to(outside)
    with pytest.raises(CorpusError, match="'ptb' is a symbolic link, must be a folder"):
        read_file(root, "ptb/a.txt")


def test_a_file_that_becomes_a_link_after_the_check_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "a.txt").symlink_to("/etc/passwd")
    monkeypatch.setattr(reading.stat, "S_ISREG", lambda mode: True)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_file(tmp_path, "a.txt")


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(CorpusError, match=r"536,870,913 bytes, at most 536,870,912 are read"):
        read_file(tmp_path, "a.txt")


def test_the_largest_size_is_allowed(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"12345")
    assert read_file(tmp_path, "a.txt", max_bytes=5) == b"12345"
    with pytest.raises(CorpusError):
        read_file(tmp_path, "a.txt", max_bytes=4)


def test_a_file_whose_size_lies_is_refused():
    with pytest.raises(CorpusError, match="size changed"):
        read_file(Path("/proc/self"), "status")


def test_no_descriptor_is_left_open(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_bytes(b"x")
    os.mkfifo(tmp_path / "inner" / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read_file(tmp_path, "inner/a.txt")
        with pytest.raises(CorpusError):
            read_file(tmp_path, "inner/pipe")
        with pytest.raises(FileNotFoundError):
            read_file(tmp_path, "inner/no/a.txt")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
