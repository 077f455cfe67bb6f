"""Places with and without the example package."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.places import Place


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A place without any extension."""
    return Place.make(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with the example package, which no test changes."""
    place = Place.make(tmp_path_factory.mktemp("shared"))
    place.install_example()
    return place
