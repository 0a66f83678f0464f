"""The git revision of a working tree, and whether files differ from it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 10.0
"""Timeout of a git command in seconds; a large repository on a slow disk takes a second or two."""


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output; empty if there is no git or no repository.

    Args:
        folder: working directory of the command.
        arguments: arguments of git.
    """
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        return done.stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def revision_of(folder: Path, files: Sequence[Path] = ()) -> tuple[str, bool]:
    """Return the revision of a folder's repository, and whether the working tree differs from it.

    Args:
        folder: a folder in the repository.
        files: files that must be part of the revision; an untracked file counts as a change.

    Returns:
        Hash of the commit and the dirty flag; empty and False if the folder is not in a repository.
    """
    revision = run_git(folder, "rev-parse", "HEAD")
    if not revision:
        return "", False
    if run_git(folder, "status", "--porcelain", "--untracked-files=no"):
        return revision, True
    names = [str(path) for path in files]
    return revision, bool(names and run_git(folder, "status", "--porcelain", "--ignored", "--", *names))
