"""The code of a sweep's best model in MLflow: `mlflow.pyfunc.load_model` runs this file; nothing is unpickled.

    model = mlflow.pyfunc.load_model("models:/m-…")
    model.predict(["the cat sat on the mat"])
    model.predict(["the cat sat on"], params={"task": "next_words", "top_k": 5})

Each sentence is scored by itself, from a hidden state of zero; words that the network has not learnt are read as
`<unk>`. The network comes from the artifact `network`, its code from the package `selfish_core` beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from selfish_core.errors import InputError, unknown_name
from selfish_core.scoring import network_folder
from selfish_core.scoring.scorer import Scorer

TASKS = ("score", "next_words")


class SentenceModel(PythonModel):  # type: ignore[misc]  # mlflow has no annotations that mypy follows
    """Score sentences, or say which words may come next."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the network."""
        self._scorer = network_folder.read(Path(context.artifacts["network"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow hands it over
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answer one row for each sentence.

        Args:
            context: MLflow's.
            model_input: sentences; MLflow takes a frame with one column of them too.
            params: `task`: `score` (perplexity, log-likelihood in nats, tokens and unknown words) or `next_words`
                (words and their probabilities); `top_k`: how many next words, ≥ 1.

        Raises:
            InputError: for another task, or a sentence that cannot be read.
        """
        asked = {"task": TASKS[0], "top_k": 5, **(params or {})}
        if asked["task"] == "score":
            return _scores(self._scorer, model_input)
        if asked["task"] == "next_words":
            return _next_words(self._scorer, model_input, int(asked["top_k"]))
        raise InputError(unknown_name("task", asked["task"], TASKS))


def _scores(scorer: Scorer, sentences: list[str]) -> pd.DataFrame:
    scores = [scorer.score(sentence) for sentence in sentences]
    return pd.DataFrame(
        {
            "perplexity": [score.perplexity for score in scores],
            "log_likelihood_nats": [score.log_likelihood for score in scores],
            "num_tokens": [score.num_tokens for score in scores],
            "num_unknown": [score.num_unknown for score in scores],
        }
    )


def _next_words(scorer: Scorer, beginnings: list[str], top_k: int) -> pd.DataFrame:
    found = [scorer.next_words(beginning, top_k) for beginning in beginnings]
    return pd.DataFrame(
        {
            "next_words": [[word for word, _ in row] for row in found],
            "probabilities": [[probability for _, probability in row] for row in found],
        }
    )


set_model(SentenceModel())
