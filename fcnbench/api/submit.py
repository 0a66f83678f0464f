"""`submit` and `verify`: a run for a public leaderboard, and how far it was verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import RecordLike, check_record, record_file
from fcnbench.errors import DataMissing, UsageError
from fcnbench.options import CheckOptions, SubmitOptions, VerifyOptions
from fcnbench.records.location import RECORD_NAME
from fcnbench.util import console, paths
from fcnbench.util.console import track

if TYPE_CHECKING:
    from fcnbench.leaderboard.verification import Verification
    from fcnbench.util.check_result import CheckResult


def submit(
    run: RecordLike,
    *,
    contact: str,
    licence: str,
    url: str = "",
    note: str = "",
    board: str | Path | None = None,
) -> Verification:
    """Copy a run to `submissions/` with the data of the submitter, verify it, and generate its board again.

    Args:
        run: the result of `fcnbench.run`, a record, a `record.json`, or its folder.
        contact: contact for questions: a name with an e-mail address or a web page.
        licence: licence of the weights, an SPDX identifier, or `none` if they are not available.
        url: address of the model or its weights.
        note: a short note for readers of the board.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else the working directory
            if it contains one of them, else `fcnbench-results`.

    Raises:
        UsageError: contact or licence is empty.
        DataMissing: there is no record.
        ResultsError: the record is damaged or inconsistent.
        CheckFailed: the run can't be added to a board.
        OutputError: a file could not be written.

    >>> import fcnbench
    >>> run = fcnbench.run("oracle-perfect")
    >>> fcnbench.submit(run, contact="me@example.org", licence="none", board="leaderboard").tier
    'rescored'
    """
    options = SubmitOptions.of(locals())
    check_record(run)
    root = paths.boards(board)
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

    with record_file(run) as source:
        location = file_submission(
            source, root, Submission(options.contact, options.licence, options.url, options.note)
        )
    result = verification.check_submission(location)
    verification.write_verification(result)
    if result.record is not None:
        build_board(root, result.record.protocol.dataset)
    return result


def verify(
    path: RecordLike,
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
    """Verify a submission, or all submissions in a folder, and update their tiers.

    Schema, digests, matrices against scores, dataset, split, training images, location and duplicates are checked,
    and a record that passes gets the tier `rescored`. With `rerun`, the model is also run again; if the results agree,
    the tier is `rerun`.

    Args:
        path: a `record.json`, its folder, or a folder of submissions; or the result of `fcnbench.run`, or a record.
        rerun: run the model again.
        weights: the model's weights, if they were a file.
        from_: the user's own archive or extracted folder of the dataset, for the new run.
        allow_partial: accept an incomplete dataset, for the new run.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        device: where the model runs.
        budget: number of pixels that may change class in the new run; by default 0, or no limit if only `tolerance` is
            given.
        tolerance: how much each metric may change, as a fraction; by default 0, or no limit if only `budget` is
            given.
        write: store the result in `verification.json` next to each record.

    Raises:
        DataMissing: there is no record.
        OutputError: a result could not be written.

    >>> import fcnbench
    >>> [verification] = fcnbench.verify(fcnbench.run("oracle-perfect"), write=False)
    >>> verification.tier
    'rescored'
    """
    options = VerifyOptions.of(locals())
    if not isinstance(path, str | Path):
        check_record(path)
        with record_file(path) as file:
            return _verified([file], options)
    return _verified(_records_below(path), options)


def _records_below(path: str | Path) -> list[Path]:
    """Return the records that a path names: a record's file, or all below a folder.

    Raises:
        UsageError: the path is empty.
        DataMissing: there is none.
    """
    if not str(path):
        raise UsageError("verify needs a path", f"name a {RECORD_NAME}, its folder, or a folder of submissions")
    place = Path(path).expanduser()
    if place.is_file():
        if place.name != RECORD_NAME:
            raise DataMissing(
                f"{place} is not a record", f"name a {RECORD_NAME}, its folder, or a folder of submissions"
            )
        return [place]
    below = sorted({*place.glob(RECORD_NAME), *place.rglob(f"[!.]*/{RECORD_NAME}")})
    records = [each for each in below if each.is_file()]
    if not records:
        raise DataMissing(f"there is no record below {place}", f"name a {RECORD_NAME}, or a folder that holds some")
    return records


def _verified(records: list[Path], options: VerifyOptions) -> list[Verification]:
    """Verify every record, and write the results where that is wanted."""
    from fcnbench.leaderboard import verification

    doubled = tuple(verification.find_duplicates(records))
    results = []
    for record in track(records, "verify", "submission"):
        result = verification.check_submission(record)
        name = "/".join(record.resolve().parent.parts[-3:])
        own = tuple(finding for finding in doubled if name in finding.text)
        result = replace(result, findings=result.findings + own)
        if options.rerun and result.sound:
            finding, headline = _rerun(record, options)
            rerun = headline if finding.sound else ""
            result = replace(result, findings=(*result.findings, finding), rerun=rerun)
        if options.write:
            verification.write_verification(result)
        results.append(result)
    return results


def _rerun(record: Path, options: VerifyOptions) -> tuple[CheckResult, str]:
    """Run a record's model again, and return the finding and the headline of the verdict."""
    from fcnbench.api.check import judge_baselines
    from fcnbench.util.check_result import CheckResult

    check = judge_baselines(CheckOptions(record, rerun=options.again, data=options.data))
    (verdict,) = check.verdicts
    text = "; ".join([verdict.headline(), *verdict.reasons[-1:]])
    return CheckResult("rerun", verdict.passed, text), verdict.headline()
