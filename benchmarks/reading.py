"""What a table of 10,000 trials takes to read from MLflow's database, beside MLflow's client calls.

    python benchmarks/reading.py [--runs 10000] [--epochs 100] [--metrics 20] [--sample 200]
        [--databases sqlite postgresql] [--folder FOLDER]

The database is made by MLflow and filled by bulk SQL, not through MLflow, which would take hours: one run per trial of
a sweep with five methods, twenty sparsities and five seeds, with our tags, and one point per epoch and metric. At full
size it has some 5 GB, and PostgreSQL's is on a server of its own. Told are wall and processor time, the file system's
cache being warm, of:

- two metrics by SQL, from the cache of what was read, and through `MlflowClient.get_metric_history`, run by run, as one
  would write it by hand; of a sample of the runs, from which all of them are extrapolated, the search apart;
- the sweep's table: all that it needs read, concluded, tested and printed, by SQL and from the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine, text

from results import names
from results.aggregate import METRICS_NEEDED
from results.evidence import Evidence
from results.frames import WATCHED
from results.reading import read
from results.tables import build
from results.tables.render import render
from results.tracking_store import connect
from sweeps import spec
from sweeps.expand import Trial, expand

TWO = ("val_perplexity", "test_perplexity")
EXPERIMENT = "selfish/benchmark"
STARTED_MS = 1_700_000_000_000
TRIALS_PER_RATE = 500
SPEC = """\
name: big
epochs: {epochs}
base:
  corpus: ptb
  architecture: {{name: stacked_lstm, num_layers: 2, hidden_size: 200, embedding_size: 200}}
axes:
  - grid:
      method: [static, set, selfish, rigl, gmp]
      sparsity: {levels}
      optimizer.learning_rate: {rates}
seeds: [1, 2, 3, 4, 5]
table: {{rows: method, columns: sparsity, metric: test_perplexity}}
"""
INDEXES = {
    "index_metrics_run_uuid": "metrics (run_uuid)",
    "index_metrics_run_uuid_key_step": "metrics (run_uuid, key, step)",
}
POINTS = """
    WITH RECURSIVE epochs(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM epochs WHERE step < {epochs})
    INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
    SELECT '{key}', {value}, r.start_time + 60000 * e.step, r.run_uuid, e.step, {false}
    FROM epochs e CROSS JOIN runs r"""
VALUES = {
    "is_averaging": "CASE WHEN e.step > {epochs} / 2 THEN 1.0 ELSE 0.0 END",
    "is_selectable": "1.0",
    "sparsity": "0.5",
}
OTHER_VALUE = "80.0 + 400.0 / (e.step + 1) + (r.start_time % 977) / 131.0 + {number} / 7.0"

Answer = TypeVar("Answer")


def sweep(num_runs: int, epochs: int) -> tuple[spec.Spec, Sequence[Trial]]:
    """Return the sweep and its trials."""
    levels = [round(0.5 + 0.02 * index, 2) for index in range(20)]
    rates = [round(0.1 + 0.05 * index, 2) for index in range(num_runs // TRIALS_PER_RATE)]
    read_spec = spec.parse(SPEC.format(epochs=epochs, levels=levels, rates=rates).encode(), Path("big.yaml"))
    return read_spec, expand(read_spec).trials


def fill(connection: Connection, trials: Sequence[Trial], epochs: int, num_metrics: int) -> None:
    """Put a run of each trial into an empty MLflow database."""
    is_sqlite = connection.dialect.name == "sqlite"
    experiment = connection.execute(
        text("SELECT experiment_id FROM experiments WHERE name = :name"), {"name": EXPERIMENT}
    ).scalar_one()
    runs = [
        {"run": f"{number:032x}", "name": f"run {number}", "start": STARTED_MS + number, "experiment": experiment}
        for number in range(len(trials))
    ]
    connection.execute(
        text(
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, "
            "artifact_uri, experiment_id) "
            "VALUES (:run, :name, 'LOCAL', 'me', 'FINISHED', :start, :start, 'active', '', :experiment)"
        ),
        runs,
    )
    tags = [
        {"run": run["run"], "key": key, "value": value}
        for run, trial in zip(runs, trials, strict=True)
        for key, value in tags_of(trial, epochs).items()
    ]
    connection.execute(text("INSERT INTO tags (key, value, run_uuid) VALUES (:key, :value, :run)"), tags)
    for index in INDEXES:
        connection.execute(text(f"DROP INDEX {index}"))
    if not is_sqlite:  # no look-up of the run for each of millions of points, and the key is checked at the end
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("SET maintenance_work_mem = '1GB'"))
        connection.execute(text("ALTER TABLE metrics DROP CONSTRAINT metric_pk"))
    false = "0" if is_sqlite else "FALSE"
    for number, name in enumerate(metric_names(num_metrics)):
        value = VALUES.get(name, OTHER_VALUE).format(epochs=epochs, number=number)
        points = POINTS.format(epochs=epochs, key=names.in_mlflow(name), value=value, false=false)
        connection.execute(text(points))
    if not is_sqlite:
        columns = "key, timestamp, step, run_uuid, value, is_nan"
        connection.execute(text(f"ALTER TABLE metrics ADD CONSTRAINT metric_pk PRIMARY KEY ({columns})"))
    for index, columns in INDEXES.items():
        connection.execute(text(f"CREATE INDEX {index} ON {columns}"))
    connection.execute(
        text(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            f"SELECT key, value, timestamp, step, is_nan, run_uuid FROM metrics WHERE step = {epochs}"
        )
    )


def metric_names(num_metrics: int) -> list[str]:
    """Return so many metrics of a trial on a corpus of texts: those that all have, then gate densities."""
    own = [name for name in WATCHED if name != "best_possible_test_perplexity"]
    return [*own, *(f"gate_density.lstm{number}.input" for number in range(num_metrics))][:num_metrics]


def tags_of(trial: Trial, epochs: int) -> dict[str, str]:
    """Return the tags that the projector gives a run, or some that are as long."""
    return {
        names.TAG_KEY: trial.key,
        names.TAG_EPOCHS: str(epochs),
        names.TAG_STATE: "answered",
        names.TAG_CODE_VERSION: "0123456789ab",
        names.TAG_FINGERPRINT: "cpu=avx512;device=cpu;threads=1;torch=2.13.0",
        names.TAG_RECORDS: "0" * 64,
        names.TAG_NOTE: "What the trial is, and how far it has come. " * 20,
        "method": str(trial.config.method),
        "seed": str(trial.config.seed),
        f"{names.SWEEP_PREFIX}big": "1",
    }


def measured(what: str, act: Callable[[], Answer]) -> tuple[float, Answer]:
    """Print what something takes, and return its wall time in seconds."""
    cpu, started = time.process_time(), time.perf_counter()
    answer = act()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {what:<44} {wall:7.2f} s wall {cpu:7.2f} s processor {peak:5.1f} GiB peak so far", flush=True)
    return wall, answer


def through_the_client(tracking_uri: str, num_sampled: int) -> float:
    """Return what a run takes on average: two calls of `get_metric_history`."""
    client = connect(tracking_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], max_results=num_sampled)

    def ask() -> int:
        return sum(
            len(client.get_metric_history(run.info.run_id, names.in_mlflow(name))) for run in runs for name in TWO
        )

    wall, _ = measured(f"two metrics of {len(runs)} runs, MLflow's client", ask)
    return wall / len(runs)


def measure(tracking_uri: str, read_spec: spec.Spec, trials: Sequence[Trial], num_sampled: int) -> None:
    """Measure one database and print the ratio."""
    keys = [trial.key for trial in trials]
    by_sql, shown = measured("two metrics by SQL", lambda: read(tracking_uri, EXPERIMENT, keys, TWO))
    assert len(shown.frame) == len(keys) * read_spec.epochs, shown.warnings
    measured("two metrics from the cache", lambda: read(tracking_uri, EXPERIMENT, keys, TWO))
    by_client = through_the_client(tracking_uri, num_sampled) * len(keys)
    print(f"  all runs through the client, extrapolated: {by_client:.0f} s, {by_client / by_sql:.0f} times SQL's")

    def table() -> str:
        found = read(tracking_uri, EXPERIMENT, keys, METRICS_NEEDED)
        return render(build(Evidence(read_spec, trials, found.frame)), "text")

    measured("the sweep's table by SQL", table)
    measured("the sweep's table from the cache", table)


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Make an empty MLflow database; PostgreSQL's server is that of the tests and ends with the block."""
    if kind == "sqlite":
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        connect(uri, may_create=True).create_experiment(EXPERIMENT, artifact_location=str(folder))
        yield uri
        (folder / "mlflow.db").unlink()
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support import postgres

    tempfile.tempdir = str(folder)
    with postgres.running() as server:
        uri = server.create_database("mlflow")
        connect(uri).create_experiment(EXPERIMENT, artifact_location=str(folder))
        yield uri


def main() -> None:
    """Fill each kind of database and measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help=f"a multiple of {TRIALS_PER_RATE}")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--sample", type=int, default=200, help="runs that are read through MLflow's client")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--folder", type=Path, help="where the databases lie meanwhile; a temporary one by default")
    options = parser.parse_args()
    read_spec, trials = sweep(options.runs, options.epochs)
    print(f"{len(trials):,} runs x {options.epochs} epochs x {options.metrics} metrics, filled by bulk SQL", flush=True)
    for kind in options.databases:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            folder.chmod(0o755)
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            with database(kind, folder) as uri:
                print(kind)
                engine = create_engine(uri, isolation_level="AUTOCOMMIT" if kind == "postgresql" else "SERIALIZABLE")
                with engine.connect() as connection:
                    measured("filling it", lambda: fill(connection, trials, options.epochs, options.metrics))
                    connection.commit()
                    if kind == "postgresql":
                        connection.execute(text("VACUUM ANALYZE"))
                engine.dispose()
                measure(uri, read_spec, trials, options.sample)


if __name__ == "__main__":
    main()
