"""`fcnbench submit`: a run into its place below submissions/, ready for a pull request."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import Command, add_board, add_json, print_json
from fcnbench.cli.verify import as_json, text
from fcnbench.errors import CheckFailed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench submit`."""
    parser.add_argument("run", metavar="RUN", help="a record.json, or its folder")
    parser.add_argument("--contact", required=True, help="somebody who answers: a name with a mail address or a page")
    parser.add_argument("--licence", required=True, help="of the weights: an SPDX identifier, or none")
    parser.add_argument("--url", default="", help="where model or weights are")
    parser.add_argument("--note", default="", help="a sentence for readers")
    add_board(parser, reads=True)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Prepare, verify, and say what to commit; exit code 1 if something is wrong with it."""
    from fcnbench.api.submit import submit

    found = submit(
        options.run,
        contact=options.contact,
        licence=options.licence,
        url=options.url,
        note=options.note,
        board=options.board,
    )
    from fcnbench.leaderboard.board import board_path
    from fcnbench.util import paths

    if options.json:
        print_json(as_json(found))
    else:
        print(text(found))
        board = board_path(paths.boards(options.board), found.record.protocol.dataset) if found.record else "the board"
        print(f"\ncommit {found.path.parent}\nand    {board}\nthen open a pull request (docs/submitting.md)")
    return 0 if found.sound else CheckFailed.exit_code


COMMAND = Command("submit", "put a run into its place for a pull request, and verify it", add_options, execute)
