from __future__ import annotations

import errno
import io
import threading
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from selfish_core.catalogue.corpora import SPLITS, CorpusFile, CorpusRow
from selfish_core.data import download
from selfish_core.data.download import NUM_TRIES, download_corpus
from selfish_core.errors import CorpusError, StorageFullError

TEXTS = {
    "train": b"some words of train\n" * 20_000,
    "valid": b"some words of valid\n" * 30,
    "test": b"some words of test\n" * 20,
}


def _file(split: str, **fields) -> CorpusFile:
    data = TEXTS[split]
    return CorpusFile(num_tokens=1, num_bytes=len(data), sha256=sha256(data).hexdigest(), **fields)


def _row(**fields) -> CorpusRow:
    common = {"name": "c", "description": "d", "licence": "l", "source": "s", "vocabulary_size": 2}
    return CorpusRow(**(common | fields))


@pytest.fixture
def row(server) -> CorpusRow:
    """A corpus with two mirrors for each file, /a and /b, both as they should be."""
    for split in SPLITS:
        server.files[f"/a/{split}"] = server.files[f"/b/{split}"] = TEXTS[split]
    urls = {split: (f"{server.url}/a/{split}", f"{server.url}/b/{split}") for split in SPLITS}
    return _row(files={split: _file(split, urls=urls[split]) for split in SPLITS})


def _archive(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


WHOLE_ARCHIVE = {
    "../evil.txt": b"x",
    "w/train.txt": b"another file",
    **{f"w/wiki.{split}.tokens": TEXTS[split] for split in SPLITS},
}


@pytest.fixture
def archived_row(server) -> CorpusRow:
    """A corpus in a zip file with two mirrors, /a.zip and /b.zip."""
    server.files["/a.zip"] = server.files["/b.zip"] = _archive(WHOLE_ARCHIVE)
    return _row(
        files={split: _file(split, member=f"w/wiki.{split}.tokens") for split in SPLITS},
        archive_urls=(f"{server.url}/a.zip", f"{server.url}/b.zip"),
        archive_num_bytes=1_000_000,
    )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def _assert_whole(root: Path) -> None:
    assert _names(root / "c") == {f"{split}.txt" for split in SPLITS}
    for split in SPLITS:
        assert (root / "c" / f"{split}.txt").read_bytes() == TEXTS[split]


def test_all_files_come_from_the_first_mirror(tmp_path, server, row):
    download_corpus(row, tmp_path / "new", SPLITS)
    _assert_whole(tmp_path / "new")
    assert server.requests == [(f"/a/{split}", None) for split in SPLITS]
    assert "python" not in server.headers[0]["User-Agent"].lower()


def test_only_the_files_asked_for_come(tmp_path, server, row):
    download_corpus(row, tmp_path, ["test"])
    assert _names(tmp_path / "c") == {"test.txt"}
    assert server.requests == [("/a/test", None)]


def test_a_file_that_is_there_is_left_alone(tmp_path, server, row):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "test.txt").write_bytes(b"mine")
    download_corpus(row, tmp_path, SPLITS)
    assert (tmp_path / "c" / "test.txt").read_bytes() == b"mine"
    assert ("/a/test", None) not in server.requests


def test_a_dropped_connection_is_resumed_where_it_broke(tmp_path, server, row):
    server.replies["/a/train"] = ["drop:204800", "drop:102400"]
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    asked = [header for path, header in server.requests if path == "/a/train"]
    assert asked == [None, "bytes=204800-", "bytes=307200-"]


def test_the_next_process_resumes_what_the_last_one_left(tmp_path, server, row):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".train.txt.part").write_bytes(TEXTS["train"][:1000])
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert server.requests[0] == ("/a/train", "bytes=1000-")


@pytest.mark.parametrize("left", [b"not what it should be", TEXTS["train"], TEXTS["train"] + b"more"])
def test_a_bad_part_costs_one_more_try_of_the_same_mirror(tmp_path, server, row, left):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".train.txt.part").write_bytes(left)
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert server.requests[:2] == [("/a/train", f"bytes={len(left)}-"), ("/a/train", None)]


def test_a_server_without_range_starts_over(tmp_path, server, row):
    server.replies["/a/train"] = ["drop:204800", "no range"]
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert server.requests[:2] == [("/a/train", None), ("/a/train", "bytes=204800-")]


def test_a_server_that_gives_another_range_is_asked_anew(tmp_path, server, row):
    server.replies["/a/train"] = ["drop:204800", "wrong range"]
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert [header for path, header in server.requests if path == "/a/train"] == [None, "bytes=204800-", None]


def test_a_server_that_tells_no_length_is_fine(tmp_path, server, row):
    server.replies["/a/train"] = ["no length"]
    seen = []
    download_corpus(row, tmp_path, ["train"], lambda *progress: seen.append(progress))
    assert seen[-1] == ("c/train.txt", len(TEXTS["train"]), None)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_mirror_that_lacks_the_file_is_asked_once(tmp_path, server, row, status):
    server.replies["/a/train"] = [status]
    download_corpus(row, tmp_path, ["train"])
    assert server.requests == [("/a/train", None), ("/b/train", None)]
    assert (tmp_path / "c" / "train.txt").read_bytes() == TEXTS["train"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_mirror_in_trouble_is_asked_again(tmp_path, server, row, status):
    server.replies["/a/train"] = [status, status]
    download_corpus(row, tmp_path, ["train"])
    assert [path for path, _ in server.requests] == ["/a/train"] * 3


def test_the_waits_double(tmp_path, server, row, monkeypatch):
    waits = []
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.5)
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.replies["/a/train"] = [503] * NUM_TRIES
    download_corpus(row, tmp_path, ["train"])
    assert waits == [0.5, 1, 2]
    assert [path for path, _ in server.requests] == ["/a/train"] * NUM_TRIES + ["/b/train"]


def test_wrong_bytes_send_to_the_next_mirror(tmp_path, server, row):
    server.files["/a/train"] = TEXTS["train"][:-2] + b"X\n"
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert [path for path, _ in server.requests][:2] == ["/a/train", "/b/train"]


def test_too_many_bytes_are_not_read_to_the_end(tmp_path, server, row):
    server.files["/a/train"] = TEXTS["train"] * 10
    seen = []
    download_corpus(row, tmp_path, ["train"], lambda what, done, total: seen.append(done))
    assert max(seen) <= len(TEXTS["train"])
    assert (tmp_path / "c" / "train.txt").read_bytes() == TEXTS["train"]


def test_when_no_mirror_works_one_line_says_what_each_did(tmp_path, server, row):
    server.files["/a/train"] = b"<html>moved</html>"
    del server.files["/b/train"]
    with pytest.raises(CorpusError) as caught:
        download_corpus(row, tmp_path, SPLITS)
    text = str(caught.value)
    assert "\n" not in text
    wrong = sha256(b"<html>moved</html>").hexdigest()
    assert f"{server.url}/a/train: wrong bytes: sha256 {wrong}, must be {row.sha256['train']}" in text
    assert f"{server.url}/b/train: HTTP 404" in text
    assert str(tmp_path / "c") in text
    assert _names(tmp_path / "c") == set()


def test_a_host_that_is_not_there_is_one_line(tmp_path, server):
    files = {split: _file(split, urls=("http://127.0.0.1:1/x",)) for split in SPLITS}
    with pytest.raises(CorpusError, match=r"http://127\.0\.0\.1:1/x: \[Errno 111\] Connection refused; put") as caught:
        download_corpus(_row(files=files), tmp_path, SPLITS)
    assert "\n" not in str(caught.value)


def test_progress_goes_on_after_a_resume(tmp_path, server, row):
    server.replies["/a/train"] = ["drop:204800"]
    seen = []
    download_corpus(row, tmp_path, ["train"], lambda *progress: seen.append(progress))
    assert {what for what, _, _ in seen} == {"c/train.txt"}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {total for _, _, total in seen} == {len(TEXTS["train"])}
    assert seen[-1][1] == len(TEXTS["train"])


def test_two_downloads_at_once_do_not_mix(tmp_path, server, row):
    threads = [threading.Thread(target=download_corpus, args=(row, tmp_path, SPLITS)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _assert_whole(tmp_path)
    assert len(server.requests) == len(SPLITS)


def test_members_of_an_archive_are_taken_by_their_exact_names(tmp_path, server, archived_row):
    download_corpus(archived_row, tmp_path / "root", SPLITS)
    _assert_whole(tmp_path / "root")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert server.requests == [("/a.zip", None)]


def test_an_archive_is_resumed_too(tmp_path, server, archived_row):
    server.files["/a.zip"] = _archive(WHOLE_ARCHIVE, zipfile.ZIP_STORED)
    server.replies["/a.zip"] = ["drop:81920"]
    download_corpus(archived_row, tmp_path, SPLITS)
    _assert_whole(tmp_path)
    assert server.requests == [("/a.zip", None), ("/a.zip", "bytes=81920-")]


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"PK no archive", "not the archive: File is not a zip file"),
        (_archive(WHOLE_ARCHIVE)[:-30], "not the archive: "),
        (_archive({"w/wiki.train.tokens": TEXTS["train"]}), "the archive lacks w/wiki.valid.tokens"),
        (_archive(WHOLE_ARCHIVE | {"w/wiki.test.tokens": b"x\n"}), "wrong bytes in w/wiki.test.tokens: sha256 "),
        (
            _archive(WHOLE_ARCHIVE | {"w/wiki.train.tokens": bytes(10**7)}),
            "wrong bytes in w/wiki.train.tokens: sha256 ",
        ),
        (b"x" * 1_000_001, "wrong bytes: more than 1,000,000 of them"),
    ],
)
def test_a_wrong_archive_sends_to_the_next_mirror(tmp_path, server, archived_row, archive, reason):
    server.files["/a.zip"] = archive
    download_corpus(archived_row, tmp_path / "first", SPLITS)
    _assert_whole(tmp_path / "first")
    server.files["/b.zip"] = archive
    with pytest.raises(CorpusError) as caught:
        download_corpus(archived_row, tmp_path / "second", SPLITS)
    assert reason in str(caught.value)
    assert not [name for name in _names(tmp_path / "second" / "c") if name.endswith(".part")]


@pytest.mark.parametrize("at", [step / 20 for step in range(20)])
def test_a_damaged_archive_never_gives_a_wrong_file(tmp_path, server, archived_row, at):
    damaged = bytearray(server.files["/a.zip"])
    damaged[int(at * len(damaged))] ^= 0xFF
    server.files["/a.zip"] = bytes(damaged)
    download_corpus(archived_row, tmp_path, SPLITS)
    _assert_whole(tmp_path)


def test_a_full_disk_is_said_and_keeps_the_part(tmp_path, server, row, monkeypatch):
    def fail(what: str, done: int, total: int | None) -> None:
        if done > 150_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFullError, match="no space left"):
        download_corpus(row, tmp_path, SPLITS, fail)
    assert _names(tmp_path / "c") == {".train.txt.part"}
    download_corpus(row, tmp_path, SPLITS)
    _assert_whole(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, row):
    (tmp_path / "c").write_bytes(b"a file where the folder should be")
    with pytest.raises(CorpusError, match="cannot write"):
        download_corpus(row, tmp_path, SPLITS)
