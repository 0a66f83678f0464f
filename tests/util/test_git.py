"""Revision of a working tree, and whether it was changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fcnbench.util.git import revision_of, run_git


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_a_folder_outside_of_repositories_has_no_revision(tmp_path: Path) -> None:
    assert revision_of(tmp_path) == ("", False)
    assert run_git(tmp_path / "nowhere", "status") == ""


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision_of(tmp_path) == ("", False)


def test_changed_and_untracked_files_make_a_tree_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert revision_of(tmp_path, [tmp_path / "a.py"]) == (head, False)
    (tmp_path / "notes.txt").write_text("not part of the model")
    assert revision_of(tmp_path, [tmp_path / "a.py"]) == (head, False)
    for name in ("b.py", "ignored.py"):
        (tmp_path / name).write_text("1")
        assert revision_of(tmp_path, [tmp_path / "a.py", tmp_path / name]) == (head, True)
    (tmp_path / "a.py").write_text("2")
    assert revision_of(tmp_path) == (head, True)
