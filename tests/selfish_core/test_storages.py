"""What every storage promises, in a folder and on S3 alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.threads import at_once

from selfish_core.errors import CorruptFileError, InputError, OwnedElsewhereError
from selfish_core.files import LocalStorage
from selfish_core.lease import Terms
from selfish_core.object_storage import ObjectStorage, is_url
from selfish_core.storage import Storage


@pytest.fixture(params=["a folder", "S3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "a folder":
        return LocalStorage(tmp_path / "root")
    return ObjectStorage.at(request.getfixturevalue("s3_url"))


def again(storage: Storage) -> Storage:
    """Open the same place as another process would."""
    return ObjectStorage.at(storage.place) if is_url(storage.place) else LocalStorage(Path(storage.place))


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4096])
def test_what_was_created_is_read_at_once_by_another(storage: Storage, data: bytes) -> None:
    storage.create("a/b/file.bin", data)
    assert again(storage).read("a/b/file.bin") == data
    assert again(storage).read("a/b/file.bin", len(data)) == data


def test_a_name_is_created_only_once(storage: Storage) -> None:
    storage.create("a/x", b"first")
    for data in (b"second", b"first"):
        with pytest.raises(FileExistsError):
            storage.create("a/x", data)
    assert storage.read("a/x") == b"first"


def test_of_many_that_create_one_name_at_once_one_wins(storage: Storage) -> None:
    results = at_once([lambda data=bytes([number]): storage.create("a/x", data) for number in range(8)])
    winners = [number for number, result in enumerate(results) if result is None]
    assert len(winners) == 1
    assert [type(result) for result in results if result is not None] == [FileExistsError] * 7
    assert storage.read("a/x") == bytes(winners)


def test_an_absent_file_is_not_found(storage: Storage) -> None:
    storage.create("a/x", b"")
    for name in ("b", "a/y", "a/x/y"):
        with pytest.raises(FileNotFoundError):
            storage.read(name)


@pytest.mark.parametrize("declared", [2, 4, 0])
def test_a_file_of_another_size_is_refused(storage: Storage, declared: int) -> None:
    storage.create("x", b"abc")
    with pytest.raises(CorruptFileError, match=rf"bytes, its manifest says {declared}"):
        storage.read("x", declared)


def test_a_huge_file_must_declare_its_size(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("files", "object_storage"):
        monkeypatch.setattr(f"selfish_core.{module}.MAX_UNDECLARED_BYTES", 10)
    storage.create("x", b"x" * 11)
    with pytest.raises(CorruptFileError, match=r"10\b.* read"):
        storage.read("x")
    assert storage.read("x", 11) == b"x" * 11


def test_listing_names_files_and_folders_directly_below_sorted(storage: Storage) -> None:
    assert storage.list("a") == []
    for name in ("a/b/c/d", "a/b/e", "a/z", "a/B", "ab/x", "top"):
        storage.create(name, b"")
    assert storage.list("a") == ["B", "b", "z"]
    assert storage.list("a/b") == ["c", "e"]
    assert storage.list("") == ["a", "ab", "top"]
    assert storage.list("top") == storage.list("absent") == []


def test_everything_names_every_file_below_whatever_it_is_called(storage: Storage) -> None:
    for name in ("a/b/c/deep", "a/x", "ab", "z"):
        storage.create(name, b"")
    assert storage.everything("") == ["a/b/c/deep", "a/x", "ab", "z"]
    assert storage.everything("a") == ["a/b/c/deep", "a/x"]
    assert storage.everything("a/b") == ["a/b/c/deep"]
    assert storage.everything("nowhere") == []


def test_listing_follows_every_change(storage: Storage) -> None:
    other = again(storage)
    for number in range(3):
        storage.create(f"a/{number}", b"")
        assert len(other.list("a")) == number + 1
    other.delete("a/1")
    assert storage.list("a") == ["0", "2"]


def test_files_and_folders_exist_and_what_only_begins_like_them_does_not(storage: Storage) -> None:
    storage.create("records.sealed/x", b"")
    storage.create("a/b/x", b"")
    assert [storage.exists(name) for name in ("a", "a/b", "a/b/x", "records.sealed")] == [True] * 4
    assert [storage.exists(name) for name in ("records", "b", "a/b/x/y")] == [False] * 3


def test_a_folder_is_deleted_with_all_in_it_and_nothing_else(storage: Storage) -> None:
    for name in ("a/b/x", "a/b/c/y", "a/bc", "a/b.json"):
        storage.create(name, b"")
    storage.delete("a/b")
    storage.delete("a/bc")
    storage.delete("absent/x")
    assert storage.list("a") == ["b.json"]
    storage.create("a/b/x", b"anew")
    assert storage.read("a/b/x") == b"anew"


@pytest.mark.parametrize("name", ["..", "a/../b", "/a", "a//b", ".hidden", "a/", "a b", "ä", "a\n", "x" * 129])
def test_unsafe_names_are_refused(storage: Storage, name: str) -> None:
    actions: list[Callable[[], Any]] = [
        lambda: storage.read(name),
        lambda: storage.create(name, b""),
        lambda: storage.exists(name),
        lambda: storage.list(name),
        lambda: storage.delete(name),
        lambda: storage.is_held(name),
        lambda: storage.lock(name).__enter__(),
    ]
    for action in actions:
        with pytest.raises(InputError, match="is not a name"):
            action()


def test_a_lock_has_one_holder_and_is_free_after_it(storage: Storage) -> None:
    if isinstance(storage, ObjectStorage):
        storage = ObjectStorage(storage._bucket, "short", Terms(seconds=2.0))
    assert not storage.is_held("a/lock")
    with storage.lock("a/lock") as ownership:
        assert not ownership.is_lost
        assert storage.is_held("a/lock")
        with pytest.raises(OwnedElsewhereError, match="a/lock is "), storage.lock("a/lock"):
            pass
    assert not storage.is_held("a/lock")
    with storage.lock("a/lock"):
        pass


def test_the_self_test_passes_and_leaves_nothing(storage: Storage) -> None:
    storage.self_test()
    assert set(storage.list("")) <= {"store.lock"}
    storage.clean("", is_fenced=True)
