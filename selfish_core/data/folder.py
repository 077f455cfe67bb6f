"""A folder of the user's own as a corpus: train.txt, valid.txt and test.txt."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from selfish_core.catalogue.corpora import SPLITS, Split
from selfish_core.data.reading import read_file
from selfish_core.data.text import encode
from selfish_core.errors import CorpusError


def file_names(path: Path) -> dict[Split, str]:
    """Name each split's file as errors call it."""
    return {split: str(path / f"{split}.txt") for split in SPLITS}


def read_folder(path: Path) -> dict[Split, bytes]:
    """Read the three files of a folder.

    Raises:
        CorpusError: the folder or a file is missing, or is nothing that may be read.
    """
    if not path.is_dir():
        raise CorpusError(f"corpus folder {path}: no such folder; it must hold train.txt, valid.txt and test.txt")
    texts: dict[Split, bytes] = {}
    for split in SPLITS:
        try:
            texts[split] = read_file(path, f"{split}.txt")
        except FileNotFoundError:
            raise CorpusError(f"corpus folder {path}: {split}.txt is missing") from None
    return texts


def describe_folder(path: Path) -> dict[str, Any]:
    """Read a folder and say what a config must know of it: `sha256`, `num_tokens` and `vocabulary_size`.

    Args:
        path: the folder, with train.txt, valid.txt and test.txt.

    Returns:
        JSON-able values for the fields of `FolderCorpusConfig` with these names.

    Raises:
        CorpusError: a file is missing, unreadable or breaks the rule in `data.text`; one line that names it.
    """
    texts = read_folder(path)
    encoded = encode(texts, file_names(path))
    return {
        "sha256": {split: sha256(texts[split]).hexdigest() for split in SPLITS},
        "num_tokens": {split: len(encoded.tokens[split]) for split in SPLITS},
        "vocabulary_size": len(encoded.vocabulary),
    }
