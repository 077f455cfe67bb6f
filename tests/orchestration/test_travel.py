"""`selfish verify`, and what `export` and `import` carry beside records: exit codes, what is said, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration import wanted
from orchestration.decisions import Asked, write
from orchestration.pictures import pictures
from orchestration.verbs import stored, tracing
from results import archive
from selfish_core.errors import InputError, NoStoreError
from selfish_core.training.session import TrialSession
from selfish_core.trial_store import TrialStore

SPEC = """\
name: travel
description: two methods
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 3
axes:
  - list: [{method: static, sparsity: 0.5}, {method: static, sparsity: 0.8}]
seeds: [1, 2]
"""

GATES = dict.fromkeys(
    (
        *(f"gate_density.lstm0.{gate}" for gate in ("input", "forget", "cell", "output")),
        "gate_density.embedding.all",
        "gate_density.decoder.all",
    ),
    0.5,
)

app = typer.Typer()
for name, verb in {
    "verify": tracing.verify,
    "export": stored.export,
    "import": stored.import_,
    "show": stored.show,
}.items():
    app.command(name)(verb)


def call(*arguments: str) -> Any:
    done = CliRunner().invoke(app, arguments, standalone_mode=False)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "travel.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def full(store: TrialStore, spec: Path, fill: Any) -> TrialStore:
    sweep = wanted.load(str(spec))
    for trial in sweep.trials:
        fill(store, trial, 3, **GATES)
    store.sweep("travel").save_spec(sweep.spec.text)
    return store


@pytest.fixture
def exported(full: TrialStore, spec: Path, tmp_path: Path) -> Path:
    path = tmp_path / "travel.zip"
    call("export", str(spec), str(path), "--store", full.place)
    return path


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_sound_store_is_told_with_counts(full: TrialStore) -> None:
    done = call("verify", full.place)
    assert done.return_value == 0
    kinds = "1 store file, 4 trial configs, 4 attempt headers, 12 records, 1 spec, 1 spec checksum"
    assert done.stdout == f"{full.place}: 23 files sound ({kinds}), 0 damaged\n"


def test_damage_is_named_a_line_a_file_and_ends_with_1(full: TrialStore) -> None:
    records = sorted(Path(full.place).glob("trials/*/attempts/1/records/epoch-00002.json"))
    for path in records:
        spoil(path)
    (Path(full.place) / "notes\n.txt").write_text("mine")
    done = call("verify", full.place)
    assert done.return_value == 1
    lines = done.stdout.splitlines()
    assert [line.split(": ")[:2] for line in lines[:4]] == [
        ["damaged", str(path.relative_to(full.place))] for path in records
    ]
    assert lines[4:] == ["note: notes\\x0a.txt: is no file of a trial store", lines[-1]]
    assert lines[-1].endswith("4 damaged")


def test_json_says_the_same(full: TrialStore) -> None:
    spoil(Path(full.place) / "store.json")
    done = call("verify", full.place, "--json")
    told = json.loads(done.stdout)
    assert done.return_value == 1
    assert (list(told["damaged"]), told["leftovers"], told["notes"]) == (["store.json"], {}, {})
    assert told["num_sound"] == sum(told["counts"].values()) == 22


def test_an_archive_is_verified_alike(exported: Path) -> None:
    done = call("verify", str(exported))
    assert done.return_value == 0
    assert done.stdout.startswith(f"{exported}: 11 files sound (1 manifest, 1 frame, 1 sweep file, 8 trial files)")
    spoil(exported)
    done = call("verify", str(exported))
    assert done.return_value == 1
    assert done.stdout.startswith("damaged: ")


def test_what_is_neither_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no archive")
    (tmp_path / "folder").mkdir()
    for place, error in (("nowhere", InputError), ("text.txt", InputError), ("folder", NoStoreError)):
        with pytest.raises(error) as caught:
            call("verify", str(tmp_path / place))
        assert caught.value.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text.txt"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_pictures_are_the_table_and_the_figures_that_there_are(full: TrialStore, spec: Path) -> None:
    made = pictures(wanted.load(str(spec)), full)
    assert {"travel.txt", "travel.md", "travel-learning-curves.png", "travel-perplexity-sparsity.png"} <= set(made)
    assert "travel-topology-distance.png" not in made
    assert made["travel.txt"].decode().startswith("travel: two methods\n")
    assert all(data.startswith(b"\x89PNG") for name, data in made.items() if name.endswith(".png"))


def test_pictures_travel_and_are_written_where_one_asks(full: TrialStore, spec: Path, tmp_path: Path) -> None:
    path, folder = tmp_path / "rich.zip", tmp_path / "pictures"
    told = call("export", str(spec), str(path), "--with-pictures", "--store", full.place).stderr
    assert "4 trials of 4" in told
    assert "pictures" in told
    told = call("import", str(path), "--pictures", str(folder), "--store", str(tmp_path / "fresh")).stderr
    assert (folder / "travel.txt").read_bytes() == pictures(wanted.load(str(spec)), full)["travel.txt"]
    assert f"written to {folder}" in told
    assert call("verify", str(path)).return_value == 0


def test_an_archive_without_what_is_asked_for_imports_nothing(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        call("import", str(exported), "--pictures", str(tmp_path / "p"), "--store", str(tmp_path / "fresh"))
    assert not (tmp_path / "fresh").exists()
    told = call("import", str(exported), "--with-checkpoints", "--store", str(tmp_path / "fresh")).stderr
    assert "4 trials imported, 0 there already, 0 checkpoints brought along" in told


def test_a_searched_sweep_has_its_points_where_it_is_imported(store: TrialStore, tmp_path: Path, fill: Any) -> None:
    path = tmp_path / "searched.yaml"
    path.write_text(SPEC.replace("travel", "searched").replace(
        "axes:\n  - list: [{method: static, sparsity: 0.5}, {method: static, sparsity: 0.8}]",
        "axes:\n  - grid: {sparsity: {low: 0.1, high: 0.9}}\n"
        "search: {sampler: random, num_trials: 2, metric: val_perplexity, seed: 1}",
    ).replace("base:\n", "base:\n  method: static\n"))  # fmt: skip
    sweep = wanted.load(str(path))
    store.sweep("searched").save_spec(sweep.spec.text)
    for number, level in enumerate((0.25, 0.75)):
        asked = Asked(number=number, point={"sparsity": level}, trials=())
        write(store.sweep("searched"), asked)
    trials = wanted.chosen(sweep, store).trials
    assert len(trials) == 4
    for trial in trials:
        fill(store, trial, 3)
    call("export", str(path), str(tmp_path / "searched.zip"), "--store", store.place)
    call("import", str(tmp_path / "searched.zip"), "--store", str(tmp_path / "fresh"))
    there = wanted.chosen(sweep, TrialStore.open(tmp_path / "fresh")).trials
    assert [trial.key for trial in there] == [trial.key for trial in trials]


def test_weights_can_be_written_of_a_trial_that_came_with_its_checkpoint(
    store: TrialStore, tiny_trial: Any, tiny_corpus: Any, tmp_path: Path
) -> None:
    config = tiny_trial("selfish", "snt_asgd")
    session = TrialSession(config, epochs=2, corpus=tiny_corpus, stored=store.put(config.to_dict(), config.key()))
    while not session.is_finished:
        session.step()
    session.close()
    archive.export(store, tmp_path / "one.zip", [config.key()], extras=archive.Extras(has_checkpoints=True))
    told = call("import", str(tmp_path / "one.zip"), "--store", str(tmp_path / "bare")).stderr
    assert "note: the archive holds 1 checkpoint; --with-checkpoints brings them along" in told
    told = call("import", str(tmp_path / "one.zip"), "--with-checkpoints", "--store", str(tmp_path / "fresh")).stderr
    assert "1 trial imported, 0 there already, 1 checkpoint brought along" in told
    files = []
    for place in (store.place, str(tmp_path / "fresh")):
        file = tmp_path / f"{len(files)}.safetensors"
        call("show", config.key(), "--weights", str(file), "--store", place)
        files.append(file.read_bytes())
    assert files[0] == files[1]
