"""Where things lie unless somebody says otherwise, and how a place that holds a password is shown."""

from __future__ import annotations

import re
from pathlib import Path

import platformdirs


def user_folder() -> Path:
    """Return the folder of the trial store, the MLflow database and the corpora, unless a setting says otherwise."""
    return Path(platformdirs.user_data_dir("selfish", appauthor=False))


def user_file() -> Path:
    """Return the file in which a user keeps settings."""
    return Path(platformdirs.user_config_dir("selfish", appauthor=False)) / "config.yaml"


def cache_folder() -> Path:
    """Return the folder of what can be read again from elsewhere at any time."""
    return Path(platformdirs.user_cache_dir("selfish", appauthor=False))


def without_password(uri: str) -> str:
    """Return a URI that may be shown: without what stands before its host, and without a password in its query.

    >>> without_password("https://ann:sec/r@et@host/x"), without_password("postgresql://host/x?user=ann&password=secret")
    ('https://***@host/x', 'postgresql://host/x?user=ann&password=***')
    """
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", re.sub(r"(?<=://)(?!/)\S*@", "***@", uri))
