"""`python -m tests.freeze`: rewrite `tests/golden/` from what fcnbench does now. `--to DIR` writes elsewhere."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.freeze import GOLDEN
from tests.freeze.committed import committed_files
from tests.freeze.interface import interface_files
from tests.freeze.masks import settled
from tests.freeze.mistakes import mistakes
from tests.freeze.results import format_files
from tests.freeze.session import Session
from tests.freeze.use import help_files, use


def collect(root: Path) -> dict[str, str]:
    """Return the content of every golden file by its name, from a session in an empty folder."""
    session = Session(root)
    found = help_files(session)
    used = use(session)
    found |= used.files
    found |= format_files(session, used.runs)
    found |= interface_files(session, used.runs)
    found |= committed_files(session)
    return found | mistakes(session, used.runs)


def write(files: dict[str, str], folder: Path) -> None:
    """Write files below a folder; others that were there are removed, and values within tolerance stay."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        name = path.relative_to(folder).as_posix()
        if name in files:
            files[name] = settled(path.read_text(encoding="utf-8"), files[name])
        else:
            path.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def main() -> int:
    """Collect and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.freeze", description=__doc__)
    parser.add_argument("--to", type=Path, default=GOLDEN, help="folder to write (default: tests/golden)")
    folder = parser.parse_args().to.absolute()
    with tempfile.TemporaryDirectory(prefix="fcnbench-freeze-", ignore_cleanup_errors=True) as root:
        files = collect(Path(root).resolve())
    write(files, folder)
    sys.stderr.write(f"{len(files)} files in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
