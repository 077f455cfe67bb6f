"""A sweep that loses a worker node, and then the head with all that ran there, ends as one that nobody disturbed."""

from __future__ import annotations

from collections import Counter

import pytest
from mlflow import MlflowClient
from support.clusters import Cluster, Place
from support.ray_nodes import wait_until

from results import names
from selfish_core.trial_store import TrialStore

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]

EPOCHS = 12
NUM_TRIALS = 8
SPEC = f"""\
name: lost
description: two methods, two rates, two seeds
base:
  corpus: {{name: synthetic, train_fraction: 0.5}}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 32, embedding_size: 32}}
  sparsity: {{level: 0.5}}
  training: {{batch_size: 10, bptt_length: 20, eval_batch_size: 10}}
epochs: {EPOCHS}
axes:
  - grid: {{method: [selfish, static], optimizer.learning_rate: [5.0, 2.5]}}
seeds: [1, 2]
table: {{rows: method, columns: optimizer.learning_rate, metric: test_perplexity}}
"""
FORMATS = ("json", "csv", "text")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The same sweep, run on one machine with a local store."""
    place = Place.make(tmp_path_factory.mktemp("undisturbed"))
    (place.folder / "lost.yaml").write_text(SPEC)
    place.call("run", "lost.yaml", "--no-pictures")
    return place


def test_a_sweep_loses_a_worker_and_then_the_head(undisturbed: Place, cluster: Cluster) -> None:
    nodes, place = cluster.nodes, cluster.place
    (place.folder / "lost.yaml").write_text(SPEC)
    check_a_wrong_token_is_refused(cluster)

    cluster.submit("lost.yaml")
    lost = wait_until(lambda: trial_on(cluster, "worker-1"), 120)
    nodes.kill("worker-1")
    num_before = cluster.num_epochs()
    assert num_before[lost] < EPOCHS
    wait_until(lambda: len(nodes.alive()) == 2, 30)
    wait_until(lambda: cluster.num_epochs().total() >= num_before.total() + 8, 60)

    num_before = cluster.num_epochs()
    nodes.kill_head()
    assert num_before.total() < NUM_TRIALS * EPOCHS / 2, "the sweep was too short to be disturbed twice"
    nodes.restart()
    job = cluster.submit("lost.yaml")
    wait_until(lambda: cluster.has_ended(job), 240, lambda: cluster.log(job))

    for format_name in FORMATS:
        words = ("table", "lost.yaml", "--format", format_name)
        assert place.call(*words) == undisturbed.call(*words)
    assert place.science() == undisturbed.science()
    check_no_epoch_was_trained_again(cluster, lost)
    check_mlflow_shows_each_epoch_once(place)


def trial_on(cluster: Cluster, name: str) -> str:
    """Return the key of the trial that a node is in the middle of; empty where there is none."""
    store = TrialStore.open(cluster.place.store)
    for key, num_epochs in cluster.num_epochs().items():
        newest = store.trial(key).attempts()[-1]
        if 2 <= num_epochs <= EPOCHS - 4 and cluster.nodes.nodes[name].ran(newest.host, newest.pid):
            return key
    return ""


def check_a_wrong_token_is_refused(cluster: Cluster) -> None:
    process = cluster.place.start("submit", "lost.yaml", *cluster.jobs, RAY_AUTH_TOKEN="0" * 64)
    out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    [line] = [line for line in told.splitlines() if not line.startswith("warning: the password")]
    assert line.startswith("error: ")
    assert "token" in line
    assert cluster.nodes.ask("/api/jobs/") == []


def check_no_epoch_was_trained_again(cluster: Cluster, lost: str) -> None:
    """Of all records that were ever sent, by whatever attempt, there is one for each epoch of each trial."""
    recorded = cluster.recorded()
    assert len(recorded) == NUM_TRIALS * EPOCHS
    assert set(Counter((key, epoch) for key, _, epoch in recorded).values()) == {1}
    store = TrialStore.open(cluster.place.store)
    num_attempts = {key: len(store.trial(key).attempts()) for key, _, _ in recorded}
    num_disturbed = 1 + 2  # one trial on the worker; when the head was killed, one on each of two nodes
    assert NUM_TRIALS < sum(num_attempts.values()) <= NUM_TRIALS + num_disturbed
    assert num_attempts[lost] >= 2
    assert store.problems() == []


def check_mlflow_shows_each_epoch_once(place: Place) -> None:
    store = TrialStore.open(place.store)
    client = MlflowClient(place.tracking_uri)
    experiment = client.get_experiment_by_name(names.experiment_name(store.store_id))
    runs = [run for run in client.search_runs([experiment.experiment_id]) if names.TAG_KEY in run.data.tags]
    assert sorted(run.data.tags[names.TAG_KEY] for run in runs) == store.keys()
    for run in runs:
        history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        steps = {name: sorted(point.step for point in points) for name, points in history.items()}
        assert steps[names.in_mlflow("val_perplexity")] == list(range(1, EPOCHS + 1))
        assert {name: found for name, found in steps.items() if found != sorted(set(found))} == {}
