"""`selfish list`, `show`, `export`, `import`, `sync`: what the trial store holds, and moving it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.options import (
    DataOption,
    InsecureOption,
    JsonOption,
    PicturesOption,
    SpecArgument,
    StoreOption,
    TrackingOption,
    existing_folder,
    read_settings,
)

if TYPE_CHECKING:
    from orchestration.settings import Settings
    from orchestration.wanted import Wanted
    from selfish_core.trial_store import TrialStore

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A trial's content key, or how it starts.")]
WEIGHTS_ENDINGS = (".safetensors", ".pt")
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


def show(
    key: KeyArgument,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="FILE", help="Write its best weights to a new .safetensors or .pt file."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one trial: its config, records, attempts and what computed it; or write its best weights to a file."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer, answer_json

    if weights is not None:
        _write_weights(key, weights, store, as_json=as_json)
        return
    found = wanted.require_store(read_settings(store=store))
    data = listing.details(found, listing.find_key(found, key))
    if as_json:
        answer_json(data)
    else:
        answer(listing.details_text(data))


def _write_weights(key: str, file: str, store: str | None, *, as_json: bool) -> None:
    """Write the weights of a trial's best epoch; what is wrong with the file's name is said before anything is read."""
    from orchestration import listing, wanted
    from orchestration.terminal import answer_json, say

    path = _new_weights_file(file)
    found = wanted.require_store(read_settings(store=store))
    trial = found.trial(listing.find_key(found, key))
    from orchestration import weights

    network = weights.write(trial, path)
    if as_json:
        answer_json({"file": str(path), "key": trial.key, "epoch": network.record.epoch})
    say(f"{path}: the weights with which epoch {network.record.epoch} of trial {trial.key[:12]} was evaluated")
    if not network.is_as_evaluated:
        say("note: an older version wrote the checkpoint: these are the weights after that epoch's mask update")


def _new_weights_file(file: str) -> Path:
    """Return the file to write.

    Raises:
        InputError: when its name has another ending, it is there already, or its folder is not.
    """
    from orchestration.outfile import NEW, check_free
    from selfish_core.errors import InputError

    path = existing_folder(file)
    if path.suffix not in WEIGHTS_ENDINGS:
        raise InputError(f"{path}: the name must end in {' or '.join(WEIGHTS_ENDINGS)}")
    check_free(path, remedy=NEW)
    return path


def export(
    spec: SpecArgument,
    file: FileArgument,
    with_checkpoints: Annotated[
        bool, typer.Option("--with-checkpoints", help="Take each trial's best checkpoint along.")
    ] = False,
    with_pictures: Annotated[
        bool, typer.Option("--with-pictures", help="Take the sweep's table and figures along, as they are now.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Write a sweep's trials with their records to a new archive."""
    from orchestration import wanted
    from orchestration.outfile import NEW, check_free
    from orchestration.terminal import count, say

    settings = read_settings(store=store)
    path = existing_folder(file)
    check_free(path, remedy=NEW)
    found = wanted.require_store(settings)
    sweep = wanted.chosen(wanted.load(spec), found)
    from results.archive import Extras
    from results.archive import export as write

    extras = Extras(
        has_checkpoints=with_checkpoints,
        has_decisions=sweep.spec.search is not None or sweep.spec.early_stopping is not None,
        pictures=_pictures(sweep, found) if with_pictures else {},
    )
    keys = [trial.key for trial in sweep.trials if found.trial(trial.key).exists()]
    written = write(found, path, keys, [sweep.spec.name], extras)
    parts = [f"{count(len(written.trials), 'trial')} of {len(sweep.trials)}"]
    parts += [count(written.num_checkpoints, "checkpoint")] if with_checkpoints else []
    parts += [count(len(written.pictures), "picture")] if with_pictures else []
    say(f"{path}: {', '.join(parts)}, {written.num_bytes:,} bytes")


def _pictures(sweep: Wanted, store: TrialStore) -> dict[str, bytes]:
    from orchestration.pictures import pictures

    return pictures(sweep, store)


def import_(
    file: FileArgument,
    with_checkpoints: Annotated[
        bool, typer.Option("--with-checkpoints", help="Bring the checkpoints in it along, however large.")
    ] = False,
    pictures: Annotated[
        str | None, typer.Option("--pictures", metavar="FOLDER", help="Write the pictures in it into this folder.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> int:
    """Bring the trials of an archive into the trial store; a second time changes nothing."""
    from dataclasses import asdict

    from orchestration import wanted
    from orchestration.terminal import answer_json, count, say

    settings = read_settings(store=store)
    from results.archive import extract_pictures, import_archive, verify
    from selfish_core.errors import CorruptFileError, InputError

    path = Path(file).expanduser()
    folder = existing_folder(pictures) if pictures is not None else None
    try:
        held = verify(path, with_checkpoints=with_checkpoints)
        written = extract_pictures(path, folder) if folder is not None else []
    except CorruptFileError as error:
        raise InputError(str(error)) from error
    done = import_archive(wanted.open_store(settings), path, with_checkpoints=with_checkpoints)
    if as_json:
        answer_json(asdict(done))
    told = f"{count(len(done.imported), 'trial')} imported, {len(done.skipped)} there already"
    told += f", {count(len(done.checkpoints), 'checkpoint')} brought along" if with_checkpoints else ""
    say(f"{told}; `selfish sync` shows them in MLflow")
    if written:
        say(f"{count(len(written), 'picture')} written to {folder}")
    if held.num_checkpoints and not with_checkpoints:
        say(
            f"note: the archive holds {count(held.num_checkpoints, 'checkpoint')}; --with-checkpoints brings them along"
        )
    for key in done.conflicting:
        say(f"trial {key}: left as it is, since its records here differ from those of the archive")
    return 1 if done.conflicting else 0


def sync(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Delete what MLflow shows of this store first.")] = False,
    optuna: Annotated[
        str | None,
        typer.Option("--optuna", metavar="URL", help="Write the searches' studies into this Optuna storage too."),
    ] = None,
    pictures: PicturesOption = True,
    store: StoreOption = None,
    data: DataOption = None,
    tracking_uri: TrackingOption = None,
    insecure_tracking: InsecureOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make MLflow show all that the trial store holds."""
    from dataclasses import asdict

    from orchestration import wanted
    from orchestration.terminal import answer_json, count, say

    settings = read_settings(store=store, data=data, tracking_uri=tracking_uri, insecure_tracking=insecure_tracking)
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
    if pictures:
        _exhibit(found, settings)
    return 1 if report.problems else 0


def _exhibit(store: TrialStore, settings: Settings) -> None:
    """Give MLflow the tables, figures, pictures and best models of the sweeps that do not run."""
    from orchestration.terminal import say
    from orchestration.tracking_artifacts import Extent, stored_sweeps, write_artifacts

    sweeps = stored_sweeps(store)
    for line in write_artifacts(store, settings.tracking_uri, sweeps, Extent(data=settings.data), say).lines():
        say(line)


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
