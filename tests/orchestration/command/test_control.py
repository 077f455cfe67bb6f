"""`status`, `logs`, `stop`, `cancel`, `pause`, `resume`, `retry`: what they say, what they write, what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from orchestration import control as asking
from orchestration.decisions import Ended, Failed, Left, Running, Started, write
from orchestration.processes import Stopped
from orchestration.story import all_labels
from orchestration.verbs import control, watching
from orchestration.wanted import load_saved
from selfish_core.errors import InputError, SelfishError
from selfish_core.store.wishes import Request
from selfish_core.trial_store import StoredSweep, TrialStore

STARTED = Started(num_requests=0, host="h", pid=7, epochs=2)
VERBS = (
    control.stop,
    control.cancel,
    control.pause,
    control.resume,
    control.retry,
    watching.status,
    watching.logs,
)

DRIVER = """
import sys, time
from orchestration.decisions import Ended, Running, Started, write
from orchestration.decisions import Left
from selfish_core.trial_store import TrialStore
store = TrialStore.open(sys.argv[1])
sweep = store.sweep("tiny")
with sweep.owned():
    write(sweep, Started(num_requests=sweep.num_requests(), host="h", pid=7, epochs=2))
    write(sweep, Running(trial=sys.argv[2]))
    print("up", flush=True)
    seen = 0
    while True:
        for request in sweep.requests(seen):
            seen = request.number
            if request.trial is None and request.kind in ("stop", "cancel"):
                write(sweep, Ended(reason="stopped"))
                sys.exit()
            write(sweep, Left(trial=sys.argv[2]))
        time.sleep(0.05)
"""


def call_in(store: str, *words: str) -> object:
    """Run one verb on a store, as the command does; errors are raised."""
    app = typer.Typer()
    for verb in VERBS:
        app.command(verb.__name__)(verb)
    return typer.main.get_command(app).main([*words, "--store", store], prog_name="selfish", standalone_mode=False)


class Place:
    """A store with the sweep `tiny`, and the verbs on it."""

    def __init__(self, store: TrialStore, tiny: Path) -> None:
        self.store = store
        self.sweep: StoredSweep = store.sweep("tiny")
        self.sweep.save_spec(tiny.read_bytes())
        self.keys = list(all_labels(store, "tiny"))

    def call(self, *words: str) -> object:
        return call_in(self.store.place, *words)


@pytest.fixture
def place(store: TrialStore, tiny: Path) -> Place:
    return Place(store, tiny)


@pytest.fixture
def driver(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the sweep's first trial for ever, and obeys."""
    words = [sys.executable, "-c", DRIVER, place.store.place, place.keys[0]]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("verb", [verb.__name__ for verb in VERBS])
def test_an_unknown_sweep_lists_the_known(place: Place, verb: str) -> None:
    with pytest.raises(InputError, match=r"unknown sweep 'tinny' of .*: known are tiny; did you mean 'tiny'\?"):
        place.call(verb, "tinny")


@pytest.mark.parametrize("verb", ["stop", "cancel", "pause", "resume", "retry", "logs"])
def test_a_trial_that_is_not_of_the_sweep(place: Place, verb: str, make_trial: Callable[..., object]) -> None:
    with place.sweep.owned():
        with pytest.raises(InputError, match=r"no trial of sweep 'tiny' has a key that starts with 'zz': `selfish sta"):
            place.call(verb, "tiny", "zz")
        with pytest.raises(InputError, match="4 trials of sweep 'tiny' have a key that starts with ''"):
            place.call(verb, "tiny", "")
    assert place.sweep.num_requests() == 0


def test_a_store_that_is_not_there_and_one_without_sweeps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no trial store at"):
        call_in(str(tmp_path / "none"), "stop", "tiny")
    empty = TrialStore.open(tmp_path / "empty")
    with pytest.raises(InputError, match=r"there is no sweep in .*empty: `selfish run SPEC` starts one"):
        call_in(empty.place, "stop", "tiny")


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_what_does_not_run_cannot_be_stopped(place: Place, verb: str) -> None:
    with pytest.raises(SelfishError, match=f"sweep 'tiny' does not run, so there is nothing to {verb}") as refusal:
        place.call(verb, "tiny")
    assert refusal.value.exit_code == 1
    assert place.sweep.num_requests() == 0


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("stop", "sweep 'tiny': asked to stop: running epochs end first\n"),
        ("cancel", "sweep 'tiny': asked to cancel: running epochs are given up\n"),
        ("pause", "sweep 'tiny': asked to pause: running epochs end first, and `selfish resume` goes on\n"),
    ],
)
def test_a_running_sweep_is_asked_once(place: Place, capsys: pytest.CaptureFixture[str], verb: str, told: str) -> None:
    with place.sweep.owned():
        place.call(verb, "tiny")
        assert capsys.readouterr().err == told
        place.call(verb, "tiny")
        assert "already, or about to be" in capsys.readouterr().err
    assert place.sweep.requests() == [Request(1, verb)]  # type: ignore[arg-type]


def test_one_trial_is_asked_by_how_its_key_starts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    key = place.keys[1]
    with place.sweep.owned():
        place.call("pause", "tiny", key[:10], "--json")
        place.call("resume", "tiny", key[:10])
    told = json.loads(capsys.readouterr().out)
    assert (told["sweep"], told["trial"], told["kind"], told["number"], told["is_running"]) == (
        "tiny",
        key,
        "pause",
        1,
        True,
    )
    assert place.sweep.requests() == [Request(1, "pause", key), Request(2, "resume", key)]


def test_a_trial_that_is_over_is_left_alone(
    place: Place, fill: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = load_saved(place.store, "tiny")
    assert wanted is not None
    fill(place.store, wanted.trials[0], 2)
    with place.sweep.owned(), pytest.raises(SelfishError, match="is answered, so there is nothing to stop"):
        place.call("stop", "tiny", wanted.trials[0].key)
    assert place.sweep.num_requests() == 0


def test_a_cancel_of_what_does_not_run_holds_until_it_is_lifted(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.call("cancel", "tiny")
    assert "not started again until `selfish resume` or `selfish retry`" in capsys.readouterr().err
    place.call("retry", "tiny")
    assert "the next `selfish run` or `selfish submit` of the sweep takes it up" in capsys.readouterr().err
    assert [request.kind for request in place.sweep.requests()] == ["cancel", "retry"]


def test_nothing_to_resume_and_nothing_to_retry(place: Place) -> None:
    with place.sweep.owned():
        write(place.sweep, STARTED)
        with pytest.raises(SelfishError, match="nothing is paused or cancelled, so there is nothing to resume"):
            place.call("resume", "tiny")
        with pytest.raises(SelfishError, match="nothing has failed, was stopped or cancelled"):
            place.call("retry", "tiny")
        assert place.sweep.num_requests() == 0
        lost = Failed(trial=place.keys[0], failure="crashed", message="", is_final=True)
        write(place.sweep, lost)
        with pytest.raises(SelfishError, match="nothing has failed"):
            place.call("retry", "tiny", place.keys[1])
        place.call("retry", "tiny", place.keys[0])
        place.call("retry", "tiny")
    assert place.sweep.requests() == [Request(1, "retry", place.keys[0]), Request(2, "retry")]


@pytest.mark.parametrize("words", [["stop", "tiny"], ["cancel", "tiny"]])
def test_waiting_for_a_sweep_to_end(place: Place, driver: subprocess.Popen[str], words: list[str]) -> None:
    place.call(*words, "--wait")
    assert not place.sweep.is_owned()
    assert driver.wait(timeout=20) == 0


@pytest.mark.parametrize("is_of_trial", [True, False])
def test_waiting_for_what_runs_to_leave(
    place: Place, driver: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, is_of_trial: bool
) -> None:
    monkeypatch.setattr(asking, "POLL_SECONDS", 0.05)
    place.call("pause", "tiny", *([place.keys[0]] if is_of_trial else []), "--wait")
    assert place.sweep.is_owned()
    assert place.sweep.decisions()[-1].kind == "left"


def test_waiting_does_not_end_while_the_trial_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "POLL_SECONDS", 0.02)
    scope = asking.Scope("tiny", place.keys[0])
    waiting = threading.Thread(target=asking.wait_until_obeyed, args=(place.store, scope, "stop"), daemon=True)
    with place.sweep.owned():
        write(place.sweep, STARTED)
        write(place.sweep, Running(trial=place.keys[0]))
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
        write(place.sweep, Left(trial=place.keys[0]))  # type: ignore[arg-type]
        waiting.join(timeout=20)
        assert not waiting.is_alive()


# Watching


def test_status_of_all_and_of_one(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.call("status")
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "tiny",
        "4",
        "trials:",
        "4",
        "waiting",
        "does",
        "not",
        "run",
    ]
    place.call("status", "--json")
    assert json.loads(capsys.readouterr().out)[0]["counts"] == {"waiting": 4}
    place.call("status", "tiny", "--json")
    assert [trial["key"] for trial in json.loads(capsys.readouterr().out)["trials"]] == place.keys
    for words in (["status", "tiny"], ["status", "tiny", "--once"]):
        place.call(*words)
        assert capsys.readouterr().out.startswith("tiny: does not run\n4 trials: 4 waiting\n")


@pytest.mark.parametrize("verb", ["status", "logs"])
def test_ctrl_c_leaves_what_only_watches(place: Place, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    def interrupted(*_arguments: object) -> None:
        raise Stopped(2)

    monkeypatch.setattr("time.sleep", interrupted)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with place.sweep.owned():
        assert place.call(verb, "tiny", *(["-f"] if verb == "logs" else [])) is None


def test_logs_of_a_sweep_and_of_a_trial(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.call("logs", "tiny")
    assert capsys.readouterr().out == ""
    lost = Failed(trial=place.keys[0], failure="crashed", message="boom", is_final=True, details="Traceback")
    for decision in (STARTED, lost, Ended(reason="done")):
        write(place.sweep, decision)
    place.call("logs", "tiny")
    assert len(capsys.readouterr().out.splitlines()) == 3
    place.call("logs", "tiny", place.keys[0][:12])
    assert "    Traceback" in capsys.readouterr().out.splitlines()
    place.call("logs", "tiny", "--json")
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == ["started", "failed", "ended"]


def test_following_ends_with_the_run(
    place: Place, driver: subprocess.Popen[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FOLLOW_SECONDS", 0.05)
    asker = threading.Timer(0.5, lambda: place.sweep.request("stop"))
    asker.start()
    place.call("logs", "tiny", "-f")
    asker.join()
    told = capsys.readouterr().out.splitlines()
    assert "a run began" in told[0]
    assert told[-1].endswith("the run ended: stopped")
