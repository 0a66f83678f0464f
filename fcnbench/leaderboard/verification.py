"""Verification of submissions: the checks of a record, and the tier that its board row gets.

The result is kept in `verification.json` beside the record, with the digests of the files that were checked. A record
that changes afterwards falls back to `reported`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fcnbench.datasets.leakage import find_leakage, known_ids
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split
from fcnbench.errors import FcnbenchError, ResultsError, UnknownName
from fcnbench.records.location import MATRICES_NAME, RECORD_NAME, VERIFICATION_NAME, find
from fcnbench.records.model import Record, folder_name
from fcnbench.records.recompute import rescore
from fcnbench.util import files
from fcnbench.util.check_result import CheckResult
from fcnbench.util.console import listed, note
from fcnbench.util.digests import digest_file, digest_text
from fcnbench.util.text import read_text
from fcnbench.util.version import __version__

FORMAT = "fcnbench.verification/1"

TierName = Literal["claimed", "reported", "rescored", "rerun"]
"""How far a board row was verified, the least first."""


@dataclass(frozen=True)
class Tier:
    """The tier of a board row.

    Attributes:
        name: the tier.
        date: when it was granted, UTC, ISO 8601.
        version: version of fcnbench that granted it.
    """

    name: TierName
    date: str
    version: str


@dataclass(frozen=True, eq=False)
class Verification:
    """The result of verifying a submission.

    Attributes:
        path: path of the record.
        findings: one result per check.
        record: the record; None if it is unreadable.
        rerun: the verdict of a run that agreed with the record; empty without one.
    """

    path: Path
    findings: tuple[CheckResult, ...]
    record: Record | None
    rerun: str = ""

    def __repr__(self) -> str:
        wrong = "; ".join(f"{finding.subject}: {finding.text}" for finding in self.findings if not finding.sound)
        return f"<Verification of {self.path}: {self.tier}{f'; {wrong}' if wrong else ''}>"

    @property
    def sound(self) -> bool:
        """Whether all checks passed."""
        return all(finding.sound for finding in self.findings)

    @property
    def tier(self) -> TierName:
        """The tier that the record earns."""
        if not self.sound:
            return "reported"
        return "rerun" if self.rerun else "rescored"


def check_submission(path: Path) -> Verification:
    """Check a submission: its record, matrices, split, training data and folder. Nothing is written.

    Args:
        path: a `record.json`, or its folder.

    Raises:
        DataMissing: there is no record.
    """
    record_path = find(path)
    try:
        rescored = rescore(record_path)
    except ResultsError as error:
        return Verification(record_path, (CheckResult("record", False, error.message),), None)
    wrong = rescored.mismatches
    text = "everything in it follows from the matrices"
    if wrong:
        text = f"{len(wrong)} values do not follow from the matrices: {listed([each.where for each in wrong])}"
    record = rescored.record
    findings = [CheckResult("record", not wrong, text), *_check_dataset(record), _check_folder(record, record_path)]
    return Verification(record_path, tuple(findings), record)


def write_verification(verification: Verification) -> Path:
    """Write a verification beside its record; return the file's path.

    Raises:
        OutputError: it could not be written.
    """
    path = verification.path.with_name(VERIFICATION_NAME)
    content = {
        "format": FORMAT,
        "tier": verification.tier,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "fcnbench": __version__,
        "digests": _digests(verification.path),
        "findings": [asdict(finding) for finding in verification.findings],
        "rerun": verification.rerun,
    }
    files.write_json(path, content)
    return path


def read_tier(record: Path, created: str, version: str) -> Tier:
    """Return the tier of a record from the verification beside it, if that is of the same record and matrices.

    Args:
        record: path of the record.
        created: time of the run, for a record without a valid verification, which is `reported`.
        version: version of fcnbench that made the record, likewise.
    """
    reported = Tier("reported", created, version)
    path = record.with_name(VERIFICATION_NAME)
    if not path.is_file():
        return reported
    try:
        content = json.loads(read_text(path))
        if content["format"] != FORMAT or content["tier"] not in ("reported", "rescored", "rerun"):
            raise ValueError("its format or tier is unknown")
        if content["digests"] != _digests(record):
            raise ValueError("it is of another record or other matrices; verify again")
        return Tier(content["tier"], str(content["date"]), str(content["fcnbench"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        note(f"tier `reported`: {path} is ignored: {error}")
        return reported


def find_duplicates(paths: list[Path]) -> Iterator[CheckResult]:
    """Yield a finding for each run name, and each record's content, that occurs several times among records.

    Args:
        paths: paths of the records.
    """
    for subject, key in (("run", lambda path: path.parent.name), ("record", digest_text)):
        folders: dict[str, list[str]] = {}
        for path in paths:
            # `check_submission` reports a record that can't be read.
            with suppress(OSError):
                folders.setdefault(key(path), []).append("/".join(path.parent.parts[-3:]))
        for same in folders.values():
            if len(same) > 1:
                yield CheckResult(f"duplicate {subject}", False, f"the same in {' and '.join(same)}")


def _digests(record: Path) -> dict[str, str]:
    # The record is text, whose line ends may change in a checkout; the matrices are bytes.
    digests = {RECORD_NAME: digest_text, MATRICES_NAME: digest_file}
    paths = {name: record.with_name(name) for name in digests}
    return {name: digests[name](path) if path.is_file() else "" for name, path in paths.items()}


def _check_dataset(record: Record) -> Iterator[CheckResult]:
    """Check dataset, classes, split, data and training data of a record against the registered dataset."""
    protocol = record.protocol
    try:
        spec = find_dataset(protocol.dataset)
    except UnknownName:
        text = f"there is no dataset {protocol.dataset} here: install the package that registers it"
        yield CheckResult("dataset", False, text)
        return
    except FcnbenchError as error:
        yield CheckResult("dataset", False, error.message)
        return
    space = spec.label_space
    same = (record.classes, protocol.ignore, protocol.label_space) == (space.classes, space.ignore, space.name)
    second = (spec.geo.name, spec.geo.classes) if spec.geo else ("", ())
    same = same and (protocol.geo, record.geo_classes) == second
    yield CheckResult(
        "classes", same, f"{protocol.classes} of {space.name}" if same else f"they differ from those of {space.name}"
    )
    yield _check_split(record, spec)
    yield CheckResult("whole", not protocol.partial, f"{protocol.count} images")
    if spec.fingerprint is not None:
        same = record.data.fingerprint == spec.fingerprint
        yield CheckResult("data", same, f"{'' if same else 'not '}the fingerprint of the dataset")
    else:
        yield CheckResult("data", True, record.data.provenance)
    yield _check_training(record, spec.split.name)
    check = record.evaluation.reproducibility
    yield CheckResult(
        "reproducibility", True, check.describe() if check else "not checked: `fcnbench run --certify` does"
    )


def _check_split(record: Record, spec: DatasetSpec) -> CheckResult:
    """Check the scored ids against the dataset's list of ids."""
    protocol, ids = record.protocol, set(record.evaluation.ids)
    count = f"{protocol.count} images"
    if isinstance(spec.split, Split):
        same = (protocol.split, protocol.total) == (spec.split.digest, len(spec.split.ids)) and ids <= {*spec.split.ids}
        return CheckResult("split", same, f"the published list, {count}" if same else "not the published list")
    known = known_ids(spec)
    if known is None:
        return CheckResult("split", True, "its list comes with the archive, which is not here")
    same = ids <= known
    return CheckResult("split", same, f"the archive's list, {count}" if same else "not the archive's list")


def _check_training(record: Record, split: str) -> CheckResult:
    """Repeat the leakage check with the training data that the record declares."""
    leakage = find_leakage(record.evaluation.ids, record.leakage.declared, (), split)
    if leaked := record.leakage.ids or leakage.ids:
        return CheckResult("training", False, f"trained on {len(leaked)} of these images ({listed(leaked)})")
    if unlisted := record.leakage.unlisted or leakage.unlisted:
        return CheckResult("training", False, f"trained on {listed(unlisted)}, whose ids are not known here")
    declared = listed(record.leakage.declared) or "nothing declared"
    return CheckResult("training", True, f"{declared}; none of these images")


def _check_folder(record: Record, path: Path) -> CheckResult:
    """Check that the folders are named after model, dataset and run, so that no other model's row is replaced."""
    expected = [folder_name(record.model.name), folder_name(record.protocol.dataset), record.run]
    folder = "/".join(expected)
    same = list(path.resolve().parent.parts[-3:]) == expected
    return CheckResult("place", same, folder if same else f"the record belongs to submissions/{folder}")
