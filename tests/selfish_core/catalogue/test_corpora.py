from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from selfish_core.catalogue.corpora import (
    CORPORA,
    CORPUS_NAMES,
    SPLITS,
    CorpusConfig,
    CorpusFacts,
    check_long_enough,
    count_train_tokens,
    facts,
)
from selfish_core.errors import CorpusError

ADAPTER = TypeAdapter(CorpusConfig)
FOLDER = {
    "name": "folder",
    "path": "texts",
    "sha256": dict.fromkeys(SPLITS, "a" * 64),
    "num_tokens": {"train": 100, "valid": 20, "test": 10},
    "vocabulary_size": 7,
}


def _config(name: str, **fields):
    return ADAPTER.validate_python((FOLDER if name == "folder" else {"name": name}) | fields)


@pytest.mark.parametrize("name", CORPUS_NAMES)
def test_every_name_has_a_config_and_facts(name):
    config = _config(name)
    known = facts(config)
    assert known.vocabulary_size > 1
    assert set(known.num_tokens) == set(known.sha256) == set(SPLITS)
    assert ADAPTER.validate_python(config.model_dump()) == config
    assert ADAPTER.validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("name", CORPORA)
def test_rows_are_complete(name):
    row = CORPORA[name]
    assert row.name == name
    assert all(len(row.sha256[split]) == 64 for split in SPLITS)
    assert len({row.sha256[split] for split in SPLITS}) == 3
    assert row.description
    assert row.licence
    for file in row.files.values():
        assert file.num_bytes > file.num_tokens > 0
        assert bool(file.member) == bool(row.archive_urls)
        assert not (file.urls and row.archive_urls)


@pytest.mark.parametrize(
    ("num_tokens", "fraction", "expected"),
    [(929_589, 0.1, 92_958), (100, 0.29, 29), (100, 1.0, 100), (3, 1e-5, 0), (10, 0.999, 9)],
)
def test_train_fraction_rounds_down_as_written(num_tokens, fraction, expected):
    assert count_train_tokens(num_tokens, fraction) == expected


def test_train_fraction_cuts_train_only():
    whole, part = facts(_config("ptb")), facts(_config("ptb", train_fraction=0.5))
    assert part.num_tokens == {**whole.num_tokens, "train": 464_794}
    assert (part.vocabulary_size, part.sha256) == (whole.vocabulary_size, whole.sha256)
    assert CORPORA["ptb"].num_tokens["train"] == 929_589


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "ptbb"},
        {"name": "ptb", "train_fraction": 0.0},
        {"name": "ptb", "train_fraction": 1.1},
        {"name": "ptb", "train_fraction": float("nan")},
        {"name": "ptb", "train_fraction": True},
        {"name": "ptb", "train_fraction": "0.5"},
        {"name": "ptb", "path": "x"},
        {"name": "folder"},
        {"name": "folder", "path": ""},
        {"name": "folder", "path": "a\0b"},
        FOLDER | {"sha256": {"train": "a" * 64}},
        FOLDER | {"sha256": dict.fromkeys(SPLITS, "A" * 64)},
        FOLDER | {"num_tokens": {"train": 0, "valid": 1, "test": 1}},
        FOLDER | {"num_tokens": {"train": 1, "valid": 1, "dev": 1}},
        FOLDER | {"vocabulary_size": 1},
    ],
)
def test_wrong_configs_are_refused(raw):
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(raw)


@pytest.mark.parametrize("field", ["sha256", "num_tokens", "vocabulary_size"])
def test_facts_of_an_undescribed_folder_are_refused(field):
    with pytest.raises(CorpusError, match="not filled in"):
        facts(_config("folder", **{field: None}))


@pytest.mark.parametrize(
    ("batch_size", "eval_batch_size", "message"),
    [
        (50, 5, None),
        (51, 5, "corpus split 'train' has 100 tokens, batch_size 51 needs at least 102 (two for each stream)"),
        (50, 6, "corpus split 'test' has 10 tokens, eval_batch_size 6 needs at least 12 (two for each stream)"),
        (50, 11, "corpus split 'valid' has 20 tokens, eval_batch_size 11 needs at least 22 (two for each stream)"),
    ],
)
def test_a_split_needs_two_tokens_for_each_stream(batch_size, eval_batch_size, message):
    known: CorpusFacts = facts(_config("folder"))
    if message is None:
        check_long_enough(known, batch_size, eval_batch_size)
    else:
        with pytest.raises(CorpusError) as caught:
            check_long_enough(known, batch_size, eval_batch_size)
        assert str(caught.value) == message


def test_the_catalogue_loads_neither_torch_nor_numpy():
    code = "import selfish_core.catalogue.corpora, sys; sys.exit(any(m in sys.modules for m in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
