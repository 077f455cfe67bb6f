"""A sweep's best network as an MLflow model of its parent run: models from code, safetensors, JSON; no pickle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import pyfunc
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model

import selfish_core
from orchestration.mlflow_model import __file__ as _MODEL_FOLDER
from orchestration.tracking_best import Best
from selfish_core.catalogue.corpora import EOS, UNK
from selfish_core.data.corpora import Corpus
from selfish_core.scoring import network_folder
from selfish_core.scoring.stored import StoredNetwork

CODE = Path(_MODEL_FOLDER).with_name("scorer.py")
MODEL_NAME = "best"
TAG_OF = "selfish.model_of"
"""Of the model: which network it is, so that the same one is not logged twice."""

REQUIRED = (
    *("mlflow", "torch", "numpy", "pandas", "scipy"),
    *("pydantic", "safetensors", "filelock", "platformdirs", "requests"),
)
"""What the model's code imports; `selfish_core` itself lies in the model."""


def log_best(
    client: Any, experiment_id: str, run_id: str, of: str, best: Best, network: StoredNetwork, corpus: Corpus
) -> str:
    """Log a network as a model of a run, if it is not there yet, and return the model's id.

    Args:
        client: `MlflowClient`.
        experiment_id: of the run.
        run_id: of the sweep's parent run.
        of: names the network in a tag of the model.
        best: which trial it is of.
        network: of that trial.
        corpus: that it was trained on; its vocabulary goes into the model.
    """
    for model in client.search_logged_models([experiment_id], filter_string=f"tags.`{TAG_OF}` = '{of}'"):
        if model.source_run_id == run_id:
            if str(model.status) == "READY":
                return str(model.model_id)
            client.delete_logged_model(model.model_id)
    with tempfile.TemporaryDirectory() as folder:
        about = network_folder.write(Path(folder, "network"), network, corpus)
        tags = {TAG_OF: of, **_told(about), "rank": f"{best.rank} of {best.num_trials} by validation perplexity"}
        model = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id, tags=tags)
        metadata = Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
            metadata={"selfish": about},
        )
        words = [word for word in corpus.vocabulary if word not in (EOS, UNK)]
        _save(Path(folder), metadata, " ".join(words[:5]))
        client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


def _save(folder: Path, metadata: Model, example: str) -> None:
    """Save the network of a folder as a model beside it; MLflow tries it on the example."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    pyfunc.save_model(
        path=str(folder / "model"),
        python_model=str(CODE),
        artifacts={"network": str(folder / "network")},
        code_paths=[str(Path(selfish_core.__file__).parent)],
        pip_requirements=[f"{name}=={_release(name)}" for name in REQUIRED],
        input_example=([example], {"task": "score", "top_k": 5}),
        mlflow_model=metadata,
    )


def _release(name: str) -> str:
    """Return the installed version without what a private build adds to it, as `+cu128`."""
    return version(name).partition("+")[0]


def _told(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what a reader of MLflow's list of models wants to see."""
    told = {name: str(about[name]) for name in ("key", "method", "sparsity", "seed", "epoch")}
    told |= {name: f"{about[name]:.2f}" for name in ("val_perplexity", "test_perplexity")}
    return told | {"corpus": about["corpus"]["name"], "licence of the vocabulary's corpus": about["corpus"]["licence"]}
