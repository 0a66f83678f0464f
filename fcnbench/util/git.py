"""What git says of a working tree: its revision, and whether files were changed since."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_SECONDS = 10.0
"""Longest time that git may take; a large repository on a slow disk takes a second or two."""


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints; empty where there is no git or no repository.

    Args:
        folder: working directory of the command.
        arguments: of git.
    """
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        return done.stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def revision_of(folder: Path, files: Sequence[Path] = ()) -> tuple[str, bool]:
    """Return the revision that a folder's repository is at, and whether its working tree differs from that.

    Args:
        folder: a folder in the repository.
        files: files that must be part of the revision; an untracked one counts as a change.

    Returns:
        Hash of the commit and the dirty flag; empty and False where the folder is in no repository.
    """
    revision = run_git(folder, "rev-parse", "HEAD")
    if not revision:
        return "", False
    if run_git(folder, "status", "--porcelain", "--untracked-files=no"):
        return revision, True
    names = [str(path) for path in files]
    return revision, bool(names and run_git(folder, "status", "--porcelain", "--ignored", "--", *names))
