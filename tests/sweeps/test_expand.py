"""A spec becomes its trials: which ones, in which order, and who is to blame where one is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfish_core.errors import InputError
from sweeps import spec
from sweeps.expand import MAX_TRIALS, Expansion, expand

Expand = Callable[[str], Expansion]


def points(expansion: Expansion) -> list[list[object]]:
    return [[*trial.point.values(), trial.config.seed] for trial in expansion]


def test_no_axes_is_one_point(expanded: Expand) -> None:
    trials = expanded("axes: [{list: [{method: dense}]}]")
    assert [(trial.config.method, trial.config.seed) for trial in trials] == [("dense", 1), ("dense", 2)]


def test_a_trial_is_complete(expanded: Expand) -> None:
    trial = expanded("resources: {cpu: 2}\naxes: [{list: [{method: set, sparsity: 0.5}]}]")[1]
    assert (trial.key, trial.epochs, trial.resources) == (trial.config.key(), 4, spec.Resources(cpu=2))
    assert trial.point == {"method": "set", "sparsity": 0.5}
    assert trial.config.seed == 2
    assert trial.config.sparsity.horizon_epochs == 4


def test_grid_is_every_combination_and_seeds_are_the_innermost(expanded: Expand) -> None:
    trials = expanded("axes: [{grid: {method: [set, static], sparsity: [0.5, 0.8]}}]")
    assert points(trials) == [
        [method, sparsity, seed] for method in ("set", "static") for sparsity in (0.5, 0.8) for seed in (1, 2)
    ]


def test_zip_is_side_by_side(expanded: Expand) -> None:
    trials = expanded("axes: [{grid: {method: [set]}, zip: {sparsity: [0.5, 0.8], training.batch_size: [10, 20]}}]")
    assert points(trials) == [["set", 0.5, 10, 1], ["set", 0.5, 10, 2], ["set", 0.8, 20, 1], ["set", 0.8, 20, 2]]


def test_a_block_is_the_product_of_its_parts(expanded: Expand) -> None:
    trials = expanded(
        "axes: [{grid: {architecture.dropout: [0, 0.1]}, zip: {optimizer.learning_rate: [1, 2], training.bptt_length: "
        "[5, 6]}, list: [{method: dense}, {method: set, sparsity: 0.5}]}]"
    )
    assert len(trials) == 2 * 2 * 2 * 2


def test_blocks_follow_one_another(expanded: Expand) -> None:
    trials = expanded("axes: [{list: [{method: dense}]}, {grid: {method: [set], sparsity: [0.5]}}]")
    assert points(trials) == [["dense", 1], ["dense", 2], ["set", 0.5, 1], ["set", 0.5, 2]]


def test_an_axis_overrides_one_field_of_the_base(expanded: Expand) -> None:
    trials = expanded("axes: [{list: [{method: dense, architecture.hidden_size: 8, optimizer: sgd}]}]")
    config = trials[0].config
    assert (config.architecture.hidden_size, config.architecture.embedding_size) == (8, 16)
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("sgd", 1.0)


def test_exclusions_look_at_what_a_trial_will_be(expanded: Expand) -> None:
    axes = "axes: [{grid: {method: [static, set, selfish], sparsity: [0.5, 0.8]}}]\n"

    def left(exclusion: str) -> list[list[object]]:
        return points(expanded(f"{axes}exclude: [{exclusion}]"))

    everything = points(expanded(axes))
    assert left("{method: set, sparsity: 0.8}") == [point for point in everything if point[:2] != ["set", 0.8]]
    assert left("{sparsity: 0.8, seed: 2}") == [point for point in everything if point[1:] != [0.8, 2]]
    # values that nobody wrote: of the method's row, of its optimizer, of a class
    assert left("{sparsity.regrowth: random}") == [point for point in everything if point[0] == "static"]
    assert left("{optimizer: snt_asgd}") == [point for point in everything if point[0] != "selfish"]
    assert left("{training.batch_size: 20, method: set}") == [point for point in everything if point[0] != "set"]


def test_an_excluded_trial_need_not_be_possible(expanded: Expand) -> None:
    trials = expanded(
        "axes: [{grid: {method: [dense, set], sparsity: [0.0, 0.5]}}]\n"
        "exclude: [{method: dense, sparsity: 0.5}, {method: set, sparsity: 0}]"
    )
    assert points(trials) == [["dense", 0.0, 1], ["dense", 0.0, 2], ["set", 0.5, 1], ["set", 0.5, 2]]


def test_true_is_not_one_in_an_exclusion(expanded: Expand) -> None:
    trials = expanded(
        "axes: [{list: [{method: set, sparsity: 0.5, optimizer.learning_rate: 1}]}]\n"
        "exclude: [{architecture.is_tied: true}]"
    )
    assert len(trials) == 2
    assert trials.notes[0].endswith(":9: this exclusion leaves out no trial")


def test_duplicates_collapse_with_a_note(expanded: Expand, tmp_path: Path) -> None:
    trials = expanded(
        "axes:\n  - grid:\n      method: [set]\n      sparsity: [0.5]\n  - list:\n"
        "      - {method: set, sparsity: 0.50}\n      - {method: rigl, sparsity: 0.5}"
    )
    assert points(trials) == [["set", 0.5, 1], ["set", 0.5, 2], ["rigl", 0.5, 1], ["rigl", 0.5, 2]]
    assert trials.notes == (f"{tmp_path}/spec.yaml:13: 2 trials mean the same as one before: each runs once",)


def test_an_expansion_is_a_sequence(expanded: Expand) -> None:
    trials = expanded("axes: [{list: [{method: dense}]}]")
    assert (len(trials), trials[0], trials[-1]) == (2, trials.trials[0], trials.trials[1])
    assert list(trials[:1]) == [trials[0]]
    assert trials[1] in trials


def test_ten_thousand_trials_are_allowed_and_one_more_is_not(read: Callable[[str], spec.Spec]) -> None:
    values = ", ".join(str(index + 1) for index in range(MAX_TRIALS // 2))
    axes = "axes: [{{list: [{{method: dense}}]}}, {{grid: {{method: [dense], optimizer.learning_rate: [{}]}}}}]"
    exact = read("axes: [{grid: {method: [dense], optimizer.learning_rate: [" + values + "]}}]")
    assert len(exact.axes[0].factors[1]) * len(exact.seeds) == MAX_TRIALS
    with pytest.raises(InputError, match=r"10,002 trials \(points × seeds: 5,001 × 2\) before exclusions"):
        expand(read(axes.format(values)))


def test_the_same_problem_is_told_once_at_the_line_of_its_axis_item(expanded: Expand, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        expanded(
            "axes:\n  - grid:\n      sparsity: [0.5, 0.8]\n      training.batch_size: [10, 20]\n      method:\n"
            "        - set\n        - dense\n"
        )
    where = f"{tmp_path}/spec.yaml:10: a dense trial has sparsity 0, got"
    rule = "exclude the pair or name a sparse method"
    assert str(caught.value).split("\n") == [f"{where} 0.5: {rule}", f"{where} 0.8: {rule}"]


def write_folder(path: Path, *, words: int = 400) -> Path:
    path.mkdir()
    for split in ("train", "valid", "test"):
        (path / f"{split}.txt").write_text("a b c d\n" * words)
    return path


def test_a_folder_is_found_beside_the_spec_and_described(expanded: Expand, tmp_path: Path) -> None:
    write_folder(tmp_path / "text")
    trials = expanded("axes: [{list: [{method: dense, corpus: folder, corpus.path: text}]}]")
    corpus = trials[0].config.corpus
    assert corpus.name == "folder"
    assert corpus.path == str(tmp_path / "text")
    assert (corpus.vocabulary_size, corpus.num_tokens["train"]) == (5, 2000)
    assert set(corpus.sha256) == {"train", "valid", "test"}


def test_where_a_folder_lies_is_not_in_the_key(expanded: Expand, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / name)
    trials = expanded("axes: [{grid: {method: [dense], corpus: [folder], corpus.path: [one, two]}}]")
    assert len(trials) == 2
    assert "2 trials mean the same" in trials.notes[0]


def test_other_text_is_another_key(expanded: Expand, tmp_path: Path) -> None:
    write_folder(tmp_path / "one")
    write_folder(tmp_path / "two", words=401)
    trials = expanded("axes: [{grid: {method: [dense], corpus: [folder], corpus.path: [one, two]}}]")
    assert len({trial.key for trial in trials}) == 4


PINNED = """\
name: x
epochs: 4
seeds: [1]
base:
  method: dense
  corpus: {corpus}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 16, embedding_size: 16}}
  optimizer: {{learning_rate: 1}}
"""


def test_a_pinned_checksum_must_be_the_folders(tmp_path: Path) -> None:
    write_folder(tmp_path / "text")
    wrong = {"name": "folder", "path": "text", "sha256": dict.fromkeys(("train", "valid", "test"), "0" * 64)}
    pinned = PINNED.format(corpus=json.dumps(wrong))
    with pytest.raises(InputError, match=r"spec\.yaml:6: corpus\.sha256 is not what the folder holds"):
        expand(spec.parse(pinned.encode(), tmp_path / "spec.yaml"))


def test_a_folder_that_a_spec_describes_whole_need_not_be_at_hand(tmp_path: Path) -> None:
    write_folder(tmp_path / "text")
    (found,) = expand(
        spec.parse(PINNED.format(corpus='{"name": "folder", "path": "text"}').encode(), tmp_path / "s.yaml")
    )
    known = {**found.config.to_dict()["corpus"], "path": "elsewhere"}
    (trial,) = expand(spec.parse(PINNED.format(corpus=json.dumps(known)).encode(), tmp_path / "s.yaml"))
    assert trial.key == found.key


FORBIDDEN = ("torch", "ray", "mlflow", "pandas", "numpy", "optuna")


def test_expanding_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom sweeps import expand, spec\n"
        "for name in spec.shipped():\n    expand.expand(spec.load(name))\n"
        f"sys.exit(' '.join(name for name in {FORBIDDEN} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_expanding_a_folder_loads_no_torch(tmp_path: Path) -> None:
    write_folder(tmp_path / "text")
    path = tmp_path / "spec.yaml"
    path.write_text(PINNED.format(corpus="{name: folder, path: text}"))
    code = (
        "import sys\nfrom sweeps import expand, spec\nexpand.expand(spec.load(sys.argv[1]))\n"
        "sys.exit(' '.join(name for name in ('torch', 'ray', 'mlflow', 'pandas') if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
