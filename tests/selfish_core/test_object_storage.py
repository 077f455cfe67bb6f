"""The storage on S3: conditions, lost answers, refusals, and what its self-test finds out."""

from __future__ import annotations

import pytest
from support.s3 import S3Server

from selfish_core import object_storage, s3
from selfish_core.errors import InputError, StoreError
from selfish_core.object_storage import ObjectStorage, check_url
from selfish_core.s3 import Bucket
from selfish_core.trial_store import TrialStore


@pytest.fixture
def objects(s3_url: str) -> ObjectStorage:
    return ObjectStorage.at(s3_url)


@pytest.mark.parametrize(
    ("url", "plain"),
    [("s3://lab", "s3://lab"), ("s3://lab/", "s3://lab"), ("s3://my.lab-1/a/B_c.d/", "s3://my.lab-1/a/B_c.d")],
)
def test_urls_that_are_taken(url: str, plain: str) -> None:
    assert check_url(url) == plain
    assert ObjectStorage.at(url).place == plain


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///x",
        "gs://lab/x",
        "http://h/x",
        "S3://lab",
        "s3://Lab",
        "s3://lab/../x",
        "s3://lab//x",
        "s3://a..b/x",
        "s3://lab/x?y=1",
        "s3://lab/x#y",
        "s3://lab/x y",
        "s3://lab:80/x",
        "s3://lab/ä",
        f"s3://lab/{'x/' * 300}",
        "s3://lab/\n",
    ],
)
def test_urls_that_are_refused_in_one_line(url: str) -> None:
    with pytest.raises(InputError, match=r"must be a folder or s3://BUCKET/PREFIX") as caught:
        check_url(url)
    assert "\n" not in str(caught.value)


def test_credentials_in_a_url_are_refused_and_never_told() -> None:
    with pytest.raises(InputError, match=r"s3://\*\*\*@lab/x' has credentials in it") as caught:
        check_url("s3://AKIA:canary@lab/x")
    assert "canary" not in str(caught.value)


def test_without_s3fs_the_refusal_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'selfish\[s3\]'"):
        check_url("s3://lab/x")


def test_a_storage_that_ignores_the_condition_is_refused(s3_server: S3Server, s3_url: str) -> None:
    s3_server.disturbances.ignores_conditions = True
    with pytest.raises(StoreError, match=r"selfish: no trial store can be kept there: .* ignores If-None-Match"):
        TrialStore.open(s3_url)
    assert ObjectStorage.at(s3_url).list("") == []


@pytest.mark.parametrize(("method", "told"), [("get", "cannot be read"), ("keys", "not listed"), ("delete", "deleted")])
def test_a_storage_that_is_behind_is_refused(
    objects: ObjectStorage, method: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = {"get": b"old", "keys": [], "delete": None}[method]
    monkeypatch.setattr(Bucket, method, lambda *arguments, **named: stale)
    with pytest.raises(StoreError, match=f"no trial store can be kept there: .*{told}"):
        objects.self_test()


def test_the_self_test_is_nine_requests(objects: ObjectStorage, s3_server: S3Server) -> None:
    objects.self_test()
    s3_server.requests.clear()
    objects.self_test()
    assert len(s3_server.requests) == 9


@pytest.mark.parametrize("status", [500, 503])
def test_what_fails_for_a_moment_is_asked_again(objects: ObjectStorage, s3_server: S3Server, status: int) -> None:
    for action in (lambda: objects.create("x", b"1"), lambda: objects.read("x"), lambda: objects.list("")):
        s3_server.disturbances.statuses.append(status)
        action()
    assert objects.read("x") == b"1"


def test_a_create_whose_answer_was_lost_has_succeeded(objects: ObjectStorage, s3_server: S3Server) -> None:
    objects.list("")
    s3_server.disturbances.num_lost_answers = 1
    s3_server.requests.clear()
    objects.create("x", b"1")
    assert [method for method, _ in s3_server.requests] == ["PUT", "PUT", "HEAD"]
    assert objects.read("x") == b"1"


def test_the_same_bytes_of_another_writer_are_another_file(objects: ObjectStorage) -> None:
    objects.create("x", b"same")
    with pytest.raises(FileExistsError):
        ObjectStorage.at(objects.place).create("x", b"same")


def test_a_conditional_request_that_met_another_is_repeated(objects: ObjectStorage, s3_server: S3Server) -> None:
    s3_server.disturbances.statuses.append(409)
    objects.create("x", b"1")
    assert objects.read("x") == b"1"
    s3_server.disturbances.statuses.extend([409] * 5)
    with pytest.raises(StoreError, match="y: the storage refused"):
        objects.create("y", b"1")


@pytest.mark.parametrize("status", [400, 403])
def test_what_is_refused_for_good_is_one_line(objects: ObjectStorage, s3_server: S3Server, status: int) -> None:
    s3_server.disturbances.statuses.append(status)
    with pytest.raises(StoreError, match=rf"s3://.*/x: the storage refused: .*{status}") as caught:
        objects.create("x", b"1")
    assert "\n" not in str(caught.value)


def test_a_full_storage_is_told_as_a_full_disk_is(objects: ObjectStorage, s3_server: S3Server) -> None:
    s3_server.disturbances.statuses.append(507)
    with pytest.raises(s3.StorageFullError, match="no space"):
        objects.create("x", b"1")


def test_an_absent_bucket_is_named(s3_server: S3Server) -> None:
    for action in (TrialStore.open, TrialStore.find):
        with pytest.raises(StoreError, match=r"^s3://no-such-lab: there is no such bucket"):
            action("s3://no-such-lab/x")


def test_a_storage_that_is_not_there_is_one_line(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_CONFIG", {"connect_timeout": 1, "retries": {"max_attempts": 0}})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="the storage was not reached: Could not connect") as caught:
        TrialStore.open(s3_url)
    assert "\n" not in str(caught.value)


def test_without_credentials_the_refusal_says_what_to_set(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(StoreError, match="there are no credentials: set AWS_ACCESS_KEY_ID"):
        TrialStore.open(s3_url)


def test_an_object_is_one_request_whatever_its_size(
    objects: ObjectStorage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(110 * 2**20)  # more than that s3fs would cut into parts
    objects.list("")
    s3_server.requests.clear()
    objects.create("x", data)
    assert [method for method, _ in s3_server.requests] == ["PUT"]
    assert objects.read("x", len(data)) == data
    monkeypatch.setattr(object_storage, "MAX_PUT_BYTES", 10)
    with pytest.raises(StoreError, match="has 11 bytes, an object made in one request at most 10"):
        objects.create("y", bytes(11))


def test_long_listings_and_deletions_come_in_pages(objects: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_call = Bucket._call
    small = {"list_objects_v2": {"MaxKeys": 3}, "delete_objects": {}}
    monkeypatch.setattr(s3, "_MAX_DELETED_AT_ONCE", 4)
    monkeypatch.setattr(
        Bucket, "_call", lambda self, method, **given: plain_call(self, method, **given, **small.get(method, {}))
    )
    for number in range(10):
        objects.create(f"a/{number}/x", b"")
    assert objects.list("a") == [str(number) for number in range(10)]
    objects.delete("a")
    assert objects.list("") == []


def test_a_marker_of_a_folder_is_no_file(objects: ObjectStorage) -> None:
    objects._bucket.put_new("selfish/a/", b"")
    objects.create("a/x", b"")
    assert objects.list("a") == ["x"]
