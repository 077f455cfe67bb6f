"""A sweep over a text of one's own: trained, listed, and refused once the text is another one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

SPEC = """\
name: mine
base:
  corpus: {name: folder, path: my-text}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {learning_rate: 1}
  training: {batch_size: 2, bptt_length: 5, eval_batch_size: 2}
epochs: 1
axes:
  - list: [{method: static, sparsity: 0.5}]
seeds: [1]
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "specs" / "my-text").mkdir(parents=True)
    (tmp_path / "specs" / "mine.yaml").write_text(SPEC)
    for split in ("train", "valid", "test"):
        lines = (f"the cat {number % 9} sat on the mat" for number in range(40))
        (tmp_path / "specs" / "my-text" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "specs" / "my-text"


def test_it_trains_and_is_listed_from_anywhere(selfish: Command, text: Path) -> None:
    done = selfish("train", "specs/mine.yaml", "--device", "cpu")
    assert (done.returncode, done.stderr.count("val perplexity")) == (0, 1), done.stderr
    assert "mine   1/1" in selfish("list").stdout
    text.rename(text.with_name("moved"))
    assert "mine   1/1" in selfish("list").stdout
    assert "1 trial shown" in selfish("sync").stderr


def test_a_text_that_changed_between_runs_is_refused(selfish: Command, text: Path) -> None:
    assert selfish("train", "specs/mine.yaml", "--device", "cpu").returncode == 0
    with (text / "train.txt").open("a") as file:
        file.write("one line more\n")
    again = selfish("train", "specs/mine.yaml", "--device", "cpu")
    assert again.returncode == 2
    assert "train.txt has sha256" in again.stderr
    assert "sweep 'mine' was trained on" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_refused_run_leaves_no_sweep_behind(selfish: Command, tmp_path: Path) -> None:
    refused = selfish("train", "ptb-cpu", "--data", str(tmp_path / "nowhere"))
    assert refused.returncode == 2
    assert "0 sweeps, 0 trials" in selfish("list").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "cuda"), "device 'cuda': this machine has no GPU that torch can use: take cpu or auto"),
        (("--device", "tpu"), "unknown device 'tpu': known are auto, cpu, cuda; did you mean 'cpu'?"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    arguments: tuple[str, ...], said: str, selfish: Command, tiny: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    refused = selfish("train", "tiny.yaml", *arguments)
    assert (refused.returncode, refused.stderr) == (2, f"error: {said}\n")


def test_train_refuses_what_the_machine_does_not_have(selfish: Command, tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + "resources: {cpu: 1024}\n")
    refused = selfish("train", "tiny.yaml")
    assert refused.returncode == 2
    assert "a trial asks for 1024, this machine has" in refused.stderr


def test_an_archive_that_is_none_is_wrong_input(selfish: Command, tiny: Path) -> None:
    assert selfish("import", "tiny.yaml").returncode == 2


def test_doctor_compares_a_corpus_with_its_checksums(selfish: Command, tmp_path: Path) -> None:
    (tmp_path / "data" / "ptb").mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (tmp_path / "data" / "ptb" / f"{split}.txt").write_text("not the treebank\n")
    found = selfish("doctor", "--data", "data")
    assert found.returncode == 1
    assert "damaged" in found.stdout
    assert "sha256" in found.stdout
