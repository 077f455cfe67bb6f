"""`selfish list`, `show`, `export`, `import`, `sync`: what the trial store holds, and moving it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    InsecureOption,
    JsonOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    existing_folder,
    read_settings,
)

if TYPE_CHECKING:
    from selfish_core.trial_store import TrialStore

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A trial's content key, or how it starts.")]
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The archive, a zip file.")]


def list_(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the sweeps and trials in the trial store."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json

    found = wanted.require_store(read_settings(store=store))
    data = listing.overview(found)
    if as_json:
        answer_json(data)
    else:
        answer(listing.overview_text(data))


def show(key: KeyArgument, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show one trial: its config, records, attempts and what computed it."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json

    found = wanted.require_store(read_settings(store=store))
    data = listing.details(found, listing.find_key(found, key))
    if as_json:
        answer_json(data)
    else:
        answer(listing.details_text(data))


def export(spec: SpecArgument, file: FileArgument, store: StoreOption = None) -> None:
    """Write a sweep's trials with their records to a new archive."""
    from orchestration import wanted
    from orchestration.terminal import count, say

    settings = read_settings(store=store)
    sweep = wanted.load(spec)
    path = existing_folder(file)
    found = wanted.require_store(settings)
    from results.archive import export as write

    keys = [trial.key for trial in sweep.trials if found.trial(trial.key).exists()]
    written = write(found, path, keys, [sweep.spec.name])
    say(f"{path}: {count(len(written.trials), 'trial')} of {len(sweep.trials)}, {written.num_bytes:,} bytes")


def import_(file: FileArgument, store: StoreOption = None, as_json: JsonOption = False) -> int:
    """Bring the trials of an archive into the trial store; a second time changes nothing."""
    from dataclasses import asdict
    from pathlib import Path

    from orchestration import wanted
    from orchestration.terminal import answer_json, count, say

    settings = read_settings(store=store)
    from results.archive import import_archive, verify
    from selfish_core.errors import CorruptFileError, InputError

    path = Path(file).expanduser()
    try:
        verify(path)
    except CorruptFileError as error:
        raise InputError(str(error)) from error
    done = import_archive(wanted.open_store(settings), path)
    if as_json:
        answer_json(asdict(done))
    told = f"{count(len(done.imported), 'trial')} imported, {len(done.skipped)} there already"
    say(f"{told}; `selfish sync` shows them in MLflow")
    for key in done.conflicting:
        say(f"trial {key}: left as it is, since its records here differ from those of the archive")
    return 1 if done.conflicting else 0


def sync(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Delete what MLflow shows of this store first.")] = False,
    optuna: Annotated[
        str | None,
        typer.Option("--optuna", metavar="URL", help="Write the searches' studies into this Optuna storage too."),
    ] = None,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make MLflow show all that the trial store holds."""
    from dataclasses import asdict

    from orchestration import wanted
    from orchestration.terminal import answer_json, count, say

    settings = read_settings(store=store, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
    found = wanted.require_store(settings)
    from orchestration.tracking import Projector
    from orchestration.views import stored_views

    if optuna is not None:
        _export_studies(found, optuna)
    projector = Projector(found, settings.tracking_uri)
    views = stored_views(found)
    report = projector.rebuild(views) if rebuild else projector.project(views)
    if as_json:
        answer_json(asdict(report))
    told = f"{count(report.num_trials, 'trial')} shown, {count(report.num_epochs, 'epoch')} written"
    say(f"{told}, {count(report.num_created, 'run')} created, {report.num_deleted} deleted")
    for key, problem in report.problems.items():
        say(f"trial {key}: {problem}")
    return 1 if report.problems else 0


def _export_studies(store: TrialStore, url: str) -> None:
    """Write the study of every search of a trial store, for optuna-dashboard."""
    from orchestration import decisions, wanted
    from orchestration.search import Search
    from orchestration.terminal import say

    num_studies = 0
    for name in store.sweep_names():
        saved = wanted.load_saved(store, name)
        if saved is not None and saved.spec.search is not None:
            Search(saved.spec, decisions.read(store.sweep(name)), lambda _decision: None).export_to(url)
            num_studies += 1
    say(f"studies written to the Optuna storage: {num_studies}")
