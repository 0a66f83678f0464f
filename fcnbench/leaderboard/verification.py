"""How far a submission was verified: what `verify` looked at, and the tier that its board row gets for it.

`verification.json` lies beside the record and names its digests: a record that was changed afterwards falls back to
`reported` by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fcnbench.datasets.leakage import find_leakage, known_ids
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.splits import Split
from fcnbench.errors import FcnbenchError, ResultsError, UnknownName
from fcnbench.records.location import MATRICES_NAME, RECORD_NAME, VERIFICATION_NAME, find
from fcnbench.records.model import Record, folder_name
from fcnbench.records.recompute import rescore
from fcnbench.util import files
from fcnbench.util.check_result import Finding
from fcnbench.util.console import listed, note
from fcnbench.util.digests import digest_file, digest_text
from fcnbench.util.text import read_text
from fcnbench.util.version import __version__

FORMAT = "fcnbench.verification/1"

TierName = Literal["claimed", "reported", "rescored", "rerun"]
"""How far a board row was verified, the least first."""


@dataclass(frozen=True)
class Tier:
    """A tier, when it was given, and by which version of fcnbench."""

    name: TierName
    date: str
    version: str


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found about a submission.

    Attributes:
        path: the record.
        findings: what was looked at.
        record: the record; None where it can't be read.
        rerun: the verdict of running the model again; empty where that was not done.
    """

    path: Path
    findings: tuple[Finding, ...]
    record: Record | None
    rerun: str = ""

    def __repr__(self) -> str:
        wrong = "; ".join(f"{finding.subject}: {finding.text}" for finding in self.findings if not finding.sound)
        return f"<Verification of {self.path}: {self.tier}{f'; {wrong}' if wrong else ''}>"

    @property
    def sound(self) -> bool:
        """Whether nothing was found against it."""
        return all(finding.sound for finding in self.findings)

    @property
    def tier(self) -> TierName:
        """The tier that it earns."""
        if not self.sound:
            return "reported"
        return "rerun" if self.rerun else "rescored"


def examine(path: Path) -> Verification:
    """Look at a submission: its record, matrices, split, training and place; nothing is written.

    Raises:
        DataMissing: there is no record.
    """
    place = find(path)
    try:
        rescored = rescore(place)
    except ResultsError as error:
        return Verification(place, (Finding("record", False, error.message),), None)
    wrong = rescored.mismatches
    text = "everything in it follows from the matrices"
    if wrong:
        text = f"{len(wrong)} values do not follow from the matrices: {listed([each.where for each in wrong])}"
    record = rescored.record
    findings = [Finding("record", not wrong, text), *_task(record), _place(record, place)]
    return Verification(place, tuple(findings), record)


def write(found: Verification) -> Path:
    """Write down what was found, beside the record; returns the file's path.

    Raises:
        OutputError: it could not be written.
    """
    path = found.path.with_name(VERIFICATION_NAME)
    content = {
        "format": FORMAT,
        "tier": found.tier,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "fcnbench": __version__,
        "digests": _digests(found.path),
        "findings": [asdict(finding) for finding in found.findings],
        "rerun": found.rerun,
    }
    files.write_json(path, content)
    return path


def read_tier(record: Path, content: dict[str, Any]) -> Tier:
    """The tier of a record: the one that was written beside it, if it speaks of just this record; else `reported`."""
    reported = Tier("reported", content["created"], content["fcnbench"])
    path = record.with_name(VERIFICATION_NAME)
    if not path.is_file():
        return reported
    try:
        found = json.loads(read_text(path))
        if found["format"] != FORMAT or found["tier"] not in ("reported", "rescored", "rerun"):
            raise ValueError("of an unknown format or tier")
        if found["digests"] != _digests(record):
            raise ValueError("it speaks of another record or other matrices: verify again")
        return Tier(found["tier"], str(found["date"]), str(found["fcnbench"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        note(f"tier `reported`: {path} does not count: {error}")
        return reported


def duplicates(paths: list[Path]) -> Iterator[Finding]:
    """Runs that stand in several places below one root: their names, and records that are the same file."""
    for what, key in (("run", lambda path: path.parent.name), ("record", digest_text)):
        places: dict[str, list[str]] = {}
        for path in paths:
            # What can't be read is nobody's double, and is named by `examine`.
            with suppress(OSError):
                places.setdefault(key(path), []).append("/".join(path.parent.parts[-3:]))
        for several in places.values():
            if len(several) > 1:
                yield Finding(f"duplicate {what}", False, f"the same in {' and '.join(several)}")


def _digests(record: Path) -> dict[str, str]:
    # The record is text, and may come with other line ends; the matrices are bytes.
    digests = {RECORD_NAME: digest_text, MATRICES_NAME: digest_file}
    paths = {name: record.with_name(name) for name in digests}
    return {name: digests[name](path) if path.is_file() else "" for name, path in paths.items()}


def _task(record: Record) -> Iterator[Finding]:
    """Task, classes, split, data and training against what fcnbench knows of the task."""
    protocol = record.protocol
    try:
        spec = find_dataset(protocol.dataset)
    except UnknownName:
        yield Finding(
            "task", False, f"no task is called {protocol.dataset} here: install the package that registers it"
        )
        return
    except FcnbenchError as error:
        yield Finding("task", False, error.message)
        return
    space = spec.label_space
    alike = (record.classes, protocol.ignore, protocol.label_space) == (space.classes, space.ignore, space.name)
    yield Finding("classes", alike, f"{protocol.classes} of {space.name}" if alike else f"not those of {space.name}")
    whole = f"{protocol.count} images"
    if isinstance(spec.split, Split):
        same = (protocol.split, protocol.total) == (spec.split.digest, len(spec.split.ids))
        same = same and set(record.evaluation.ids) <= set(spec.split.ids)
        yield Finding("split", same, f"the published list, {whole}" if same else "not the published list")
    else:
        ids = known_ids(spec)
        same = ids is None or set(record.evaluation.ids) <= ids
        known = "its list comes with the archive and is not here" if ids is None else f"the archive's list, {whole}"
        yield Finding("split", same, known if same else "not the archive's list")
    yield Finding("whole", not protocol.partial, whole)
    if spec.fingerprint is not None:
        same = record.data.fingerprint == spec.fingerprint
        yield Finding("data", same, "the task's own fingerprint" if same else "not the task's fingerprint")
    else:
        yield Finding("data", True, record.data.provenance)
    yield _training(record, spec.split.name)
    certificate = record.evaluation.certificate
    yield Finding(
        "certificate", True, certificate.told() if certificate else "none: `fcnbench run --certify` makes one"
    )


def _training(record: Record, split: str) -> Finding:
    """The split guard once more, on what the record declares."""
    found = find_leakage(record.evaluation.ids, record.leakage.declared, (), split)
    if leaked := record.leakage.ids or found.ids:
        return Finding("training", False, f"trained on {len(leaked)} of these images ({listed(leaked)})")
    if unlisted := record.leakage.unlisted or found.unlisted:
        return Finding("training", False, f"trained on {listed(unlisted)}, whose ids are not known here")
    declared = listed(record.leakage.declared) or "nothing declared"
    return Finding("training", True, f"{declared}; none of these images")


def _place(record: Record, path: Path) -> Finding:
    """Whether the folders are named after model, task and run, so that nobody else's row is taken."""
    wanted = [folder_name(record.model.name), folder_name(record.protocol.dataset), record.run]
    same = list(path.resolve().parent.parts[-3:]) == wanted
    return Finding("place", same, "/".join(wanted) if same else f"it belongs into submissions/{'/'.join(wanted)}")
