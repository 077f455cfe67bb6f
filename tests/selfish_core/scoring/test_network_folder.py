"""A network as a folder: it comes back with the same scores, and a damaged one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import cases

from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError
from selfish_core.scoring import network_folder
from selfish_core.scoring.scorer import Scorer
from selfish_core.scoring.stored import StoredNetwork, load_best
from selfish_core.scoring.vocabulary import Vocabulary
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore

WORDS = ("<unk>", "the", "<eos>", *(f"w{index}" for index in range(3, cases.VOCABULARY_SIZE)))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    generator = np.random.default_rng(7)
    draw = {split: generator.integers(0, len(WORDS), size) for split, size in cases.NUM_TOKENS.items()}
    return Corpus(name="folder", vocabulary=WORDS, **draw)


@pytest.fixture(scope="module")
def network(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> StoredNetwork:
    config = cases.tiny_trial()
    stored = TrialStore.open(tmp_path_factory.mktemp("network")).put(config.to_dict(), config.key())
    TrialSession(config, epochs=1, corpus=corpus, stored=stored).step()
    return load_best(stored)


@pytest.fixture
def folder(network: StoredNetwork, corpus: Corpus, tmp_path: Path) -> Path:
    network_folder.write(tmp_path / "network", network, corpus)
    return tmp_path / "network"


def test_it_comes_back_with_the_same_scores(folder: Path, network: StoredNetwork) -> None:
    direct = Scorer(network.model(torch.device("cpu")), Vocabulary(WORDS))
    found = network_folder.read(folder)
    assert found.score("the w5 zebra") == direct.score("the w5 zebra")
    assert found.next_words("the", 5) == direct.next_words("the", 5)


def test_it_says_where_it_comes_from_and_nothing_of_the_machine(folder: Path, network: StoredNetwork) -> None:
    about = json.loads((folder / network_folder.NETWORK).read_text())
    assert (about["key"], about["method"], about["epoch"]) == (network.config.key(), "selfish", 1)
    assert about["corpus"]["licence"] == "unknown: a folder of the user's"
    assert "nowhere" not in json.dumps(about), "the corpus's folder is not part of what it is"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (network_folder.NETWORK, lambda text: text.replace(b'"format": 1', b'"format": 2')),
        (network_folder.NETWORK, lambda text: text.replace(b'"hidden_size": 8', b'"hidden_size": 9')),
        (network_folder.VOCABULARY, lambda text: text.replace(b'"the", ', b"")),
        (network_folder.WEIGHTS, lambda text: text[:-1]),
    ],
)
def test_what_is_damaged_is_refused_in_one_line(name: str, damage: Any, folder: Path) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptFileError) as found:
        network_folder.read(folder)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("name", [network_folder.NETWORK, network_folder.VOCABULARY, network_folder.WEIGHTS])
def test_what_is_missing_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(CorruptFileError):
        network_folder.read(folder)
