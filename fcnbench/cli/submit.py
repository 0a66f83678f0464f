"""`fcnbench submit`: prepare a run for a pull request, below submissions/."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.cli.verify import as_json, text
from fcnbench.errors import CheckFailed


def execute(options: argparse.Namespace) -> int:
    """Prepare and verify a submission, and print what to commit; return exit code 1 if something is wrong with it."""
    from fcnbench.api.submit import submit

    verification = submit(**arguments(options))
    from fcnbench.leaderboard.board import board_path
    from fcnbench.util import paths

    if options.json:
        print_json(as_json(verification))
    else:
        print(text(verification))
        board = (
            board_path(paths.boards(options.board), verification.record.protocol.dataset)
            if verification.record
            else "the board"
        )
        print(f"\ncommit {verification.path.parent}\nand    {board}\nthen open a pull request (docs/submitting.md)")
    return 0 if verification.sound else CheckFailed.exit_code
