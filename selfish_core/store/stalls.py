"""Stalls of a trial: which worker was ended because it made no progress, and where it stood.

trials/<key>/stalls/0001.json        one a stall, written by the watchdog beside the worker that it then ended
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from selfish_core.storage import Storage
from selfish_core.store.numbered import NumberedFiles


class Stall(BaseModel):
    """One worker that made no progress.

    Args:
        worker: id of its Ray actor; empty where it was none.
        timeout_seconds: for which it had made no progress.
        stacks: of all its threads, as `faulthandler` writes them; empty where it could not be asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    worker: str
    timeout_seconds: float
    stacks: str


class Stalls:
    """The stalls of one trial.

    Args:
        storage: where the trial store is kept.
        key: the trial's content key.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self._files = NumberedFiles(storage, f"trials/{key}/stalls", num_digits=4)

    def add(self, stall: Stall) -> None:
        """Keep one more."""
        self._files.append(stall.model_dump())

    def read(self, damage: list[str] | None = None) -> list[Stall]:
        """Return the sound ones, oldest first.

        Args:
            damage: takes one line for each file that is damaged or of another format.
        """
        found = []
        for number, body in self._files.read(damage=damage):
            try:
                found.append(Stall.model_validate(body))
            except ValidationError as error:
                if damage is not None:
                    damage.append(f"stall {number}: {error.errors(include_url=False)[0]['msg']}")
        return found
