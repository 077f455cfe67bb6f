"""Ray Tune as the conductor's hands: it asks for the next trial, reports records and failures, and decides nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from orchestration import failures
from orchestration.conductor import Conductor, Situation, Start
from selfish_core.records import METRIC_NAMES
from selfish_core.trial_store import TrialStore

LOOK_SECONDS = 1.0
"""Between two looks at what people asked for."""


class Glance:
    """Look around for the conductor, at most once a second, whoever has the time.

    Args:
        conductor: decides.
        look: returns what the world wants, told how many trials run.
    """

    def __init__(self, conductor: Conductor, look: Callable[[int], Situation]) -> None:
        self._conductor = conductor
        self._look = look
        self._looked = time.monotonic()

    def take(self) -> bool:
        """Look, if the last look was long enough ago, and say whether."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        self._conductor.notice(self._look(self._conductor.num_running))
        return True


class Feed(Searcher):  # type: ignore[misc]  # Ray has no types
    """Hand out what the conductor names, as Tune's search algorithm.

    Args:
        conductor: decides.
        glance: taken before each answer, for Tune does nothing else while it has no trial.
        config_of: makes the Tune config of a start.
    """

    def __init__(self, conductor: Conductor, glance: Glance, config_of: Callable[[Start], dict[str, Any]]) -> None:
        super().__init__()
        self._conductor = conductor
        self._glance = glance
        self._config_of = config_of

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # noqa: ARG002  # Tune's own name of a start
        """Return the next start's config, None to be asked again, or FINISHED when nothing can come any more."""
        self._glance.take()
        start = self._conductor.next()
        if start is not None:
            return self._config_of(start)
        finished: str = Searcher.FINISHED
        return finished if self._conductor.is_idle() else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn nothing: the conductor was told already."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: Tune's folder is never read back."""


class Halt(Stopper):  # type: ignore[misc]
    """Show every record to the conductor, and end the trials that it ends."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Take one result of a trial and say whether the trial ends."""
        key, node = result["key"], str(result.get("node_ip", ""))
        if result.get("canary"):
            self._conductor.canary_landed(
                key, result["architecture"], result["peak_bytes"], result["device_bytes"], node
            )
            return True
        metrics = {name: result[name] for name in METRIC_NAMES if name in result}
        return self._conductor.record(key, result["epoch"], metrics, node=node, is_over=bool(result["done"]))

    def stop_all(self) -> bool:
        """Leave the end to the feed."""
        return False


class Watch(Callback):  # type: ignore[misc]
    """Tell the conductor of failures, and once a second what the world wants.

    Args:
        conductor: decides.
        glance: taken at each of Tune's steps.
        store: the trial store, where workers that stalled have left their stacks.
    """

    def __init__(self, conductor: Conductor, glance: Glance, store: TrialStore) -> None:
        self._conductor = conductor
        self._glance = glance
        self._store = store
        self._nodes: dict[str, str] = {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **_info: Any) -> None:  # noqa: ARG002
        """Look around now and then."""
        self._glance.take()
        self._end_cancelled(trials)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_info: Any) -> None:  # noqa: ARG002
        """Pass on that a worker has begun, perhaps some time after the trial was handed out."""
        if not trial.config.get("canary_steps"):
            self._conductor.started(trial.config["keys"][0])

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
        **_info: Any,
    ) -> None:
        """Remember where a trial runs."""
        self._nodes[trial.trial_id] = str(result.get("node_ip", ""))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **_info: Any) -> None:  # noqa: ARG002
        """Classify a failure and pass it on."""
        key = trial.config["keys"][0]
        node = self._nodes.get(trial.trial_id, "")
        failure = failures.classify(_error_of(trial), node=node, trial=self._store.trial(key))
        if trial.config.get("canary_steps"):
            self._conductor.canary_failed(key, trial.config["trial"]["architecture"]["name"], failure)
        else:
            self._conductor.fail(key, failure)

    def _end_cancelled(self, trials: list[Trial]) -> None:
        """End the processes of cancelled trials; Tune then reports them as failed."""
        for trial in trials if self._conductor.has_cancelled else ():
            actor = trial.temporary_state.ray_actor
            is_running = trial.status == Trial.RUNNING and actor is not None
            if is_running and self._conductor.is_cancelled(trial.config["keys"][0]):
                ray.kill(actor)


class EndedByError(Exception):
    """What Tune wrote down of a trial's end, as text: the exception itself would have to be unpickled.

    Args:
        text: traceback, or what Ray says of a process that is gone.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        actor = re.search(r"actor_id: ([0-9a-f]+)", text)
        self.actor_id = actor[1] if actor else None


def _error_of(trial: Trial) -> EndedByError:
    """Read what Tune has just written of a trial's end; the last of several ends counts."""
    written = trial.error_file
    text = Path(written).read_text(encoding="utf-8", errors="replace") if written and Path(written).is_file() else ""
    return EndedByError(re.split(r"^Failure # .*$", text, flags=re.MULTILINE)[-1].strip() or "it ended silently")
