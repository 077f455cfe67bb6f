"""`selfish doctor`: versions, settings and their origins, and the health of everything that a sweep leans on."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestration.cluster import local_capacity
from orchestration.settings import Settings
from orchestration.terminal import amount, columns
from orchestration.wanted import find_store
from selfish_core.catalogue.corpora import CORPORA, CORPUS_CONFIGS, SPLITS
from selfish_core.catalogue.extensions import installed
from selfish_core.errors import SelfishError
from selfish_core.object_storage import is_url
from selfish_core.places import user_file, user_folder, without_password

PACKAGES = ("selfish", "torch", "ray", "mlflow", "optuna", "pandas", "numpy", "pydantic", "s3fs")
LOW_DISK_BYTES = 2 * 10**9


def examine(settings: Settings) -> dict[str, Any]:
    """Look at everything; nothing is written, and what is not well is said under `problems`."""
    store = _store(settings)
    tracking = _tracking(settings)
    disk = _disk(settings)
    corpora = _corpora(settings)
    damaged = [one["problem"] for one in corpora.values() if one["problem"]]
    extensions = installed()
    left_out = [extension.warning for extension in extensions if extension.problem]
    problems = [*store["problems"], *tracking["problems"], *disk["problems"], *damaged, *left_out]
    capacity = local_capacity()
    return {
        "is_well": not problems,
        "problems": problems,
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {"system": platform.platform(), "cpus": capacity.cpu, "gpus": capacity.gpu},
        "settings": {
            name: {"value": without_password(setting.value) if setting.value else None, "origin": setting.origin}
            for name, setting in settings.origins.items()
        },
        "user_file": {"path": str(user_file()), "is_there": user_file().is_file()},
        "extensions": [{**asdict(extension), "code": extension.code} for extension in extensions],
        "store": store,
        "corpora": corpora,
        "tracking": tracking,
        "disk": disk,
    }


def examined_text(found: Mapping[str, Any]) -> str:
    """Lay the findings out for people."""
    settings = [[name, str(one["value"] or "–"), one["origin"]] for name, one in found["settings"].items()]
    corpora = [[name, _corpus_state(one), one["path"] or "made when needed"] for name, one in found["corpora"].items()]
    extensions = [[one["group"], one["name"], one["package"], _code(one)] for one in found["extensions"]]
    store, tracking = found["store"], found["tracking"]
    lines = [
        "versions   " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        f"machine    {found['machine']['system']}, {found['machine']['cpus']} CPUs, {found['machine']['gpus']} GPUs",
        f"user file  {found['user_file']['path']} ({'read' if found['user_file']['is_there'] else 'absent'})",
        "",
        columns([["setting", "value", "from"], *settings]),
        "",
        columns([["corpus", "", ""], *corpora]),
        "",
        *([columns([["extension of", "name", "from", "code"], *extensions]), ""] if extensions else []),
        f"trial store  {_state(store)}: {store['num_trials']} trials, {store['num_sweeps']} sweeps",
        f"MLflow       {tracking['state']}",
        f"disk         {amount(found['disk']['num_free_bytes'])}B free at {found['disk']['path']}",
        "",
    ]
    lines += [f"problem: {problem}" for problem in found["problems"]] or ["all is well"]
    return "\n".join(lines)


def _corpus_state(corpus: Mapping[str, Any]) -> str:
    if corpus["problem"]:
        return "damaged"
    return "present" if corpus["is_there"] else "absent"


def _code(extension: Mapping[str, Any]) -> str:
    return "left out" if extension["problem"] else extension["code"] or "–"


def _state(store: Mapping[str, Any]) -> str:
    if not store["is_there"]:
        return "absent"
    return "damaged" if store["problems"] else "sound"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _store(settings: Settings) -> dict[str, Any]:
    nothing = {"path": settings.store, "is_there": False, "num_trials": 0, "num_sweeps": 0, "problems": []}
    try:
        store = find_store(settings)
        if store is None:
            return nothing
        return {
            **nothing,
            "is_there": True,
            "num_trials": len(store.keys()),
            "num_sweeps": len(store.sweep_names()),
            "problems": store.problems(),
        }
    except SelfishError as error:
        return {**nothing, "is_there": True, "problems": [str(error)]}


def _corpora(settings: Settings) -> dict[str, Any]:
    folder = Path(settings.data or str(settings.origins["data"].value))
    found: dict[str, Any] = {}
    for name, row in CORPORA.items():
        if not any(file.urls or file.member for file in row.files.values()):
            found[name] = {"is_there": True, "path": None, "problem": ""}
            continue
        is_there = all((folder / name / f"{split}.txt").is_file() for split in SPLITS)
        problem = _damage(name, folder) if is_there else ""
        found[name] = {"is_there": is_there, "path": str(folder / name), "problem": problem}
    return found


def _damage(corpus: str, folder: Path) -> str:
    """Compare a corpus with its checksums; empty where it is sound."""
    from selfish_core.data.corpora import verify

    try:
        verify(CORPUS_CONFIGS[corpus].model_validate({"name": corpus}), folder, download=False)
    except SelfishError as error:
        return str(error)
    return ""


def _tracking(settings: Settings) -> dict[str, Any]:
    """Reach MLflow once; a database that nothing was written to yet is no fault."""
    from results.tracking_store import connect, explained, sqlite_path

    uri = without_password(settings.tracking_uri)
    try:
        path = sqlite_path(settings.tracking_uri)
        if path is not None and not path.exists():
            return {"uri": uri, "state": f"no database yet at {path}; the first run makes it", "problems": []}
        with explained(uri):
            connect(settings.tracking_uri).search_experiments(max_results=1)
    except SelfishError as error:
        return {"uri": uri, "state": "not reachable", "problems": [without_password(str(error))]}
    return {"uri": uri, "state": f"reachable at {uri}", "problems": []}


def _disk(settings: Settings) -> dict[str, Any]:
    place = user_folder() if is_url(settings.store) else Path(settings.store)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    problems = [f"{place}: only {amount(free)}B of disk are free"] if free < LOW_DISK_BYTES else []
    if not os.access(place, os.W_OK):
        problems.append(f"{place}: cannot be written")
    return {"path": str(place), "num_free_bytes": free, "problems": problems}
