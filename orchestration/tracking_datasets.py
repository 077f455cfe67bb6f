"""Corpora as MLflow's datasets, from what the catalogue knows of them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from selfish_core.catalogue.corpora import CORPORA, CorpusConfig, FolderCorpusConfig, facts


@dataclass(frozen=True)
class Dataset:
    """A corpus as MLflow shows datasets.

    Args:
        name: of the corpus, with the share of the training text where not all of it is used.
        digest: 12 hex digits, as tables show them.
        source_type: `http`, `local` or `code`.
        source: JSON: where the text comes from.
        schema: JSON: one column of text.
        profile: JSON: counts and checksums.
    """

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str


def dataset_of(corpus: CorpusConfig) -> Dataset:
    """Describe a trial's corpus from what the catalogue knows of it; no file of it is read."""
    known = facts(corpus)
    is_whole = corpus.train_fraction == 1.0
    row = CORPORA.get(corpus.name)
    profile = {
        **{f"num_tokens_{split}": number for split, number in known.num_tokens.items()},
        "vocabulary_size": known.vocabulary_size,
        **{f"sha256_{split}": digest for split, digest in known.sha256.items()},
        **({"licence": row.licence, "published_in": row.source} if row is not None else {}),
    }
    source_type, source = _source(corpus)
    return Dataset(
        name=corpus.name if is_whole else f"{corpus.name}, {corpus.train_fraction:g} of train",
        digest=known.digest,
        source_type=source_type,
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": [{"type": "string", "name": "text", "required": True}]}),
        profile=json.dumps(profile),
    )


def _source(corpus: CorpusConfig) -> tuple[str, dict[str, str]]:
    """Return where a corpus comes from, in the form of MLflow's dataset sources."""
    if isinstance(corpus, FolderCorpusConfig):
        return "local", {"uri": corpus.path}
    row = CORPORA[corpus.name]
    urls = (*row.archive_urls, *row.files["train"].urls)
    return ("http", {"url": urls[0]}) if urls else ("code", {"source": row.source})
