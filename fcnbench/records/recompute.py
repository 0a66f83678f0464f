"""Recomputes a record: everything that follows from its arrays is computed again and compared with its file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcnbench.records.files import read_file, read_packed, rebuilt, unpack_arrays
from fcnbench.records.json import file_of
from fcnbench.records.location import MATRICES_NAME, find
from fcnbench.records.model import Record
from fcnbench.records.serial import to_json
from fcnbench.util.digests import digest_bytes, digest_lines

_TOLERANCE = 1e-12
"""Two processors may add floats in another order; anything above is a difference."""


@dataclass(frozen=True)
class Mismatch:
    """One value of a record that does not follow from its matrices.

    Attributes:
        where: the field of the record, such as `scores.gt.mean_iu`.
        stored: what the record says, as text.
        found: what follows.
    """

    where: str
    stored: str
    found: str


@dataclass(frozen=True, eq=False)
class Rescored:
    """A record whose scores were recomputed from its matrices.

    Attributes:
        record: the record, its scores those of the matrices.
        path: where it is.
        mismatches: what the file says otherwise.
    """

    record: Record
    path: Path
    mismatches: tuple[Mismatch, ...]

    def __repr__(self) -> str:
        return f"<Rescored {self.path}: {len(self.mismatches)} values differ from the matrices>"


def rescore(path: Path) -> Rescored:
    """Recompute a record from its `.npz` alone and compare; `path` is its file or its folder.

    Raises:
        DataMissing: there is no record.
        ResultsError: record or matrices are unreadable or not a record and its matrices.
    """
    place = find(path)
    file, packed = read_file(place), read_packed(place)
    record = rebuilt(place, file, unpack_arrays(packed, file, place.with_name(MATRICES_NAME)))
    computed = file_of(record, {MATRICES_NAME: digest_bytes(packed)})
    differences = [*_differences(to_json(file), to_json(computed)), *_other_split(record)]
    return Rescored(record, place, tuple(differences))


def _other_split(record: Record) -> Iterator[Mismatch]:
    """Yield a mismatch where a whole split was scored, and its digest is not that of the ids."""
    stored, found = record.protocol.split, digest_lines(record.evaluation.ids)
    if not record.protocol.partial and stored != found:
        yield Mismatch("protocol.split", stored, found)


def _differences(stored: Any, found: Any, where: str = "") -> Iterator[Mismatch]:
    """Every leaf that differs."""
    if isinstance(stored, dict) and isinstance(found, dict):
        for name in dict.fromkeys([*stored, *found]):
            yield from _differences(stored.get(name), found.get(name), f"{where}.{name}" if where else name)
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for place, (one, other) in enumerate(zip(stored, found, strict=True)):
            yield from _differences(one, other, f"{where}[{place}]")
    elif not _same(stored, found):
        yield Mismatch(where, str(stored), str(found))


def _same(stored: Any, found: Any) -> bool:
    numbers = [value for value in (stored, found) if isinstance(value, int | float) and not isinstance(value, bool)]
    # Integers are equal or not; a float may be rounded.
    if stored != found and len(numbers) == 2 and any(isinstance(value, float) for value in numbers):
        try:
            return math.isclose(*numbers, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        except OverflowError:  # an integer beyond all floats
            return False
    return bool(stored == found)
