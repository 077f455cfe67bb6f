"""Recipes: named base configs, each the hyper-parameters of one published experiment, or of a small sibling of it.

A spec that says `recipe: NAME` has the recipe's values under its own base: what the spec says wins field by field, and
where it names another architecture or corpus, none of the recipe's values for that section hold. A trial's key knows
the values alone, never the name. Stored sweeps refer to recipes by name, so the values of a shipped recipe stay as they
are; others get another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from selfish_core.catalogue.methods import METHODS
from sweeps import shipped_files

FOLDER = Path(__file__).with_name("recipes")


class Recipe(BaseModel):
    """One base config, as its file says it; its values are checked with the trials that they make."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    description: str = Field(description="one line")
    source: str = Field(description="where the values were published")
    epochs: int = Field(ge=1, description="length of the published run; a spec says its own")
    architecture: dict[str, Any]
    corpus: dict[str, Any]
    training: dict[str, Any]
    optimizer: dict[str, dict[str, Any]] = Field(description="name of an optimizer -> its values")

    def under(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Lay the recipe under what a spec says of a trial.

        Args:
            raw: sections as mappings, and the method; the optimizer is the one named here, else the method's own.

        Returns:
            All of `raw`, and every value of the recipe that it leaves open.
        """
        method = METHODS.get(str(raw.get("method")))
        own_optimizer = method.default_optimizer if method is not None else None
        optimizer = raw.get("optimizer", {}).get("name", own_optimizer)
        found = {
            "architecture": _unless_renamed(self.architecture, raw.get("architecture", {})),
            "corpus": _unless_renamed(self.corpus, raw.get("corpus", {})),
            "training": self.training,
            "optimizer": self.optimizer.get(str(optimizer), {}),
        }
        return {**raw, **{name: {**values, **raw.get(name, {})} for name, values in found.items()}}


def _unless_renamed(values: Mapping[str, Any], written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section of a recipe; nothing of it where a spec names another thing than the recipe."""
    return values if written.get("name", values["name"]) == values["name"] else {}


def names() -> tuple[str, ...]:
    """Return the names of the recipes that come with Selfish, sorted."""
    return shipped_files.names(FOLDER)


@cache
def load(name: str) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: when there is none of this name; the line lists the known ones and offers the nearest.
    """
    return Recipe.model_validate(shipped_files.load(FOLDER, "recipe", name))
