"""The exception tree: every error that a user of Selfish may meet.

    SelfishError                     one clear line: what is wrong, the value got, what is allowed, what to do
    ├── InputError                   the input is wrong; nothing was started (exit code 2)
    │   ├── ProblemsError            several problems at once, each with the path of the field it is about
    │   ├── CorpusError              a corpus is missing, damaged or not what its checksum says
    │   └── ResourcesError           the trials ask for more than the machine or cluster has
    ├── StoreError                   the trial store cannot be used
    │   ├── NoStoreError             a folder that a user named is no trial store (exit code 2)
    │   ├── CorruptFileError         a durable file fails its checksum or its format
    │   ├── StorageFullError         no space is left on the device
    │   ├── OwnedElsewhereError      another live process owns what was asked for
    │   └── FencedError              a later attempt has taken over this trial
    ├── NondeterminismError          a replayed epoch differs from the record of the same epoch
    ├── TrackingError                MLflow cannot be reached or refused a write
    └── InterruptedRunError          the user or the system asked to stop; what is done is kept (exit code 130)

A loss that is not finite is no error: it is a result (`Record.outcome == "diverged"`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MAX_SHOWN = 80


class SelfishError(Exception):
    """Any error with a message for the user; its text is one line unless a subclass says otherwise."""

    exit_code = 1


class InputError(SelfishError):
    """The input is wrong: a spec, an option, a setting or a file that a user named."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input.

    Args:
        path: where in the input, as keys and list positions, e.g. `("sparsity", "level")`.
        message: one line: what is wrong, the value, what is allowed.
        also: paths of other values that take part in it, the most telling first.
    """

    path: tuple[str | int, ...]
    message: str
    also: tuple[tuple[str | int, ...], ...] = ()


class ProblemsError(InputError):
    """Several problems at once; the text has one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_located(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[tuple[Problem, ...]]]:
        """Survive the way from a worker."""
        return type(self), (self.problems,)


class CorpusError(InputError):
    """A corpus is missing, damaged, or not the one that its checksum names."""


class ResourcesError(InputError):
    """The trials ask for more CPUs, GPUs or disk than there are."""


class StoreError(SelfishError):
    """The trial store cannot be read or written."""


class NoStoreError(StoreError):
    """The folder that a user named as trial store is something else."""

    exit_code = 2


class CorruptFileError(StoreError):
    """A durable file fails its checksum, its format or its declared size."""


class StorageFullError(StoreError):
    """No space is left; nothing that was committed before is touched."""


class OwnedElsewhereError(StoreError):
    """Another live process owns this sweep or trial."""


class FencedError(StoreError):
    """A later attempt has taken over this trial, so this one must stop writing."""


class NondeterminismError(SelfishError):
    """A replayed epoch does not reproduce the stored record on the same fingerprint."""


class TrackingError(SelfishError):
    """The tracking store cannot be reached or refused a write."""


class InterruptedRunError(SelfishError):
    """A stop was asked for; everything recorded so far is kept."""

    exit_code = 130


def unknown_name(kind: str, got: object, known: Iterable[str], *, of: str = "", also: Iterable[str] = ()) -> str:
    """Say that a name is unknown, list the known ones and offer the nearest.

    Args:
        kind: what it should name.
        got: the name.
        known: the names to list.
        of: what has these names, where `kind` alone does not say it.
        also: names that may be offered too, but are too many to list.

    >>> unknown_name("regrowth", "randm", ["random", "gradient"])
    "unknown regrowth 'randm': known are gradient, random; did you mean 'random'?"
    """
    names = sorted(known)
    text = f"unknown {kind} {shown(got)}{f' of {of}' if of else ''}: known are {', '.join(names)}"
    candidates = list(dict.fromkeys([*names, *also])) if isinstance(got, str) else []
    inner = [name for name in candidates if name.rpartition(".")[2] == got]
    near = inner or difflib.get_close_matches(str(got), candidates, n=1)
    return f"{text}; did you mean {near[0]!r}?" if near else text


def shown(value: object) -> str:
    """Write a value into a message as YAML would, control characters escaped and long ones cut.

    >>> shown(None), shown(True), shown(0.5), shown("a")
    ('null', 'true', '0.5', "'a'")
    """
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _located(problem: Problem) -> str:
    where = ".".join(str(part) for part in problem.path)
    return f"{where}: {problem.message}" if where else problem.message
