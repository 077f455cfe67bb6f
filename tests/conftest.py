"""Fixtures that more than one package's tests use: tiny trials to train, and records and stores made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import cases

from selfish_core.config import TrialConfig
from selfish_core.data.corpora import Corpus
from selfish_core.records import METRICS, Provenance, Record, Timing
from selfish_core.resolve import resolve
from selfish_core.trial_store import TrialStore

pytest_plugins = ["support.s3"]

MakeTrial = Callable[..., TrialConfig]
STARTED_MS = 1_700_000_000_000


@pytest.fixture(scope="session")
def corpus_folder() -> Path:
    """The folder with ptb/ and wikitext-2/; skips, visibly, where it is absent."""
    folder = Path(os.environ.get("SELFISH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "ptb" / "train.txt").exists():
        pytest.skip(f"no corpora in {folder}; set SELFISH_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_trial() -> MakeTrial:
    """Make a trial with 30 words and 8 hidden units, six epochs long; averaging starts at once where it can."""
    return cases.tiny_trial


@pytest.fixture(scope="session")
def tiny_corpus() -> Corpus:
    generator = np.random.default_rng(7)
    draw = {split: generator.integers(0, cases.VOCABULARY_SIZE, size) for split, size in cases.NUM_TOKENS.items()}
    return Corpus(name="folder", vocabulary=tuple(f"w{index}" for index in range(cases.VOCABULARY_SIZE)), **draw)


@dataclass(frozen=True)
class Trial:
    config: TrialConfig
    epochs: int
    point: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.config.key()


def make_trial(method: str = "static", sparsity: float = 0.5, seed: int = 1, epochs: int = 3, **parts: Any) -> Trial:
    raw: dict[str, Any] = {
        "method": method,
        "corpus": "synthetic",
        "architecture": {"name": "stacked_lstm", "num_layers": 1, "hidden_size": 20, "embedding_size": 20},
        "optimizer": {"name": "sgd", "learning_rate": 1.0},
        "seed": seed,
        **({} if method == "dense" else {"sparsity": sparsity}),
        **parts,
    }
    return Trial(resolve(raw, epochs=epochs), epochs, {"method": method, "sparsity": sparsity})


def make_metrics(epoch: int, seed: int = 1, **changed: float) -> dict[str, float]:
    """Everything that a record always has; validation falls until epoch 3."""
    metrics = {row.name: float(epoch) for row in METRICS if row.is_always_there}
    metrics |= {"val_perplexity": 100.0 + seed - 7 * min(epoch, 3), "is_averaging": float(epoch >= 2)}
    metrics |= {"test_perplexity": 110.0 + seed - 7 * epoch} if epoch <= 3 else {}
    metrics |= {"training_flops": 1e9 * epoch, "num_active_parameters": 1200.0, "sparsity": 0.5}
    metrics |= {"best_possible_test_perplexity": 31.25, "gate_density.0.input": 0.4 + 0.1 / epoch}
    return metrics | changed


def make_record(key: str, epoch: int, attempt: int = 1, outcome: str = "trained", **metrics: float) -> Record:
    timing = Timing(
        started_ms=STARTED_MS + 1000 * epoch + 100_000 * attempt,
        finished_ms=STARTED_MS + 1000 * epoch + 900 + 100_000 * attempt,
        tokens_per_second=1.0,
    )
    return Record.model_validate(
        {
            "key": key,
            "attempt": attempt,
            "epoch": epoch,
            "outcome": outcome,
            "metrics": metrics or make_metrics(epoch),
            "message": "step 3: loss is nan" if outcome == "diverged" else "",
            "is_provisional": True,
            "provenance": Provenance(code_version="abc", fingerprint={"torch": "2"}),
            "timing": timing,
        }
    )


def fill(store: TrialStore, trial: Trial, num_epochs: int, diverges: bool = False, **changed: float) -> None:
    """Let a new attempt record epochs 1 to num_epochs."""
    attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
    seed = trial.config.seed
    for epoch in range(1, num_epochs + 1):
        outcome = "diverged" if diverges and epoch == num_epochs else "trained"
        metrics = make_metrics(epoch, seed, **changed)
        attempt.write_record(make_record(trial.key, epoch, attempt.number, outcome, **metrics))


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore.open(tmp_path / "store")


@pytest.fixture(name="make_trial")
def make_trial_fixture() -> Callable[..., Trial]:
    return make_trial


@pytest.fixture(name="make_metrics")
def make_metrics_fixture() -> Callable[..., dict[str, float]]:
    return make_metrics


@pytest.fixture(name="make_record")
def make_record_fixture() -> Callable[..., Record]:
    return make_record


@pytest.fixture(name="fill")
def fill_fixture() -> Callable[..., None]:
    return fill


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new MLflow database, made once; copies of it spare each test 2 s."""
    from results.tracking_store import connect

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{path}", may_create=True)
    return path


@pytest.fixture
def tracking_uri(tmp_path: Path, template_database: Path) -> str:
    path = tmp_path / "tracking" / "mlflow.db"
    path.parent.mkdir()
    path.write_bytes(template_database.read_bytes())
    return f"sqlite:///{path}"
