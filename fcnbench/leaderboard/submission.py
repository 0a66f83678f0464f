"""A submission: a record in its place below `submissions/`, with who sends it and under which terms its weights are."""

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
    """Who sends a record.

    Attributes:
        contact: somebody who answers: a name with a mail address or a page.
        licence: licence of the weights, an SPDX identifier, or `none` where they are not given away.
        url: where model or weights are; may be empty.
        note: a sentence for readers; may be empty.
    """

    contact: str
    licence: str
    url: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("contact", "licence"):
            if not str(getattr(self, name)).strip():
                raise UsageError(f"--{name} is empty", "say whom to ask, and the licence of the weights (or `none`)")


def prepare(run: Path, root: Path, submission: Submission) -> Path:
    """Put a run's record into its place below a root, with the submission beside it; returns the record's path.

    Raises:
        DataMissing: there is no record.
        ResultsError: the record is not sound.
        CheckFailed: a part of a split, or images that the model was trained on: these enter no board.
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
            f"{record.protocol.count} images of {record.protocol.dataset} are a part, and enter no board",
            "run the whole split",
        )
    if not record.leakage.clear:
        raise CheckFailed("the model declares training on these images, or on a split that is not known here", "")
