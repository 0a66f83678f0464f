"""`board`: write boards anew from their records."""

from __future__ import annotations

from pathlib import Path

from fcnbench.errors import UsageError


def board(board: str | Path = ".", dataset: str | None = None) -> list[Path]:
    """Write the boards below a folder anew from its records.

    Args:
        board: folder that holds `submissions/` and `leaderboards/`.
        dataset: only this data set's board; all that have a record otherwise.

    Returns:
        Paths of the boards.

    Raises:
        UsageError: there is no record to make a board from.
        OutputError: a board could not be written.
    """
    from fcnbench.results.board import build_board, recorded_datasets

    root = Path(board).expanduser()
    names = [dataset] if dataset is not None else recorded_datasets(root)
    if not names or not set(names) <= set(recorded_datasets(root)):
        raise UsageError(
            f"{root} holds no record{f' of {dataset}' if dataset else ''} below submissions/",
            "run `fcnbench run` there first, or name the folder with --board DIR",
        )
    return [build_board(root, name) for name in names]
