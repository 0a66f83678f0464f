"""A submission: a record in its folder below `submissions/`, with its submitter and the licence of its weights."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from fcnbench.errors import CheckFailed, OutputError, UsageError
from fcnbench.records.files import load
from fcnbench.records.location import MATRICES_NAME, RECORD_NAME, find
from fcnbench.records.model import Record
from fcnbench.util import files

FORMAT = "fcnbench.submission/1"
NAME = "submission.json"


@dataclass(frozen=True)
class Submission:
    """The submitter's statements about a record.

    Attributes:
        contact: a contact person: a name with a mail address or a page.
        licence: licence of the weights, an SPDX identifier, or `none` for weights that are not published.
        url: page of the model or the weights; may be empty.
        note: a sentence for readers; may be empty.

    Raises:
        UsageError: contact or licence is empty.
    """

    contact: str
    licence: str
    url: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("contact", "licence"):
            if not str(getattr(self, name)).strip():
                raise UsageError(
                    f"--{name} is empty", "name a contact person, and the licence of the weights (or `none`)"
                )


def file_submission(run: Path, root: Path, submission: Submission) -> Path:
    """Copy a run's record to its folder below a root, with the submission beside it; return the record's path.

    A record that is already there stays there.

    Args:
        run: a `record.json`, or its folder.
        root: folder of `submissions/` and `leaderboards/`.
        submission: the submitter's statements.

    Raises:
        DataMissing: there is no record.
        ResultsError: the record is unusable.
        CheckFailed: the record may not enter a board: it is of a part of a split, or of training images.
        OutputError: the folder could not be written.
    """
    source = find(run)
    record = load(source)
    _refuse_unranked(record)
    target = record.folder(root)
    content = {"format": FORMAT, **asdict(submission), "predictions": record.predictions}
    if source.parent.resolve() == target.resolve():
        files.write_json(target / NAME, content)
        return source
    try:
        with files.scratch_folder(target.parent) as scratch:
            for name in (RECORD_NAME, MATRICES_NAME):
                shutil.copyfile(source.with_name(name), scratch / name)
            files.write_json(scratch / NAME, content)
            files.publish_folder(scratch, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}", "check permissions and space") from error
    return target / RECORD_NAME


def _refuse_unranked(record: Record) -> None:
    if record.protocol.partial:
        raise CheckFailed(
            f"{record.protocol.count} images of {record.protocol.dataset} are a part, which does not enter a board",
            "run the whole split",
        )
    if not record.leakage.clear:
        raise CheckFailed(
            "the model declares training on these images, or on a split whose images are not known here",
            "evaluate it on images that it was not trained on",
        )
