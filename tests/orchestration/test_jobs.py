"""One live job for each sweep, however often it is submitted; and what a cluster says no to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestration import jobs, submitted
from orchestration.jobs import SPEC, Wish, check_paths, first_difference, follow, packed, submit, unpacked
from orchestration.jobs_api import JobsApi, RayJob, checked_url, read_token
from selfish_core.errors import InputError, SelfishError
from selfish_core.provenance import code_version
from sweeps.expand import expand
from sweeps.spec import Spec, parse
from sweeps.yaml_reader import MAX_BYTES

TEXT = """\
name: tiny
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
epochs: 2
axes:
  - list: [{method: dense, sparsity: 0.0}, {method: set, sparsity: 0.5}]
seeds: [1, 2]
"""

REORDERED = """\
# the same, told in another order
seeds: [1, 2]
epochs: 2          # two
axes:
  - list: [{sparsity: 0.0, method: dense}, {method: set, sparsity: 0.5}]
base:
  optimizer: {learning_rate: 5.0, name: sgd}
  architecture: {embedding_size: 8, hidden_size: 8, name: stacked_lstm, num_layers: 1}
  corpus: synthetic
name: tiny
"""


class Cluster:
    """Ray's jobs as `JobsApi` shows them: an id is given once, atomically."""

    url = "http://cluster"

    def __init__(self) -> None:
        self.found: dict[str, RayJob] = {}
        self.num_started = 0
        self.refusal = ""
        self.dies_after_start = False
        self._lock = threading.Lock()

    def jobs(self) -> list[RayJob]:
        with self._lock:
            return list(self.found.values())

    def start(self, job_id: str, entrypoint: str, metadata: Mapping[str, str], variables: Mapping[str, str]) -> str:
        with self._lock:
            if self.refusal or job_id in self.found:
                return self.refusal or f"ValueError: Job with submission_id {job_id} already exists."
            self.found[job_id] = RayJob(job_id, "PENDING", metadata=dict(metadata))
            self.num_started += 1
        if self.dies_after_start:
            raise SelfishError("the line is cut")
        return ""

    def end(self, job_id: str, status: str, message: str = "") -> None:
        self.found[job_id] = RayJob(job_id, status, message, self.found[job_id].metadata)


@pytest.fixture
def cluster() -> Any:
    return Cluster()


def spec_of(text: str) -> Spec:
    return parse(text.encode(), Path("tiny.yaml"))


def wish(text: str = TEXT, store: str = "s3://lab/store") -> Wish:
    return Wish(spec_of(text), store, ["--store", store], "abc")


def test_a_second_submission_finds_the_job_that_runs(cluster: Any) -> None:
    first = submit(cluster, wish())
    second = submit(cluster, wish(REORDERED))
    assert first.is_new
    assert first.id.startswith("tiny-")
    assert first.id.endswith("-1")
    assert (second.id, second.is_new) == (first.id, False)
    assert cluster.num_started == 1


def test_fifty_submissions_at_once_start_one_job(cluster: Any) -> None:
    gate = threading.Barrier(50)

    def at_once(_: int) -> jobs.Submission:
        gate.wait()
        return submit(cluster, wish())

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(at_once, range(50)))
    assert cluster.num_started == 1
    assert len({one.id for one in found}) == 1
    assert [one.is_new for one in found].count(True) == 1


def test_a_submission_that_was_cut_off_before_the_answer_finds_its_own_job(cluster: Any) -> None:
    cluster.dies_after_start = True
    with pytest.raises(SelfishError, match="the line is cut"):
        submit(cluster, wish())
    found = submit(cluster, wish())
    assert (found.id, found.is_new) == (*cluster.found, False)


def test_the_number_goes_up_when_the_job_before_has_ended_and_its_failure_is_told(cluster: Any) -> None:
    first = submit(cluster, wish())
    cluster.end(first.id, "FAILED", "Job entrypoint command failed with exit code 1\n\nerror: no space is left\n")
    second = submit(cluster, wish())
    assert second.id == f"{first.id[:-1]}2"
    assert second.failure == f"{first.id} has failed: error: no space is left"
    cluster.end(second.id, "SUCCEEDED")
    for number in range(3, 12):
        one = submit(cluster, wish())
        assert (one.id, one.failure) == (f"{first.id[:-1]}{number}", "")
        cluster.end(one.id, "SUCCEEDED")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("epochs: 2", "epochs: 3", "tiny.yaml:6: .* epochs is 3 here, 2 there; `selfish stop tiny` ends it"),
        ("seeds: [1, 2]", "seeds: [1, 2, 3]", r"tiny.yaml:9: .* seeds\.2 is 3 here, nothing there"),
        ("learning_rate: 5.0", "learning_rate: 6.0", r"tiny.yaml:5: .* base\.optimizer\.learning_rate is 6\.0 here"),
    ],
)
def test_another_spec_of_the_same_name_is_refused(cluster: Any, before: str, after: str, told: str) -> None:
    first = submit(cluster, wish())
    with pytest.raises(InputError, match=told):
        submit(cluster, wish(TEXT.replace(before, after)))
    assert list(cluster.found) == [first.id]
    cluster.end(first.id, "STOPPED")
    assert submit(cluster, wish(TEXT.replace(before, after))).is_new


def test_a_running_job_whose_spec_cannot_be_read_is_not_taken_for_ours(cluster: Any) -> None:
    first = submit(cluster, wish())
    cluster.found[first.id] = RayJob(first.id, "RUNNING", metadata={SPEC: "?"})
    with pytest.raises(InputError, match="which cannot be read"):
        submit(cluster, wish())


def test_sweeps_of_other_names_and_other_trial_stores_are_others(cluster: Any) -> None:
    ids = [submit(cluster, wish()).id, submit(cluster, wish(store="s3://lab/other")).id]
    ids.append(submit(cluster, wish(TEXT.replace("name: tiny", "name: tiny-1"))).id)
    assert len(set(ids)) == cluster.num_started == 3


def test_a_cluster_that_does_not_take_the_job_says_why(cluster: Any) -> None:
    cluster.refusal = "No available agent to submit job, please try again later."
    with pytest.raises(SelfishError, match=r"did not take job tiny-\w+-1: No available agent"):
        submit(cluster, wish())


def test_the_difference_of_true_and_one_and_of_lists_and_mappings() -> None:
    assert first_difference({"a": True}, {"a": 1}) == (("a",), "true here, 1 there")
    assert first_difference({"a": [1]}, {"a": {"b": 1}}) is not None
    assert first_difference({}, {"a": None}) == (("a",), "nothing here, null there")
    assert first_difference({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2}]}) is None


def test_the_largest_spec_fits_into_an_environment_variable_and_comes_back() -> None:
    text = ("ä" * (MAX_BYTES // 2)).encode()
    assert unpacked(packed(text)) == text
    noise = bytes(index * index % 251 for index in range(MAX_BYTES))
    assert len(packed(noise)) < 128 * 1024


@pytest.mark.parametrize("text", ["", "?", "aGVsbG8=", packed(b"x" * (MAX_BYTES + 1)), packed(b"x" * 999)[:16]])
def test_what_is_no_packed_spec(text: str) -> None:
    with pytest.raises(ValueError):
        unpacked(text)


@pytest.mark.parametrize(("is_absolute", "is_refused"), [(True, False), (False, True)])
def test_a_text_named_relative_to_the_spec_is_refused(tmp_path: Path, is_absolute: bool, is_refused: bool) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("a b c d\n" * 300)
    path = f"{folder}/" if is_absolute else "texts"
    text = TEXT.replace("corpus: synthetic", f"corpus: {{name: folder, path: {path}}}")
    spec = parse(text.encode(), tmp_path / "tiny.yaml")
    if is_refused:
        with pytest.raises(InputError, match="relative to the folder of the spec"):
            check_paths(spec, expand(spec))
    else:
        check_paths(spec, expand(spec))


def test_what_a_job_prints_is_passed_on_once_and_only_in_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FOLLOW_SECONDS", 0.0)
    states = iter([("PENDING", ""), ("RUNNING", "one\ntw"), ("RUNNING", "one\ntwo\nth"), ("FAILED", "one\ntwo\nthree")])

    class Api:
        text = ""

        def job(self, job_id: str) -> RayJob:
            status, self.text = next(states)
            return RayJob(job_id, status)

        def logs(self, job_id: str) -> str:
            return self.text

    told: list[str] = []
    api: Any = Api()
    assert follow(api, "x", told.append).status == "FAILED"
    assert told == ["one", "two", "three"]


def config_of(**changed: str) -> str:
    carried = Wish(spec_of(TEXT), "/store", [], code_version()).metadata
    return json.dumps({"runtime_env": {}, "metadata": {**carried, "job_submission_id": "tiny-1", **changed}})


def test_a_job_finds_the_spec_that_came_with_it(tmp_path: Path) -> None:
    path = submitted.write_spec(config_of(), tmp_path)
    assert (path.name, path.read_text()) == ("tiny.yaml", TEXT)


@pytest.mark.parametrize("config", ["", "{}", "[]", '{"metadata": {}}', config_of(selfish_spec="?")])
def test_what_is_no_job_of_ours(tmp_path: Path, config: str) -> None:
    with pytest.raises(InputError, match="no job of `selfish submit`"):
        submitted.write_spec(config, tmp_path)


def test_a_job_refuses_other_code_than_its_submitters_and_unsafe_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"version {code_version()} of the code, tiny was submitted with 123"):
        submitted.write_spec(config_of(selfish_code="123"), tmp_path)
    with pytest.raises(InputError, match="is not a name"):
        submitted.write_spec(config_of(selfish_sweep="../tiny"), tmp_path)
    assert list(tmp_path.iterdir()) == []


class Dashboard(BaseHTTPRequestHandler):
    """Answers as Ray's dashboard does with token authentication on."""

    posted: ClassVar[list[dict[str, Any]]] = []
    answer: ClassVar[tuple[int, str]] = (200, "")

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        if given != "Bearer right":
            self._send(*((403, "Forbidden") if given else (401, "Unauthorized")))
        elif self.path == "/api/jobs/":
            rows = [{"type": "DRIVER", "submission_id": None, "status": "RUNNING"}]
            rows += [{"type": "SUBMISSION", "submission_id": "a-1", "status": "RUNNING", "metadata": None}]
            self._send(200, json.dumps(rows))
        elif self.path == "/api/version":
            self._send(200, '{"ray_version": "2.60.0"}')
        else:
            self._send(404, "no")

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._send(*self.answer)

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def dashboard() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Dashboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("ask", [JobsApi.jobs, JobsApi.is_open_to_all])
@pytest.mark.parametrize(("token", "told"), [("wrong", "refuses this token"), (None, "wants a token: put it in")])
def test_a_wrong_token_and_none_are_told(
    dashboard: str, token: str | None, told: str, ask: Callable[[JobsApi], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=f"{dashboard} {told}") as refused:
        ask(JobsApi(dashboard, token))
    assert "wrong" not in str(refused.value)


def test_the_jobs_that_were_submitted_are_listed(dashboard: str) -> None:
    api = JobsApi(dashboard, "right")
    assert not api.is_open_to_all()
    assert api.jobs() == [RayJob("a-1", "RUNNING")]


def test_why_a_job_was_not_started_is_the_last_line_of_the_answer(
    dashboard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = JobsApi(dashboard, "right")
    assert api.start("a-2", "true", {}, {"A": "1"}) == ""
    assert Dashboard.posted[-1]["submission_id"] == "a-2"
    assert Dashboard.posted[-1]["runtime_env"] == {"env_vars": {"A": "1"}}
    monkeypatch.setattr(Dashboard, "answer", (400, "Traceback\nValueError: it already exists\n"))
    assert api.start("a-2", "true", {}, {}) == "ValueError: it already exists"


def test_what_is_no_ray_is_told(dashboard: str) -> None:
    with pytest.raises(SelfishError, match="does not answer as Ray's jobs API"):
        JobsApi(f"{dashboard}/else", "right").jobs()
    with pytest.raises(SelfishError, match=r"no Ray cluster answers at http://127\.0\.0\.1:1: nobody listens"):
        JobsApi("http://127.0.0.1:1", "right").jobs()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("127.0.0.1:8265", r"--jobs-url: jobs URL '127\.0\.0\.1:8265' must be http"),
        ("ray://head:10001", "must be http"),
        ("http://", "must be http"),
        ("http://head:x", "jobs URL"),
        ("https://ann:secret@head", "must hold no user or password"),
        ("http://head:8265", "whoever listens gets the token: use https"),
    ],
)
def test_what_is_no_jobs_url(url: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        checked_url(url, "--jobs-url", is_insecure_allowed=False)
    assert "secret" not in str(refused.value)


def test_what_is_a_jobs_url() -> None:
    for url in ("http://localhost:8265/", "http://127.0.0.1:1", "http://[::1]:1", "https://head/ray"):
        assert checked_url(url, "x", is_insecure_allowed=False) == url.rstrip("/")
    assert checked_url("http://head:8265", "x", is_insecure_allowed=True) == "http://head:8265"


def test_the_token_comes_from_where_ray_looks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("in-file\n")
    assert read_token({}) is None
    assert read_token({"RAY_AUTH_TOKEN_PATH": str(path)}) == "in-file"
    assert read_token({"RAY_AUTH_TOKEN_PATH": str(path), "RAY_AUTH_TOKEN": "given"}) == "given"
    for content in ("", "two words", "ä"):
        path.write_text(content)
        with pytest.raises(InputError, match="RAY_AUTH_TOKEN_PATH"):
            read_token({"RAY_AUTH_TOKEN_PATH": str(path)})
    with pytest.raises(InputError, match="No such file"):
        read_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")})
