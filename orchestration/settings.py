"""Where things lie: the settings, and where each of them came from.

Read once, in the command: flag > environment > user file > default. Nothing here decides what a trial computes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from selfish_core.errors import InputError, unknown_name
from selfish_core.object_storage import check_url, is_url
from selfish_core.places import user_file, user_folder, without_password

NAMES = ("store", "data", "tracking_uri", "ray_address", "jobs_url")
"""Every setting: `--tracking-uri`, `SELFISH_TRACKING_URI` and `tracking_uri:` in the user file mean the same."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Setting:
    """One setting's value and its origin.

    Args:
        value: as text; None where there is none.
        origin: the flag, the variable or the file that gave it, or `default`.
    """

    value: str | None
    origin: str

    @property
    def is_default(self) -> bool:
        """Whether nobody set it."""
        return self.origin == "default"


@dataclass(frozen=True)
class Settings:
    """All settings of one command.

    Args:
        store: of trials: an absolute folder, or a URL.
        data: folder of the corpora; None where nobody named one, and what is missing is downloaded.
        tracking_uri: of MLflow, absolute.
        ray_address: of a Ray cluster to join; None for one of our own.
        jobs_url: of a Ray cluster's jobs API, to which sweeps are submitted; None where nobody named one.
        origins: every setting as it was found.
    """

    store: str
    data: Path | None
    tracking_uri: str
    ray_address: str | None
    jobs_url: str | None
    origins: Mapping[str, Setting]


def read(
    flags: Mapping[str, str | None], environment: Mapping[str, str], *, is_insecure_tracking_allowed: bool = False
) -> Settings:
    """Find every setting and check it.

    Args:
        flags: by name; None or absent where the user gave none.
        environment: the process's.
        is_insecure_tracking_allowed: whether MLflow may be reached over plain http on another machine.

    Raises:
        InputError: for a user file that cannot be read, or a value that makes no sense.
    """
    defaults = {
        "store": str(user_folder() / "store"),
        "data": str(user_folder() / "corpora"),
        "tracking_uri": f"sqlite:///{user_folder() / 'mlflow.db'}",
        "ray_address": None,
        "jobs_url": None,
    }
    file = user_file()
    in_file = _read_file(file)
    origins = {name: _find(name, flags, environment, in_file, file, defaults[name]) for name in NAMES}
    uri = _checked_uri(origins["tracking_uri"], is_insecure_tracking_allowed)
    data = origins["data"]
    return Settings(
        store=_store(origins["store"]),
        data=None if data.is_default else _path(data),
        tracking_uri=uri,
        ray_address=origins["ray_address"].value,
        jobs_url=origins["jobs_url"].value,
        origins=origins,
    )


def _find(
    name: str,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    in_file: Mapping[str, str],
    file: Path,
    default: str | None,
) -> Setting:
    variable = f"SELFISH_{name.upper()}"
    places = (
        (flags.get(name), f"--{name.replace('_', '-')}"),
        (environment.get(variable) or None, variable),
        (in_file.get(name), str(file)),
    )
    for value, origin in places:
        if value is not None:
            if not value.strip() or "\0" in value:
                raise InputError(f"{origin}: {name} is {value!r}; it must be a text that is not empty")
            return Setting(value, origin)
    return Setting(default, "default")


def _store(setting: Setting) -> str:
    value = setting.value or ""
    if not is_url(value):
        return str(_path(setting))
    try:
        return check_url(value)
    except InputError as error:
        raise InputError(f"{setting.origin}: {error}") from None


def _path(setting: Setting) -> Path:
    try:
        return Path(setting.value or "").expanduser().absolute()
    except RuntimeError as error:
        raise InputError(f"{setting.origin}: {setting.value!r}: {error}") from None


def _read_file(file: Path) -> dict[str, str]:
    try:
        if not file.is_file():
            return {}
        text = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    if len(text) > MAX_FILE_BYTES:
        raise InputError(f"{file}: has {len(text)} bytes, at most {MAX_FILE_BYTES} are read")
    return _parse(file, text)


def _parse(file: Path, text: bytes) -> dict[str, str]:
    from sweeps.yaml_reader import read as read_yaml  # a command without a user file does without the parser

    if not text.strip():
        return {}
    data = read_yaml(text, str(file)).data
    for name, value in data.items():
        if name not in NAMES:
            raise InputError(f"{file}: {unknown_name('setting', name, NAMES)}")
        if not isinstance(value, str):
            raise InputError(f"{file}: {name} must be a text, got {value!r}")
    return dict(data)


def _checked_uri(setting: Setting, is_insecure_allowed: bool) -> str:
    uri, origin = setting.value or "", setting.origin
    shown = without_password(uri)
    scheme = re.match(r"([a-z][a-z0-9+.-]*):", uri)
    if scheme is None or scheme[1] == "file":
        raise InputError(
            f"{origin}: tracking URI {shown!r} must be sqlite:///FILE, another database's URI, or http(s)://HOST"
        )
    if scheme[1] == "sqlite":
        return _absolute_sqlite(uri, origin)
    if scheme[1] == "http" and _host(uri, origin) not in LOOPBACK and not is_insecure_allowed:
        raise InputError(f"{origin}: {shown} is plain http to another machine: use https, or say --insecure-tracking")
    return uri


def _absolute_sqlite(uri: str, origin: str) -> str:
    place = uri.removeprefix("sqlite:///")
    if place == uri or not place:
        raise InputError(f"{origin}: tracking URI {uri!r} must be sqlite:///FILE")
    return f"sqlite:///{Path(place).expanduser().absolute()}"


def _host(uri: str, origin: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError as error:
        raise InputError(f"{origin}: tracking URI {without_password(uri)!r}: {error}") from None
