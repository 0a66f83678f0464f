"""`submit` and `verify`: a run on its way to a public board, and how far anybody has to believe it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.errors import DataMissing, UsageError
from fcnbench.records.location import RECORD_NAME, find
from fcnbench.util import console, paths
from fcnbench.util.console import track

if TYPE_CHECKING:
    from fcnbench.leaderboard.verification import Verification


def submit(
    run: str | Path, *, contact: str, licence: str, url: str = "", note: str = "", board: str | Path | None = None
) -> Verification:
    """Put a run into its place below `submissions/`, with who sends it, verify it, and write its board anew.

    Args:
        run: a `record.json`, or its folder.
        contact: somebody who answers: a name with a mail address or a page.
        licence: licence of the weights, an SPDX identifier, or `none` where they are not given away.
        url: where model or weights are.
        note: a sentence for readers.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else the working directory
            where it holds one of them, else `fcnbench-results`.

    Raises:
        UsageError: contact or licence is empty.
        DataMissing: there is no record.
        ResultsError: the record is not sound.
        CheckFailed: the run enters no board.
        OutputError: something could not be written.
    """
    source, root = find(run), paths.boards(board)
    if board is None and root.name == paths.RESULTS:
        raise UsageError(
            "this folder is not a repository of boards: it holds neither submissions/ nor leaderboards/",
            "change into a clone of one, or name it with --board DIR; --board . starts one here",
        )
    if not paths.is_board_repository(root):
        console.note(f"{root} holds no submissions/ and no leaderboards/ yet: a repository of boards begins there")
    from fcnbench.leaderboard import verification
    from fcnbench.leaderboard.board import build_board
    from fcnbench.leaderboard.submission import Submission, file_submission

    found = verification.check_submission(file_submission(source, root, Submission(contact, licence, url, note)))
    verification.write_verification(found)
    if found.record is not None:
        build_board(root, found.record.protocol.dataset)
    return found


def verify(
    path: str | Path,
    *,
    rerun: bool = False,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    device: str = "auto",
    budget: int | None = None,
    tolerance: float | None = None,
    write: bool = True,
) -> list[Verification]:
    """Verify a submission, or all below a folder, and raise its tier.

    Schema, digests, matrices against scores, task, split, training, place, and duplicates are looked at, which makes a
    sound record `rescored`. `rerun` runs the model again too; if that agrees, the record is `rerun`.

    Args:
        path: a `record.json`, its folder, or a folder of submissions.
        rerun: run the model again.
        weights: the model's weights, where they were a file.
        from_: the user's own archive or extracted folder of the data set, for the new run.
        allow_partial: accept an incomplete data set, for the new run.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        device: where the model runs.
        budget: pixels that may change class in the new run.
        tolerance: how far each metric may move there, as a fraction.
        write: keep the result in `verification.json` beside each record.

    Raises:
        DataMissing: there is no record.
        OutputError: a result could not be written.
    """
    if not str(path):
        raise UsageError("verify names no path", f"name a {RECORD_NAME}, its folder, or a folder of submissions")
    place = Path(path).expanduser()
    if place.is_file() and place.name != RECORD_NAME:
        raise DataMissing(f"{place} is not a record", f"name a {RECORD_NAME}, its folder, or a folder of submissions")
    found_below = sorted({*place.glob(RECORD_NAME), *place.rglob(f"[!.]*/{RECORD_NAME}")})
    records = [place] if place.is_file() else [each for each in found_below if each.is_file()]
    if not records:
        raise DataMissing(f"there is no record below {place}", f"name a {RECORD_NAME}, or a folder that holds some")
    from dataclasses import replace

    from fcnbench.leaderboard import verification
    from fcnbench.util.check_result import CheckResult

    doubled = tuple(verification.find_duplicates(records))
    found = []
    for record in track(records, "verify", "submission"):
        each = verification.check_submission(record)
        name = "/".join(record.resolve().parent.parts[-3:])
        own = tuple(finding for finding in doubled if name in finding.text)
        each = replace(each, findings=each.findings + own)
        if rerun and each.sound:
            from fcnbench.api.check import check

            (verdict,) = check(
                record, weights=weights, from_=from_, allow_partial=allow_partial, accept_terms=accept_terms,
                device=device, budget=budget, tolerance=tolerance,
            ).verdicts  # fmt: skip
            finding = CheckResult("rerun", verdict.passed, "; ".join([verdict.headline(), *verdict.reasons[-1:]]))
            each = replace(each, findings=(*each.findings, finding), rerun=verdict.headline() if verdict.passed else "")
        if write:
            verification.write_verification(each)
        found.append(each)
    return found
