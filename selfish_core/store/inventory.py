"""Which file of a trial store is what, told by its name alone; `store.layout` and `store.sweep` draw the folders."""

from __future__ import annotations

import re
from typing import NamedTuple

from selfish_core.storage import SELF_TEST

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_TRIAL = rf"trials/(?P<key>{_PART})"
_ATTEMPT = rf"{_TRIAL}/attempts/(?P<attempt>[1-9][0-9]{{0,8}})"
_CHECKPOINT = rf"{_ATTEMPT}/checkpoints/epoch-(?P<epoch>[0-9]{{5,9}})"
_SWEEP = rf"sweeps/(?P<sweep>{_PART})"
_LEASE = r"\.lock\.d/[0-9]{6,12}(?:-(?:[0-9]{6,12}|released))?\.json"

_FILES = {
    "store": r"store\.json",
    "config": rf"{_TRIAL}/trial\.json",
    "header": rf"{_ATTEMPT}/attempt\.json",
    "record": rf"{_ATTEMPT}/records/epoch-(?P<epoch>[0-9]{{5,9}})\.json",
    "sealed": rf"{_ATTEMPT}/records\.sealed\.json",
    "manifest": rf"{_CHECKPOINT}/manifest\.json",
    "tensors": rf"{_CHECKPOINT}/tensors\.safetensors",
    "state": rf"{_CHECKPOINT}/state\.json",
    "stall": rf"{_TRIAL}/stalls/(?P<number>[0-9]{{4,9}})\.json",
    "spec": rf"{_SWEEP}/spec-(?P<number>[0-9]{{4,9}})\.yaml",
    "commit": rf"{_SWEEP}/spec-(?P<number>[0-9]{{4,9}})\.json",
    "owner": rf"{_SWEEP}/owner\.json",
    "request": rf"{_SWEEP}/requests/(?P<number>[0-9]{{4,9}})\.json",
    "decision": rf"{_SWEEP}/decisions/(?P<number>[0-9]{{4,9}})\.json",
    "hold": rf"{_SWEEP}/holds/(?P<number>[0-9]{{4,9}})\.json",
    "lease": rf"(?:store|holds|{_SWEEP}/owner){_LEASE}",
    "lock": rf"(?:store|holds|{_SWEEP}/owner)\.lock",
    "log": r"logs/.+",
    "leftover": rf"(?:.*/)?\.tmp-[^/]*|{SELF_TEST}/.*",
    "folder": rf"trials|sweeps|logs|{_TRIAL}(?:/attempts|/stalls)?|{_SWEEP}(?:/requests|/decisions|/holds)?"
    rf"|{_ATTEMPT}(?:/records|/checkpoints)?|{_CHECKPOINT}",
}
# Each pattern names what it captures once, so that one file has one meaning; `folder` names several alternatives.
_PATTERNS = {
    kind: re.compile(re.sub(r"\?P<\w+>", "", text) if kind == "folder" else text, re.ASCII | re.DOTALL)
    for kind, text in _FILES.items()
}

WORDS = {
    "store": "store file",
    "config": "trial config",
    "header": "attempt header",
    "record": "record",
    "sealed": "sealed record file",
    "manifest": "checkpoint manifest",
    "tensors": "checkpoint tensor file",
    "state": "checkpoint state",
    "stall": "stall",
    "spec": "spec",
    "commit": "spec checksum",
    "owner": "owner file",
    "request": "request",
    "decision": "decision",
    "hold": "hold",
    "lease": "lease",
}
"""Every kind of file that carries a checksum or has one elsewhere, as people call one of it."""


class Named(NamedTuple):
    """What a name says of its file.

    Args:
        name: of the file in the storage.
        kind: one of `WORDS`; or `lock` and `log`, which carry no checksum; `leftover` of an interrupted write;
            `folder` where a folder of ours should be, which cannot be entered; `stranger`.
        attempt: of a trial; 0 where the name has none.
        number: epoch of a record or checkpoint, or number of a numbered file; 0 where the name has none.
    """

    name: str
    kind: str
    attempt: int = 0
    number: int = 0


def unit(name: str) -> str:
    """Return the folder whose files depend on one another: a trial's, a sweep's, or the root.

    >>> unit("trials/ab/attempts/1/attempt.json"), unit("store.json")
    ('trials/ab', '')
    """
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("trials", "sweeps") and len(parts) > 2 else ""


def classify(name: str) -> Named:
    """Say what a file is.

    >>> classify("trials/ab/attempts/2/records/epoch-00003.json")[1:]
    ('record', 2, 3)
    >>> classify("trials/ab/notes.txt").kind
    'stranger'
    """
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(name)
        if match and ".." not in name:
            found = match.groupdict()
            return Named(
                name, kind, int(found.get("attempt") or 0), int(found.get("epoch") or found.get("number") or 0)
            )
    return Named(name, "stranger")
