"""Missing texts: told by name, without reading them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration import settings, texts


def read(**flags: str | None) -> settings.Settings:
    return settings.read(flags, {})


def test_each_corpus_that_is_not_there_is_told_once(tmp_path: Path, make_trial: Callable[..., Any]) -> None:
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb" / "train.txt").write_text("a")
    configs = [make_trial(seed=seed, corpus=corpus).config for seed in (1, 2) for corpus in ("ptb", "synthetic")]
    assert list(texts.missing(configs, read(data=str(tmp_path)))) == [
        f"corpus ptb: valid.txt, test.txt not in {tmp_path / 'ptb'}: a run would be refused: put it there"
    ]


def test_without_a_data_folder_a_run_would_download(
    tmp_path: Path, monkeypatch: Any, make_trial: Callable[..., Any]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (line,) = texts.missing([make_trial(corpus="wikitext-2").config], read())
    assert line.startswith("corpus wikitext-2: train.txt, valid.txt, test.txt not in ")
    assert line.endswith("a run would download it")


def test_a_corpus_that_is_there_or_generated_is_not_told(tmp_path: Path, make_trial: Callable[..., Any]) -> None:
    (tmp_path / "ptb").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "ptb" / f"{split}.txt").write_text("a")
    configs = [make_trial(corpus=corpus).config for corpus in ("ptb", "synthetic")]
    assert list(texts.missing(configs, read(data=str(tmp_path)))) == []
