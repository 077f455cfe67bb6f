"""A folder of numbered files, 1, 2, 3 …: each is one JSON mapping that is added at the end and never changed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from selfish_core.errors import CorruptFileError
from selfish_core.storage import Storage, decode_json, encode_json

FORMAT = 1
_NUMBER = re.compile(r"([0-9]{4,9})\.json", re.ASCII)


class Numbered(NamedTuple):
    """The body of one file, with its number."""

    number: int
    body: dict[str, Any]


class NumberedFiles:
    """The files of one folder, whether or not there are any yet.

    Args:
        storage: where the trial store is kept.
        folder: its name there.
        num_digits: least number of digits of a file's name.
    """

    def __init__(self, storage: Storage, folder: str, num_digits: int) -> None:
        self._storage = storage
        self._folder = folder
        self._num_digits = num_digits

    def append(self, body: Mapping[str, Any]) -> int:
        """Add a file after the last and return its number; of several that do so at once each gets one of its own."""
        data = encode_json({"format": FORMAT, **body})
        number = self.newest()
        while True:
            number += 1
            with contextlib.suppress(FileExistsError):
                self._storage.create(f"{self._folder}/{number:0{self._num_digits}d}.json", data)
                return number

    def newest(self) -> int:
        """Return the highest number, sound or not; 0 where there is none."""
        return max(self._leaves(), default=0)

    def read(self, after: int = 0, damage: list[str] | None = None) -> list[Numbered]:
        """Return the sound files in order.

        Args:
            after: only files with a higher number.
            damage: takes one line for each file that is damaged or of another format.
        """
        found = []
        for number, leaf in sorted(self._leaves().items()):
            if number <= after:
                continue
            try:
                found.append(Numbered(number, self._read(f"{self._folder}/{leaf}")))
            except CorruptFileError as error:
                if damage is not None:
                    damage.append(str(error))
        return found

    def clear(self) -> None:
        """Remove the folder, where there is one."""
        if self._storage.exists(self._folder):
            self._storage.delete(self._folder)

    def _leaves(self) -> dict[int, str]:
        matches = map(_NUMBER.fullmatch, self._storage.list(self._folder))
        return {int(match[1]): match[0] for match in matches if match}

    def _read(self, name: str) -> dict[str, Any]:
        where = self._storage.where(name)
        try:
            body = decode_json(self._storage.read(name), where)
        except FileNotFoundError:
            raise CorruptFileError(f"{where}: is missing") from None
        if body.pop("format", None) != FORMAT:
            raise CorruptFileError(f"{where}: not of format {FORMAT}")
        return body
