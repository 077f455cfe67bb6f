"""Durable files: whole or absent, never overwritten, private, inside the root, and damage shows."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfish_core.errors import CorruptFileError, InputError, OwnedElsewhereError, StorageFullError, StoreError
from selfish_core.files import LocalStorage, SystemCalls, check_name, decode_json, encode_json, unwrap, wrap

BAD_NAMES = [
    "",
    ".",
    "..",
    "...",
    "a..b",
    ".hidden",
    "-option",
    "_private",
    "a/b",
    "/etc/passwd",
    "../escape",
    "../../escape",
    "a/../b",
    "a\\b",
    "a b",
    " a",
    "a ",
    "a\n",
    "a\x00b",
    "\x00",
    "a\u202eb",
    "ä",
    "а",
    "%2e%2e",
    "%2e%2e%2fa",
    "a:b",
    "a*",
    "a?",
    "~",
    "~root",
    "$HOME",
    "a;b",
    "a|b",
    "a'b",
    'a"b',
    "a\tb",
    "a\x1b[31m",
    "．．",
    "١",
    "x" * 129,
    "x" * 300,
]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    old = os.umask(request.param)
    yield
    os.umask(old)


class Failing(SystemCalls):
    """Fails each call of one name with one error."""

    def __init__(self, name: str, code: int) -> None:
        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        setattr(self, name, fail)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_envelope_is_json_and_gives_back_its_body() -> None:
    value = {"b": [1, 2.5, None], "a": "ü"}
    assert decode_json(encode_json(value), "x") == value
    assert encode_json({"a": 1, "b": 2}) == encode_json({"b": 2, "a": 1})
    assert unwrap(wrap(b"{}"), "x") == b"{}"


def test_envelope_shows_every_flipped_bit() -> None:
    data = encode_json({"epoch": 3, "loss": 0.1 + 0.2})
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(CorruptFileError, match=r"^here: "):
                decode_json(bytes(flipped), "here")


def test_envelope_shows_every_cut_and_every_extra_byte() -> None:
    data = encode_json({"epoch": 3})
    for length in range(len(data)):
        with pytest.raises(CorruptFileError):
            decode_json(data[:length], "here")
    for extra in (b" ", b"\n", b"\x00", data):
        with pytest.raises(CorruptFileError):
            decode_json(data + extra, "here")


@pytest.mark.parametrize("body", [b"[]", b"3", b"{", b"", b"[" * 100_000, b"\xff"])
def test_envelope_with_a_sound_checksum_over_no_mapping_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptFileError, match="holds no JSON mapping"):
        decode_json(wrap(body), "here")


def test_not_finite_floats_are_refused() -> None:
    with pytest.raises(ValueError):
        encode_json({"x": float("nan")})


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_names_are_refused_in_one_line(name: str, storage: LocalStorage) -> None:
    with pytest.raises(InputError) as caught:
        check_name("sweep name", name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isascii() or "…" in str(caught.value)
    if name and "/" not in name:
        for call in (storage.read, storage.exists, storage.delete, storage.list, lambda n: storage.create(n, b"")):
            with pytest.raises(InputError):
                call(f"folder/{name}")


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/", "a/./b"])
def test_bad_paths_are_refused(name: str, storage: LocalStorage) -> None:
    with pytest.raises(InputError):
        storage.create(name, b"")
    assert everything(storage.root.parent) == ["root"]


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "0", "x" * 128, "3f2a", "table-1.v2"])
def test_good_names_pass(name: str) -> None:
    assert check_name("key", name) == name


def test_create_read_list_delete(storage: LocalStorage) -> None:
    storage.create("a/b/one", b"1")
    storage.create("a/b/two", b"")
    assert storage.read("a/b/one") == b"1"
    assert storage.read("a/b/two") == b""
    assert storage.list("a/b") == ["one", "two"]
    assert storage.list("a") == ["b"]
    assert storage.list("absent") == []
    assert storage.list("a/b/one") == []
    assert storage.exists("a/b")
    assert not storage.exists("a/c/one")
    assert not storage.exists("a/b/one/x")
    storage.delete("a/b/one")
    assert not storage.exists("a/b/one")
    storage.delete("a")
    storage.delete("a")
    assert everything(storage.root) == []


def test_nothing_is_overwritten(storage: LocalStorage) -> None:
    storage.create("a", b"old")
    with pytest.raises(FileExistsError):
        storage.create("a", b"new")
    assert storage.read("a") == b"old"
    assert everything(storage.root) == ["a"]


def test_absent_file(storage: LocalStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("a/b")


def test_size_is_checked_before_reading(storage: LocalStorage) -> None:
    storage.create("a", b"12345")
    assert storage.read("a", 5) == b"12345"
    for size in (0, 4, 6, 10**15):
        with pytest.raises(CorruptFileError, match=rf"/a: has 5 bytes, its manifest says {size}$"):
            storage.read("a", size)


def test_undeclared_size_is_bounded(storage: LocalStorage) -> None:
    with (storage.root / "huge").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CorruptFileError, match="at most"):
        storage.read("huge")


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_regular_files_are_read(storage: LocalStorage, kind: str) -> None:
    os.mkfifo(storage.root / "x") if kind == "fifo" else (storage.root / "x").mkdir()
    with pytest.raises(StoreError):
        storage.read("x")


@pytest.mark.usefixtures("umask")
def test_modes_are_private_whatever_the_umask(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "new" / "root")
    storage.create("a/b/file", b"x")
    with storage.lock("a/lock"):
        pass
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes == {"root": 0o700, "a": 0o700, "b": 0o700, "file": 0o600, "lock": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_links_below_the_root_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    storage = LocalStorage(tmp_path / "root")
    (storage.root / "folder").symlink_to(outside)
    (storage.root / "file").symlink_to(outside / "secret")
    (storage.root / "dangling").symlink_to(outside / "new")
    for name in ("folder/secret", "file", "dangling"):
        with pytest.raises(CorruptFileError, match="symbolic link"):
            storage.read(name)
    for call in (storage.exists, storage.delete, lambda name: storage.create(name, b"")):
        with pytest.raises(CorruptFileError, match="symbolic link"):
            call("folder/secret")
    with pytest.raises(CorruptFileError, match="symbolic link"):
        storage.list("folder")
    for name in ("folder", "file", "dangling"):
        with pytest.raises(FileExistsError):
            storage.create(name, b"mine")
        with pytest.raises(StoreError), storage.lock(name):
            pass
    assert storage.list("") == []
    assert everything(outside) == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


def test_deleting_a_tree_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"")
    storage = LocalStorage(tmp_path / "root")
    storage.create("a/b/c", b"")
    (storage.root / "a" / "link").symlink_to(outside)
    storage.delete("a")
    assert everything(storage.root) == []
    assert everything(outside) == ["kept"]


def test_root_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage = LocalStorage(tmp_path / "link")
    storage.create("a", b"1")
    assert (tmp_path / "real" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("call", ["make_folder", "open_new", "write", "sync", "link"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_says_path_need_and_free(tmp_path: Path, call: str, code: int) -> None:
    LocalStorage(tmp_path)
    storage = LocalStorage(tmp_path, Failing(call, code))
    with pytest.raises(StorageFullError, match=rf"^{tmp_path}/a/file: no space .*: 3 bytes needed, [0-9]+ free$"):
        storage.create("a/file", b"abc")
    assert not storage.exists("a/file")
    assert storage.list("a") == []


@pytest.mark.parametrize("call", ["make_folder", "open_new", "write", "sync", "link", "unlink"])
def test_other_failures_name_the_file(tmp_path: Path, call: str) -> None:
    LocalStorage(tmp_path)
    with pytest.raises(StoreError, match=rf"^{tmp_path}/a/file: Input/output error$"):
        LocalStorage(tmp_path, Failing(call, errno.EIO)).create("a/file", b"abc")


def test_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        LocalStorage(tmp_path / "file").create("a", b"")


def test_a_real_size_limit_leaves_nothing_behind(storage: LocalStorage) -> None:
    storage.create("old", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFullError):
            storage.create("new", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(storage.root) == ["old"]
    storage.create("new", b"x" * 5000)


def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    class Short(SystemCalls):
        def write(self, descriptor: int, data: memoryview) -> int:
            return super().write(descriptor, data[:3])

    storage = LocalStorage(tmp_path, Short())
    storage.create("a", b"0123456789")
    assert storage.read("a") == b"0123456789"


def test_a_lock_is_refused_at_once_and_free_again_after_it(storage: LocalStorage) -> None:
    with storage.lock("a/lock"):
        with pytest.raises(OwnedElsewhereError), storage.lock("a/lock"):
            pass
        with storage.lock("a/other"):
            pass
    with storage.lock("a/lock"):
        pass


def test_file_system_without_locks_is_refused(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path, Failing("lock", errno.ENOLCK))
    with pytest.raises(StoreError, match=r"keeps no file locks \(No locks available\)"):
        storage.check_locks("lock")


def test_file_system_that_grants_a_lock_twice_is_refused(tmp_path: Path) -> None:
    class Lenient(SystemCalls):
        def lock(self, descriptor: int) -> None:
            pass

    with pytest.raises(StoreError, match="granted one lock twice"):
        LocalStorage(tmp_path, Lenient()).check_locks("lock")
    LocalStorage(tmp_path).check_locks("lock")


def test_lock_test_passes_while_another_process_makes_it(storage: LocalStorage) -> None:
    with storage.lock("lock"):
        LocalStorage(storage.root).check_locks("lock")


def test_clean_takes_what_dead_processes_left(storage: LocalStorage) -> None:
    class Dead(SystemCalls):
        def link(self, source: str, name: str, folder: int) -> None:
            os._exit(0)

    storage.create("a/b/kept", b"")
    child = os.fork()
    if child == 0:
        LocalStorage(storage.root, Dead()).create("a/b/lost", b"x")
    os.waitpid(child, 0)
    assert len(everything(storage.root)) == 4
    assert storage.list("a/b") == ["kept"]
    storage.clean("a", is_fenced=False)
    assert len(everything(storage.root)) == 4
    storage.clean("a/b", is_fenced=False)
    assert everything(storage.root) == ["a", "a/b", "a/b/kept"]


def test_clean_spares_the_living_unless_they_are_fenced(storage: LocalStorage) -> None:
    class Interrupted(SystemCalls):
        def link(self, source: str, name: str, folder: int) -> None:
            raise KeyboardInterrupt

        def unlink(self, name: str, folder: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalStorage(storage.root, Interrupted()).create("a/b/lost", b"x")
    foreign = storage.root / "a" / "b" / ".tmp-00000000-4000000-0123"
    foreign.write_bytes(b"")
    storage.clean("a/b", is_fenced=False)
    assert len(everything(storage.root)) == 4
    storage.clean("a", is_fenced=True)
    assert everything(storage.root) == ["a", "a/b"]


def test_a_file_that_vanishes_while_it_is_written_is_an_error(storage: LocalStorage) -> None:
    class Cleaned(SystemCalls):
        def link(self, source: str, name: str, folder: int) -> None:
            storage.clean("a", is_fenced=True)
            super().link(source, name, folder)

    with pytest.raises(StoreError, match="was taken away"):
        LocalStorage(storage.root, Cleaned()).create("a/x", b"x")
