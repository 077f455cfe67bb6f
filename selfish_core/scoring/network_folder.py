"""A network as a folder that can be handed on: architecture and origin, vocabulary, weights; no pickle.

network.json          architecture, and where it comes from
vocabulary.json       the token of each id
weights.safetensors   sparse weights stored sparse (`selfish_core.scoring.sparse_file`)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from selfish_core.accounting import built_architecture
from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import CORPORA, facts
from selfish_core.data.corpora import Corpus
from selfish_core.errors import CorruptFileError
from selfish_core.files import LocalStorage
from selfish_core.models.build import build
from selfish_core.scoring import sparse_file
from selfish_core.scoring.scorer import Scorer
from selfish_core.scoring.stored import StoredNetwork, filled
from selfish_core.scoring.vocabulary import Vocabulary

FORMAT = 1
NETWORK, VOCABULARY, WEIGHTS = "network.json", "vocabulary.json", "weights.safetensors"


def write(folder: Path, network: StoredNetwork, corpus: Corpus) -> dict[str, Any]:
    """Write a network to a new or empty folder, and return what `network.json` says.

    Args:
        folder: made where it is absent.
        network: a trial's best.
        corpus: of the trial; its vocabulary is written.
    """
    about, storage = describe(network), LocalStorage(folder)
    storage.create(WEIGHTS, sparse_file.encode(network.weights))
    storage.create(VOCABULARY, (json.dumps(corpus.vocabulary, ensure_ascii=False) + "\n").encode())
    storage.create(NETWORK, (json.dumps(about, indent=2, sort_keys=True) + "\n").encode())
    return about


def describe(network: StoredNetwork) -> dict[str, Any]:
    """Say what a network is and where it comes from, JSON-able; nothing of a machine's folders."""
    config, record = network.config, network.record
    row = CORPORA.get(config.corpus.name)
    return {
        "format": FORMAT,
        "architecture": built_architecture(config).model_dump(mode="json"),
        "key": config.key(),
        "method": config.method,
        "sparsity": config.sparsity.level,
        "seed": config.seed,
        "epoch": record.epoch,
        "val_perplexity": record.metrics["val_perplexity"],
        "test_perplexity": record.metrics["test_perplexity"],
        "is_as_evaluated": network.is_as_evaluated,
        "code_version": record.provenance.code_version,
        "fingerprint": record.provenance.fingerprint,
        "corpus": {
            "name": config.corpus.name,
            "sha256": dict(facts(config.corpus).sha256),
            "licence": row.licence if row is not None else "unknown: a folder of the user's",
        },
    }


def read(folder: Path) -> Scorer:
    """Return the network of a folder, ready to score text.

    Raises:
        CorruptFileError: when a file is missing, damaged or does not fit the others.
    """
    try:
        about = json.loads((folder / NETWORK).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"{NETWORK} has format {about['format']!r}, must be {FORMAT}")
        words = Vocabulary(json.loads((folder / VOCABULARY).read_text(encoding="utf-8")))
        config = ARCHITECTURES[about["architecture"]["name"]].config.model_validate(about["architecture"])
        anything = torch.Generator().manual_seed(0)
        model = filled(build(config, len(words.words), anything), sparse_file.decode(str(folder / WEIGHTS)))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{folder}: holds no network: {str(error).splitlines()[0]}") from error
    return Scorer(model, words)
