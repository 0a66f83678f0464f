"""`board`: rewrite boards from their records, check them, and write them as pages."""

from __future__ import annotations

from pathlib import Path

from fcnbench.errors import DataMissing
from fcnbench.records.location import check_folder
from fcnbench.util import paths


def board(board: str | Path | None = None, dataset: str | None = None, *, claims: bool = False) -> list[Path]:
    """Generate the boards in a folder from its records, and the speed boards from its timings.

    Args:
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else the working directory
            if it contains one of them, else `fcnbench-results`.
        dataset: generate only the board of this dataset; by default those of all datasets that have a record.
        claims: also generate boards of datasets that have only scores claimed by papers.

    Returns:
        Paths of the boards.

    Raises:
        DataMissing: there is no such folder, or no record or claim to make a board from.
        OutputError: a board could not be written.

    >>> import fcnbench
    >>> run = fcnbench.run("oracle-perfect")
    >>> [path.name for path in fcnbench.board()]
    ['pocket.csv']
    """
    root = paths.boards(board)
    if not claims:
        check_folder(root)
    from fcnbench.leaderboard.board import build_board
    from fcnbench.leaderboard.claims import claims as all_claims
    from fcnbench.leaderboard.score_board import recorded_datasets
    from fcnbench.leaderboard.speed_board import build_speed_boards

    known = {*recorded_datasets(root), *({claim.dataset for claim in all_claims()} if claims else ())}
    names = [dataset] if dataset is not None else sorted(known)
    timed = build_speed_boards(root) if dataset is None else []
    if not timed and (not names or not set(names) <= known):
        raise DataMissing(
            f"{root} holds no usable record{f' of {dataset}' if dataset else ''} below submissions/",
            "run `fcnbench run` there first, or name another folder with --board DIR",
        )
    return [build_board(root, name) for name in names] + timed


def verify_boards(board: str | Path | None = None) -> list[str]:
    """Check that the boards in a folder agree with its records; return one sentence for each board that does not.

    Args:
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else the working directory
            if it contains one of them, else `fcnbench-results`.

    Raises:
        DataMissing: there is no such folder, or neither a board nor a usable record in it.

    >>> import fcnbench
    >>> run = fcnbench.run("oracle-perfect")
    >>> fcnbench.verify_boards()
    []
    """
    root = paths.boards(board)
    check_folder(root)
    from fcnbench.leaderboard.board import differing_boards

    return differing_boards(root)


def board_pages(output: str | Path, board: str | Path | None = None) -> Path:
    """Write the boards in a folder as a static website of self-contained pages; return the path of its index.

    Args:
        output: the site's folder.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else the working directory
            if it contains one of them, else `fcnbench-results`.

    Raises:
        DataMissing: there is no such folder, or no board in it.
        ResultsError: a board can't be read.
        OutputError: a page could not be written.

    >>> import fcnbench
    >>> run = fcnbench.run("oracle-perfect")
    >>> fcnbench.board_pages("site").name
    'index.html'
    """
    site, root = paths.user_path(output, "--output"), paths.boards(board)
    check_folder(root)
    from fcnbench.leaderboard.board import boards_below
    from fcnbench.pages.site import write_site

    return write_site(root, boards_below(root), site)
