"""Where fcnbench keeps what is not a result: stores, weights and journals under one home folder."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "FCNBENCH_HOME"
"""Environment variable that moves the home folder."""


def home() -> Path:
    """The home folder: `$FCNBENCH_HOME`, or `fcnbench` in the platform's cache folder. Not created here."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("fcnbench", appauthor=False)


def stores() -> Path:
    """Folder of the canonical stores, one folder a task."""
    return home() / "stores"


def archives() -> Path:
    """Folder of downloaded archives."""
    return home() / "archives"


def weights() -> Path:
    """Folder of published weights."""
    return home() / "weights"


def journals() -> Path:
    """Folder of the journals of unfinished runs."""
    return home() / "journals"
