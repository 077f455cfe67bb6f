"""What MLflow shows beside numbers: tables, figures, pictures, datasets, and the best network as a model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.tiny_sweep import SPEC, train_tiny_sweep

from orchestration import tracking_artifacts
from orchestration.registry import register
from orchestration.tracking import Projector
from orchestration.tracking_artifacts import ArtifactReport, Extent, stored_sweeps, write_artifacts
from orchestration.tracking_best import Best
from orchestration.tracking_server import TrackingServer
from orchestration.views import stored_views
from orchestration.wanted import Wanted, load
from results import names
from results.figures import registry
from results.tracking_store import connect
from selfish_core.data.corpora import load_once
from selfish_core.errors import CorpusError, TrackingError
from selfish_core.scoring.scorer import Scorer
from selfish_core.scoring.stored import load_best
from selfish_core.scoring.vocabulary import Vocabulary
from selfish_core.trial_store import TrialStore

Shown = tuple[TrialStore, Wanted, str]
PNG = b"\x89PNG\r\n"
IN_PARENT = {"tiny.yaml", "table.md", "table.csv", "table.json", "table.tex", "table.html", "figures/captions.md"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Shown:
    """A sweep that is over, all of it in MLflow."""
    folder = tmp_path_factory.mktemp("artifacts")
    store, wanted = train_tiny_sweep(folder)
    database = folder / "mlflow.db"
    database.write_bytes(template_database.read_bytes())
    uri = f"sqlite:///{database}"
    Projector(store, uri).project(stored_views(store))
    report = write_artifacts(store, uri, stored_sweeps(store), Extent())
    assert (report.num_sweeps, report.num_trials, report.num_left, report.problems) == (1, 2, 0, [])
    assert list(report.models) == ["tiny"]
    return store, wanted, uri


def runs(shown: Shown) -> tuple[Any, dict[str, Any]]:
    """The parent run, and the trials' by method."""
    store, _, uri = shown
    client = connect(uri)
    experiment = client.get_experiment_by_name(names.experiment_name(store.store_id))
    found = client.search_runs([experiment.experiment_id])
    parent = next(run for run in found if names.TAG_SWEEP in run.data.tags)
    return parent, {run.data.tags["method"]: run for run in found if names.TAG_KEY in run.data.tags}


def files(run: Any) -> dict[str, bytes]:
    root = Path(run.info.artifact_uri)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_parent_has_the_table_the_figures_and_the_spec(shown: Shown) -> None:
    found = files(runs(shown)[0])
    figures = {name for name in found if name.endswith(".png")}
    assert found.keys() - figures == IN_PARENT
    assert figures >= {"figures/learning-curves.png", "figures/gate-densities.png", "figures/layer-densities.png"}
    assert all(found[name].startswith(PNG) for name in figures)
    assert all(Path(name).name in found["figures/captions.md"].decode() for name in figures)
    assert found["tiny.yaml"] == shown[1].spec.text
    assert "schema_version" in json.loads(found["table.json"])
    assert found["table.html"].decode().startswith("<!doctype html>")


def test_the_parents_note_tells_what_the_sweep_is_and_has_its_table(shown: Shown) -> None:
    parent, _ = runs(shown)
    note = parent.data.tags[names.TAG_NOTE]
    assert note.startswith("**Sweep tiny**: two trials\n\n2 trials: 2 answered.")
    assert files(parent)["table.md"].decode() in note
    assert "viewStateShareKey=tiny.table" in note


def test_views_group_by_the_fields_of_the_table_and_by_seed(shown: Shown) -> None:
    store, _, uri = shown
    tags = connect(uri).get_experiment_by_name(names.experiment_name(store.store_id)).tags
    views = {key: json.loads(tags[f"mlflow.sharedViewState.tiny.{key}"]) for key in ("table", "seeds", "trials")}
    grouped = {
        key: view["groupBy"] and [one["groupByData"] for one in view["groupBy"]["groupByKeys"]]
        for key, view in views.items()
    }
    assert grouped == {"table": ["method", "sparsity.level"], "seeds": ["seed"], "trials": None}
    params = runs(shown)[1]["set"].data.params
    assert {"method", "sparsity.level", "seed"} <= params.keys(), "MLflow groups by what the runs have"


def test_a_trial_has_its_curve_its_config_and_gate_densities_where_they_change(shown: Shown) -> None:
    found = {method: files(run) for method, run in runs(shown)[1].items()}
    assert found["set"].keys() == {"config.json", "learning-curve.png", "gate-densities.png"}
    assert found["static"].keys() == {"config.json", "learning-curve.png"}
    assert all(pictures["learning-curve.png"].startswith(PNG) for pictures in found.values())
    assert {json.loads(pictures["config.json"])["method"] for pictures in found.values()} == {"set", "static"}


def test_a_trials_tags_are_what_one_groups_by(shown: Shown) -> None:
    store, wanted, _ = shown
    tags = runs(shown)[1]["set"].data.tags
    record = store.trial(wanted.trials[1].key).records()[0]
    told = {name: tags[name] for name in ("method", "sparsity", "seed", "architecture", "corpus", "optimizer")}
    assert told == {
        "method": "set",
        "sparsity": "0.5",
        "seed": "1",
        "architecture": "stacked_lstm",
        "corpus": "synthetic",
        "optimizer": "sgd",
    }
    fingerprint = sorted(f"{name}={value}" for name, value in record.provenance.fingerprint.items())
    assert tags["selfish.fingerprint"] == ";".join(fingerprint)


def test_the_corpus_is_a_dataset_of_every_trial(shown: Shown) -> None:
    for run in runs(shown)[1].values():
        (read,) = run.inputs.dataset_inputs
        profile = json.loads(read.dataset.profile)
        assert read.dataset.name == "synthetic, 0.05 of train"
        assert len(read.dataset.digest) == 12
        assert (profile["num_tokens_train"], profile["num_tokens_valid"]) == (3000, 8000)
        assert profile["vocabulary_size"] == 507
        assert [(tag.key, tag.value) for tag in read.tags] == [("mlflow.data.context", "training")]


def everything(shown: Shown) -> Any:
    parent, trials = runs(shown)
    stamps = {
        path: path.stat().st_mtime_ns
        for run in (parent, *trials.values())
        for path in Path(run.info.artifact_uri).rglob("*")
    }
    models = connect(shown[2]).search_logged_models([parent.info.experiment_id])
    inputs = [len(run.inputs.dataset_inputs) for run in trials.values()]
    return (
        stamps,
        parent.data.tags,
        [run.data.tags for run in trials.values()],
        [one.model_id for one in models],
        inputs,
    )


def test_a_second_time_changes_nothing(shown: Shown) -> None:
    store, _, uri = shown
    before = everything(shown)
    Projector(store, uri).project(stored_views(store))
    report = write_artifacts(store, uri, stored_sweeps(store), Extent())
    assert (report.num_sweeps, report.num_trials, report.models, report.problems) == (0, 0, {}, [])
    assert everything(shown) == before


@pytest.fixture
def model(shown: Shown) -> Any:
    import mlflow

    parent, _ = runs(shown)
    (output,) = parent.outputs.model_outputs
    mlflow.set_tracking_uri(shown[2])
    return mlflow.pyfunc.load_model(f"models:/{output.model_id}")


def test_the_best_network_is_a_model_that_scores_text(shown: Shown, model: Any) -> None:
    store, wanted, uri = shown
    (logged,) = connect(uri).search_logged_models([runs(shown)[0].info.experiment_id])
    best = min(
        (load_best(store.trial(trial.key)) for trial in wanted.trials),
        key=lambda network: network.record.metrics["val_perplexity"],
    )
    assert str(logged.status) == "READY"
    assert (logged.tags["key"], logged.tags["rank"]) == (best.config.key(), "1 of 2 by validation perplexity")
    words = load_once(best.config.corpus, None).vocabulary
    sentence = " ".join(word for word in words[:7] if word != "<eos>")
    import torch

    oracle = Scorer(best.model(torch.device("cpu")), Vocabulary(words)).score(sentence)
    found = model.predict([sentence, words[1]])
    assert found["log_likelihood_nats"][0] == oracle.log_likelihood
    assert found["perplexity"][0] == math.exp(-oracle.log_likelihood / oracle.num_tokens)
    assert list(found["num_tokens"]) == [oracle.num_tokens, 2]
    assert model.predict(pd.DataFrame({"text": [sentence, words[1]]})).equals(found)
    next_words = model.predict([sentence], params={"task": "next_words", "top_k": 3})
    assert len(next_words["next_words"][0]) == len(next_words["probabilities"][0]) == 3


def test_the_model_is_code_and_safetensors_without_pickle(shown: Shown, model: Any) -> None:
    root = Path(connect(shown[2]).search_logged_models([runs(shown)[0].info.experiment_id])[0].artifact_location)
    endings = {path.suffix for path in root.rglob("*") if path.is_file()}
    assert {".pkl", ".pickle", ".pt", ".bin"}.isdisjoint(endings)
    assert "loader_module: mlflow.pyfunc.loaders.code_model" in (root / "MLmodel").read_text()
    assert (root / "code" / "selfish_core" / "scoring" / "scorer.py").is_file()
    network = json.loads((root / "artifacts" / "network" / "network.json").read_text())
    assert network["corpus"]["licence"] == "none needed: generated by Selfish"


def test_another_task_is_refused_by_name(model: Any) -> None:
    from selfish_core.errors import InputError

    with pytest.raises(InputError, match="unknown task 'scores': known are next_words, score; did you mean 'score'"):
        model.predict(["a"], params={"task": "scores"})


@pytest.fixture
def recorded(store: TrialStore, tracking_uri: str, tmp_path: Path) -> Shown:
    """The same sweep with records alone, as after an import."""
    from conftest import make_record

    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    wanted = load(str(path))
    register(wanted.spec, wanted.trials, store)
    for trial in wanted.trials:
        attempt = store.trial(trial.key).claim(None, "test")
        for epoch in (1, 2, 3):
            attempt.write_record(make_record(trial.key, epoch))
    return store, wanted, tracking_uri


def project(shown: Shown) -> None:
    Projector(shown[0], shown[2]).project(stored_views(shown[0]))


def test_without_checkpoints_there_is_no_model_and_no_complaint(recorded: Shown) -> None:
    project(recorded)
    report = write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent())
    assert (report.num_sweeps, report.num_trials, report.models, report.problems) == (1, 2, {}, [])


def test_pictures_of_many_trials_are_left_to_sync(recorded: Shown) -> None:
    project(recorded)
    sweeps = stored_sweeps(recorded[0])
    report = write_artifacts(recorded[0], recorded[2], sweeps, Extent(max_trials=1))
    assert (report.num_sweeps, report.num_trials, report.num_left) == (1, 0, 2)
    report = write_artifacts(recorded[0], recorded[2], sweeps, Extent())
    assert (report.num_sweeps, report.num_trials, report.num_left) == (0, 2, 0)


def test_a_figure_that_fails_is_a_warning_and_the_others_are_there(
    recorded: Shown, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError("a fault of ours")

    kind = replace(registry.FIGURES["explored-fraction"], build=fail)
    monkeypatch.setattr(registry, "FIGURES", {**registry.FIGURES, "explored-fraction": kind})
    project(recorded)
    write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent())
    assert "no figure explored-fraction of tiny: KeyError" in caplog.text
    assert "figures/learning-curves.png" in files(runs(recorded)[0])


def test_a_sweep_that_runs_is_left_alone(recorded: Shown) -> None:
    project(recorded)
    with recorded[0].sweep("tiny").owned():
        report = write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent())
    assert (report.num_sweeps, report.num_trials) == (0, 0)


def test_other_records_get_other_pictures_and_another_table(
    recorded: Shown, make_record: Any, make_metrics: Any
) -> None:
    store, wanted, uri = recorded
    project(recorded)
    write_artifacts(store, uri, stored_sweeps(store), Extent())
    before = files(runs(recorded)[1]["set"])["learning-curve.png"]
    attempt = store.trial(wanted.trials[1].key).claim(None, "again")
    attempt.write_record(make_record(wanted.trials[1].key, 1, 2))
    project(recorded)
    note = runs(recorded)[0].data.tags[names.TAG_NOTE]
    assert "1 answered, 1 unfinished" in note
    assert "## Table" not in note
    for epoch in (2, 3):
        better = make_metrics(epoch, val_perplexity=50.0, test_perplexity=51.0)
        attempt.write_record(make_record(wanted.trials[1].key, epoch, 2, **better))
    project(recorded)
    report = write_artifacts(store, uri, stored_sweeps(store), Extent())
    assert (report.num_sweeps, report.num_trials) == (1, 1)
    assert "51.00" in runs(recorded)[0].data.tags[names.TAG_NOTE]
    assert files(runs(recorded)[1]["set"])["learning-curve.png"] != before


def test_artifacts_that_cannot_be_written_are_one_line(recorded: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    project(recorded)

    def refuse(*_: object) -> None:
        raise TrackingError("MLflow at there: no space left")

    monkeypatch.setattr(TrackingServer, "log_files", refuse)
    report = write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent())
    assert report.problems == ["MLflow at there: no space left"]
    monkeypatch.undo()
    assert write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent()).num_sweeps == 1


def test_a_corpus_that_is_not_there_costs_the_model_alone(recorded: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(Best):
        def load(self, store: TrialStore, data: Path | None) -> Any:
            raise CorpusError("corpus ptb: train.txt missing")

    key = recorded[1].trials[0].key
    monkeypatch.setattr(tracking_artifacts, "best_kept", lambda evidence, store: Missing(key, 3, 1, 2))
    project(recorded)
    report = write_artifacts(recorded[0], recorded[2], stored_sweeps(recorded[0]), Extent())
    assert report.problems == ["tiny: its best model is not in MLflow: corpus ptb: train.txt missing"]
    assert (report.num_sweeps, report.num_trials) == (1, 2)


def test_a_table_that_is_too_long_for_a_note_is_left_to_the_artifact() -> None:
    from orchestration.tracking_text import with_table, without_table

    note = with_table("**Sweep x**\n", "| a |\n" * 5000)
    assert len(note) <= names.MAX_TAG_CHARS
    assert "table.html" in note
    assert without_table(note) == "**Sweep x**\n"


def test_a_report_says_in_lines_what_was_done() -> None:
    report = ArtifactReport(num_sweeps=1, num_trials=2, num_left=3, models={"tiny": "m-1"}, problems=["no space"])
    assert report.lines() == [
        "MLflow has tables and figures of 1 sweep; pictures of 2 trials; best model of tiny: models:/m-1",
        "pictures of 3 trials are left to `selfish sync`",
        "warning: no space",
    ]
    assert ArtifactReport().lines() == []


def test_a_database_without_a_server_gets_no_files(recorded: Shown) -> None:
    (told,) = write_artifacts(recorded[0], "postgresql://nobody@127.0.0.1:9/none", [], Extent()).problems
    assert told.startswith("a database without a server keeps no artifacts")
