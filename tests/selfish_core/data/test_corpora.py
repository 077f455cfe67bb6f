from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from selfish_core.catalogue.corpora import (
    CORPORA,
    SPLITS,
    FolderCorpusConfig,
    PublishedCorpusConfig,
    SyntheticCorpusConfig,
    facts,
)
from selfish_core.data import corpora
from selfish_core.data.corpora import describe_folder, load, verify
from selfish_core.errors import CorpusError

TEXTS = {"train": b"a b a\nc a\n" * 5, "valid": b"a c\n", "test": b"b\nb\n"}


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "texts"
    path.mkdir()
    for split, data in TEXTS.items():
        (path / f"{split}.txt").write_bytes(data)
    return path


@pytest.fixture
def small_ptb(monkeypatch, server) -> Iterator[None]:
    """`ptb` with the texts above, served from this machine."""
    files = {}
    for split, data in TEXTS.items():
        server.files[f"/{split}"] = data
        files[split] = replace(
            CORPORA["ptb"].files[split],
            num_bytes=len(data),
            num_tokens={"train": 35, "valid": 3, "test": 4}[split],
            sha256=sha256(data).hexdigest(),
            urls=(f"{server.url}/{split}",),
        )
    monkeypatch.setitem(CORPORA, "ptb", replace(CORPORA["ptb"], vocabulary_size=4, files=files))
    facts.cache_clear()
    yield
    facts.cache_clear()


def _config(folder: Path, **fields) -> FolderCorpusConfig:
    return FolderCorpusConfig(name="folder", path=str(folder), **(describe_folder(folder) | fields))


PTB = PublishedCorpusConfig(name="ptb")


def test_a_folder_is_described(folder):
    assert describe_folder(folder) == {
        "sha256": {split: sha256(data).hexdigest() for split, data in TEXTS.items()},
        "num_tokens": {"train": 35, "valid": 3, "test": 4},
        "vocabulary_size": 4,
    }


def test_a_described_folder_loads_to_its_facts(folder):
    config = _config(folder)
    corpus = load(config, None, download=False)
    assert corpus.vocabulary == ("a", "b", "<eos>", "c")
    assert corpus.train[:7].tolist() == [0, 1, 0, 2, 3, 0, 2]
    known = facts(config)
    assert {split: len(getattr(corpus, split)) for split in SPLITS} == known.num_tokens
    assert len(corpus.vocabulary) == known.vocabulary_size
    assert corpus.best_log_probabilities("test", 1) is None


def test_train_fraction_keeps_the_front_and_the_whole_vocabulary(folder):
    config = _config(folder, train_fraction=0.2)
    corpus = load(config, None, download=False)
    assert corpus.train.tolist() == [0, 1, 0, 2, 3, 0, 2]
    assert len(corpus.train) == facts(config).num_tokens["train"]
    assert len(load(_config(folder, train_fraction=0.05), None, download=False).train) == 1
    assert len(load(_config(folder, train_fraction=0.05), None, download=False).vocabulary) == 4


@pytest.mark.parametrize("split", SPLITS)
def test_one_byte_changed_in_a_folder_is_refused(folder, split):
    config = _config(folder)
    path = folder / f"{split}.txt"
    path.write_bytes(TEXTS[split].replace(b"b", b"c").replace(b"a", b"b"))
    found = sha256(path.read_bytes()).hexdigest()
    for act in (verify, load):
        with pytest.raises(CorpusError) as caught:
            act(config, None, download=False)
        told = f"corpus folder/{split}.txt: sha256 {found}, spec says {config.sha256[split]}: {path}"
        assert str(caught.value) == told


def test_wrong_counts_in_a_spec_are_refused(folder):
    with pytest.raises(CorpusError, match="different tokens in train: 4, must be 5"):
        load(_config(folder, vocabulary_size=5), None, download=False)
    counts = {"train": 35, "valid": 3, "test": 5}
    with pytest.raises(CorpusError, match="tokens in test: 4, must be 5"):
        load(_config(folder, num_tokens=counts), None, download=False)


def test_an_undescribed_folder_is_refused(folder):
    with pytest.raises(CorpusError, match="not filled in"):
        verify(FolderCorpusConfig(name="folder", path=str(folder)), None, download=False)


def test_what_is_missing_in_a_folder_is_named(folder):
    (folder / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt is missing"):
        describe_folder(folder)
    with pytest.raises(CorpusError, match="no such folder"):
        describe_folder(folder / "nowhere")
    with pytest.raises(CorpusError, match="no such folder"):
        describe_folder(folder / "train.txt")


def test_a_folder_with_a_pipe_or_a_link_does_not_hang_and_is_refused(folder):
    (folder / "test.txt").unlink()
    os.mkfifo(folder / "test.txt")
    with pytest.raises(CorpusError, match="a pipe, must be a regular file"):
        describe_folder(folder)
    (folder / "test.txt").unlink()
    (folder / "test.txt").symlink_to("/dev/zero")
    with pytest.raises(CorpusError, match="a symbolic link, must be a regular file"):
        describe_folder(folder)


def test_errors_in_a_text_name_its_whole_path(folder):
    (folder / "test.txt").write_bytes(b"a\nb zzz\n")
    with pytest.raises(CorpusError) as caught:
        describe_folder(folder)
    assert str(caught.value).startswith(f"{folder / 'test.txt'}, line 2: the word 'zzz'")


@pytest.mark.usefixtures("small_ptb")
def test_a_missing_corpus_is_downloaded_where_allowed(tmp_path, server):
    with pytest.raises(CorpusError, match=r"corpus ptb: train\.txt, valid\.txt, test\.txt missing in"):
        verify(PTB, tmp_path, download=False)
    assert server.requests == []
    seen = []
    verify(PTB, tmp_path, download=True, report=lambda *progress: seen.append(progress))
    assert [what for what, _, _ in seen] == ["ptb/train.txt", "ptb/valid.txt", "ptb/test.txt"]
    corpus = load(PTB, tmp_path, download=False)
    assert [len(corpus.train), len(corpus.valid), len(corpus.test)] == [35, 3, 4]
    assert len(server.requests) == 3


@pytest.mark.usefixtures("small_ptb")
def test_without_a_data_folder_the_users_own_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    load(PTB, None, download=True)
    assert (tmp_path / "selfish" / "corpora" / "ptb" / "train.txt").read_bytes() == TEXTS["train"]


@pytest.mark.usefixtures("small_ptb")
def test_a_wrong_file_is_refused_and_never_replaced(tmp_path, server):
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb" / "valid.txt").write_bytes(b"mine\n")
    with pytest.raises(CorpusError, match=r"corpus ptb/valid\.txt: sha256 [0-9a-f]{64}, must be [0-9a-f]{64}: "):
        load(PTB, tmp_path, download=True)
    assert (tmp_path / "ptb" / "valid.txt").read_bytes() == b"mine\n"


@pytest.mark.usefixtures("small_ptb")
def test_a_published_corpus_has_its_known_counts(folder, monkeypatch):
    folder.rename(folder.parent / "ptb")
    load(PTB, folder.parent, download=False)
    monkeypatch.setitem(CORPORA, "ptb", replace(CORPORA["ptb"], vocabulary_size=5))
    facts.cache_clear()
    with pytest.raises(CorpusError, match="corpus ptb: different tokens in train: 4, must be 5"):
        load(PTB, folder.parent, download=False)


def test_a_generator_that_changed_is_refused(monkeypatch):
    config = SyntheticCorpusConfig(name="synthetic")
    monkeypatch.setattr(corpora.synthetic, "texts", lambda: dict.fromkeys(SPLITS, b"a\n"))
    with pytest.raises(CorpusError, match=r"corpus synthetic/train\.txt: sha256"):
        verify(config, None, download=False)


def test_best_log_probabilities_follow_a_cut_train():
    corpus = load(SyntheticCorpusConfig(name="synthetic", train_fraction=0.01), None, download=False)
    assert len(corpus.train) == 600
    best_TB = corpus.best_log_probabilities("train", 7)
    assert best_TB.shape == (84, 7)
    assert np.isfinite(best_TB).all()


@pytest.mark.data
@pytest.mark.parametrize("name", ["ptb", "wikitext-2"])
def test_the_published_corpora_have_the_counts_of_the_catalogue(name, corpus_folder):
    row = CORPORA[name]
    corpus = load(PublishedCorpusConfig(name=name), corpus_folder, download=False)
    assert {split: len(getattr(corpus, split)) for split in SPLITS} == row.num_tokens
    assert len(corpus.vocabulary) == len(set(corpus.vocabulary)) == row.vocabulary_size
    assert {"<unk>", "<eos>"} < set(corpus.vocabulary)
    for split in SPLITS:
        path = corpus_folder / name / f"{split}.txt"
        assert path.stat().st_size == row.files[split].num_bytes
        tokens = getattr(corpus, split)
        assert 0 <= tokens.min() <= tokens.max() < row.vocabulary_size
        words = [word for line in path.read_text("utf-8").split("\n")[:-1] for word in [*line.split(), "<eos>"]]
        assert [corpus.vocabulary[token] for token in tokens.tolist()] == words
