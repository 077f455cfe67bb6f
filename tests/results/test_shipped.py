"""Every table, figure and number of README and docs comes out of the trials that ship with the project."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, ImageFilter

from orchestration import wanted
from results import archive
from results.evidence import Evidence, gather
from results.figures import paper
from results.figures.registry import build
from selfish_core.files import LocalStorage, SystemCalls
from selfish_core.records import Record
from selfish_core.trial_store import TrialStore

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "exports").glob("*.zip"))
IN_README = ("ptb-cpu", "quickstart")


class Unsynced(SystemCalls):
    def sync(self, descriptor: int) -> None:
        pass


@pytest.fixture(scope="module")
def rebuild() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rebuild", ROOT / "docs" / "rebuild.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rebuilt(rebuild: ModuleType) -> dict[Path, bytes]:
    files: dict[Path, bytes] = rebuild.rebuilt()
    return files


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    """A trial store with all that ships."""
    store = TrialStore.open_in(LocalStorage(tmp_path_factory.mktemp("shipped") / "store", Unsynced()))
    for name in SHIPPED:
        archive.import_archive(store, ROOT / "exports" / f"{name}.zip")
    return store


def evidence_of(name: str, store: TrialStore) -> Evidence:
    sweep = wanted.load(name)
    return gather(sweep.spec, sweep.trials, store, None)


def selfish(*arguments: str, home: Path) -> str:
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "TZ": "Pacific/Auckland",
        "COLUMNS": "60",
        "LC_ALL": "C",
    }
    found = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "orchestration.cli", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        cwd=home,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def told_in_readme(sweep: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^\$ selfish table {re.escape(sweep)}\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    assert block is not None, f"README shows no table of {sweep}"
    return block.group(1)


# Tables and figures


def test_readme_and_docs_show_what_the_exports_have(rebuild: ModuleType, rebuilt: dict[Path, bytes]) -> None:
    assert "".join(rebuild.differences(rebuilt)) == ""


def test_every_picture_of_the_results_is_made_by_a_command_that_stands_there(rebuilt: dict[Path, bytes]) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        shown = re.findall(r"!\[[^]]+\]\((results/[^)]+)\)", page.read_text(encoding="utf-8"))
        assert {ROOT / "docs" / name for name in shown} <= set(rebuilt)
    assert sum(path.suffix == ".png" for path in rebuilt) >= 4


def test_a_table_a_picture_and_a_stray_that_differ_are_told(
    rebuild: ModuleType, rebuilt: dict[Path, bytes], tmp_path: Path
) -> None:
    for path, data in rebuilt.items():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
    files = {tmp_path / path.relative_to(ROOT): data for path, data in rebuilt.items()}
    assert rebuild.differences(files, tmp_path) == []
    readme, folder = tmp_path / "README.md", tmp_path / "docs" / "results"
    readme.write_bytes(readme.read_bytes().replace(b"51.03", b"51.04"))
    (folder / "quickstart.txt").unlink()
    first, second = sorted(folder.glob("*.png"))[:2]
    first.write_bytes(second.read_bytes())
    (folder / "old.png").write_bytes(b"x")
    told = "".join(rebuild.differences(files, tmp_path))
    assert "-dense          0.0      51.04 ± 1.31" in told
    assert "docs/results/quickstart.txt: is missing" in told
    assert f"docs/results/{first.name}: looks different" in told
    assert "docs/results/old.png: nothing makes it" in told
    assert told.count("looks different") == 1


@pytest.mark.parametrize("figure", ["learning-curves", "gate-densities", "perplexity-flops"])
def test_a_method_that_is_off_by_one_percent_looks_different(
    figure: str, rebuild: ModuleType, shipped: TrialStore
) -> None:
    evidence = evidence_of("ptb-cpu", shipped)
    frame = evidence.frame.copy()
    of_set = frame["key"].isin([trial.key for trial in evidence.trials if trial.config.method == "set"])
    drawn = [name for name in frame if name.startswith(("val_perplexity", "test_perplexity", "gate_density."))]
    frame.loc[of_set, drawn] *= 1.01
    first, second = (paper.render(build(figure, one), "png") for one in (evidence, replace(evidence, frame=frame)))
    assert not rebuild.is_same_picture(first, second)
    assert rebuild.is_same_picture(first, smoothed_elsewhere(first))


def smoothed_elsewhere(data: bytes) -> bytes:
    """The same picture, each pixel a little of its neighbours, as another machine may smooth edges."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").filter(ImageFilter.GaussianBlur(0.6)).save(out, "png")
    return out.getvalue()


def test_import_and_table_print_what_the_readme_shows_on_any_machine(tmp_path: Path) -> None:
    for _ in range(2):
        selfish("import", str(ROOT / "exports" / "ptb-cpu.zip"), home=tmp_path)
    table = selfish("table", "ptb-cpu", home=tmp_path)
    assert [line.rstrip() for line in table.splitlines()] == told_in_readme("ptb-cpu").splitlines()


# The trials


def test_every_sweep_of_which_readme_or_docs_tell_numbers_ships() -> None:
    assert SHIPPED == ["every-method-cpu", "ptb-architectures-cpu", "ptb-cpu", "quickstart", "wt2-mos-cpu"]
    assert all((ROOT / "exports" / f"{name}.zip").stat().st_size < 4_000_000 for name in SHIPPED)


@pytest.mark.parametrize(
    ("sweep", "num_trials"),
    {"every-method-cpu": 88, "ptb-architectures-cpu": 5, "ptb-cpu": 15, "quickstart": 27}.items(),
)
def test_every_trial_of_the_sweep_is_answered_by_what_ships(sweep: str, num_trials: int, shipped: TrialStore) -> None:
    concluded = evidence_of(sweep, shipped).concluded
    assert concluded["state"].tolist() == ["answered"] * num_trials
    settings = [name for name in concluded if name.startswith("config.") and name != "config.seed"]
    num_seeds = concluded.groupby(settings, dropna=False, sort=False).size()
    assert set(num_seeds) == {3 if sweep in IN_README else 1}


def test_averaging_starts_in_every_averaging_trial_of_ptb_cpu(shipped: TrialStore) -> None:
    concluded = evidence_of("ptb-cpu", shipped).concluded
    assert set(concluded["config.method"]) == {"dense", "static", "set", "rigl", "selfish"}
    assert concluded["averaging_epoch"].notna().all()


def test_all_exports_verify() -> None:
    from results import archive_check

    for name in SHIPPED:
        assert archive_check.check(ROOT / "exports" / f"{name}.zip").damaged == {}


# Numbers in running text


@pytest.fixture(scope="module")
def log() -> str:
    return (ROOT / "docs" / "log.md").read_text(encoding="utf-8")


def records_of(sweep: str, store: TrialStore) -> Mapping[str, list[Record]]:
    """Architecture -> records of its one trial."""
    trials: list[Any] = list(wanted.load(sweep).trials)
    return {trial.config.architecture.name: store.trial(trial.key).records() for trial in trials}


def test_the_log_tells_of_every_architecture_what_its_trial_recorded(log: str, shipped: TrialStore) -> None:
    rows = re.findall(r"^\| (\w+) [^|]*\| ([\d.]+), ([\d.]+) \| ([\d.]+) \| ([\d,–]+) \|$", log, flags=re.M)
    recorded = records_of("ptb-architectures-cpu", shipped)
    assert {row[0] for row in rows} == set(recorded)
    for name, first, second, test, speeds in rows:
        records = recorded[name]
        assert [f"{record.metrics['val_perplexity']:.2f}" for record in records] == [first, second]
        assert f"{records[1].metrics['test_perplexity']:.2f}" == test
        seen = sorted(record.timing.tokens_per_second for record in records)
        ends = seen if "–" in speeds else [statistics.mean(seen)]
        assert speeds == "–".join(f"{round(speed, -2):,.0f}" for speed in ends)


def test_the_log_tells_of_the_mixture_of_softmaxes_what_its_trial_recorded(log: str, shipped: TrialStore) -> None:
    ((name, records),) = records_of("wt2-mos-cpu", shipped).items()
    assert name == "awd_lstm_mos"
    told = re.search(r"WikiText-2\): ([\d.]+) after the first epoch \(test ([\d.]+)\), at (\d+)", log)
    assert told is not None
    metrics = records[0].metrics
    assert told[1] == f"{metrics['val_perplexity']:.2f}"
    assert told[2] == f"{metrics['test_perplexity']:.2f}"
    assert told[3] == f"{records[0].timing.tokens_per_second:.0f}"


def test_the_log_tells_how_many_trials_of_every_method_cpu_there_are(log: str, shipped: TrialStore) -> None:
    concluded = evidence_of("every-method-cpu", shipped).concluded
    assert f"All {len(concluded)} trials answered, none failed or diverged" in log
    sparse = concluded[concluded["sparsity"] > 0.4]["test_perplexity"]
    low, high = map(float, re.findall(r"unigram's perplexity \((\d+)–(\d+)\)", log)[0])
    assert ((sparse >= low) & (sparse < high + 1)).mean() > 0.5
