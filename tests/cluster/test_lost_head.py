"""A sweep on a Ray of its own loses the head's process, and ends as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import psutil
import pytest
from support.clusters import Place
from support.ray_nodes import wait_until

from selfish_core.trial_store import TrialStore

pytestmark = pytest.mark.cluster

EPOCHS = 6
SPEC = f"""\
name: headless
base:
  corpus: {{name: synthetic, train_fraction: 0.5}}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 32, embedding_size: 32}}
  sparsity: {{level: 0.5}}
  optimizer: {{learning_rate: 5.0}}
  training: {{batch_size: 10, bptt_length: 20, eval_batch_size: 10}}
epochs: {EPOCHS}
axes:
  - grid: {{method: [selfish, static]}}
seeds: [1]
"""


def test_the_head_of_an_embedded_cluster_is_lost(tmp_path: Path) -> None:
    undisturbed, place = (make_place(tmp_path / name) for name in ("undisturbed", "place"))
    undisturbed.call("train", "headless.yaml", "--device", "cpu")

    run = place.start("run", "headless.yaml", "--no-pictures")
    wait_until(lambda: num_recorded(place) >= 2, 120)
    workers, [head] = below(run, "Trainable"), below(run, "gcs_server")
    assert workers != []
    for worker in workers:
        worker.suspend()  # else the sweep might end before the loss is noticed
    head.kill()
    table, told = run.communicate(timeout=240)
    assert run.returncode == 0, told
    assert re.search(r"the driver died; starting it again \(\d of 3\)", told)

    assert table == undisturbed.call("table", "headless.yaml")
    assert place.science() == undisturbed.science()
    store = TrialStore.open(place.store)
    trials = [store.trial(key) for key in sorted(store.keys())]
    assert [trial.key for trial in trials for epoch in range(1, EPOCHS + 1) if trial.superseded(epoch)] == []
    assert store.problems() == []


def make_place(folder: Path) -> Place:
    folder.mkdir()
    (folder / "headless.yaml").write_text(SPEC)
    return Place.make(folder)


def num_recorded(place: Place) -> int:
    return len(list(Path(place.store).glob("trials/*/attempts/*/records/*.json")))


def below(run: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    """Return the processes below a command whose own names hold a text."""
    found = []
    for process in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if name in process.cmdline()[0]:
                found.append(process)
    return found
