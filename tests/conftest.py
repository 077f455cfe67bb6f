"""Fixtures that more than one package's tests use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus_folder() -> Path:
    """The folder with ptb/ and wikitext-2/; skips, visibly, where it is absent."""
    folder = Path(os.environ.get("SELFISH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "ptb" / "train.txt").exists():
        pytest.skip(f"no corpora in {folder}; set SELFISH_TEST_DATA")
    return folder
