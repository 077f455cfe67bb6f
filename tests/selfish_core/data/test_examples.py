from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "selfish_core.catalogue.corpora",
        "selfish_core.data.batching",
        "selfish_core.data.markov",
        "selfish_core.data.synthetic",
    ],
)
def test_the_examples_in_docstrings_are_true(name):
    told = doctest.testmod(import_module(name))
    assert told.attempted > 0
    assert told.failed == 0
