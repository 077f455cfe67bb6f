"""A text field that holds one name of a family; the family may grow by extensions before the field is declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class OneOf:
    """Put beside `str` in an `Annotated`: only these names are taken, and the JSON Schema lists them.

    Args:
        names: the family, in the order in which it is told.
    """

    names: Iterable[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Describe the field as a choice of literals."""
        return core_schema.literal_schema(list(self.names))
