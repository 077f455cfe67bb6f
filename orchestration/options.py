"""Options that several verbs share, and the settings that they make."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestration import settings as settings_module
from orchestration.settings import Settings
from selfish_core.errors import InputError, unknown_name

FORMATS = ("text", "markdown", "latex", "csv", "json", "html")
"""How a table may be printed; `results.tables.render.FORMATS` has the same names, as a test asserts."""

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A spec's file, or the name of a shipped sweep.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="PLACE", help="The trial store: a folder, or s3://BUCKET/PREFIX.")
]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DIR", help="Folder of the corpora; nothing is downloaded then.")
]
TrackingOption = Annotated[
    str | None, typer.Option("--tracking-uri", metavar="URI", help="Where MLflow keeps its runs.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure-tracking", help="Allow plain http to an MLflow on another machine.")
]
RayOption = Annotated[
    str | None, typer.Option("--ray-address", metavar="ADDRESS", help="Join this Ray cluster instead of starting one.")
]
JobsOption = Annotated[
    str | None, typer.Option("--jobs-url", metavar="URL", help="Jobs API of the Ray cluster, http(s)://HOST:PORT.")
]
MaxGpuHoursOption = Annotated[
    float | None,
    typer.Option("--max-gpu-hours", metavar="H", help="Refuse a sweep that asks for more than so many GPU-hours."),
]
PicturesOption = Annotated[
    bool,
    typer.Option("--pictures/--no-pictures", help="Give MLflow the table, figures, pictures and best model as well."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
FormatOption = Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="How the table is printed.")]


def read_settings(
    *,
    store: str | None = None,
    data: str | None = None,
    tracking_uri: str | None = None,
    ray_address: str | None = None,
    jobs_url: str | None = None,
    insecure_tracking: bool = False,
) -> Settings:
    """Read the settings of one command from its flags, the environment and the user file."""
    flags = {
        "store": store,
        "data": data,
        "tracking_uri": tracking_uri,
        "ray_address": ray_address,
        "jobs_url": jobs_url,
    }
    return settings_module.read(flags, os.environ, is_insecure_tracking_allowed=insecure_tracking)


def chosen_format(name: str, is_json: bool) -> str:
    """Return the format of a table.

    Raises:
        InputError: when it is unknown.
    """
    if name not in FORMATS:
        raise InputError(unknown_name("format", name, FORMATS))
    return "json" if is_json else name


def existing_folder(text: str) -> Path:
    """Return the folder of a file that is to be written.

    Raises:
        InputError: when there is no such folder.
    """
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: there is no such folder")
    return path
