"""Does a record say what its matrices say? Everything that follows from them is worked out anew and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fcnbench.records.files import read_content, read_packed, rebuilt, unpack_arrays
from fcnbench.records.json import content_of
from fcnbench.records.location import MATRICES_NAME, find
from fcnbench.records.model import Record
from fcnbench.util.digests import digest_bytes

_TOLERANCE = 1e-12
"""Two processors may add floats in another order; anything above is a difference."""


@dataclass(frozen=True)
class Mismatch:
    """One value of a record that does not follow from its matrices.

    Attributes:
        where: the place in the record, such as `scores.present.mean_iu`.
        stored: what the record says, as text.
        found: what follows.
    """

    where: str
    stored: str
    found: str


@dataclass(frozen=True, eq=False)
class Rescored:
    """A record that was worked out anew.

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
    """Work out a record anew from its `.npz` alone, and compare; `path` is its file or its folder.

    Raises:
        DataMissing: there is no record.
        ResultsError: record or matrices are unreadable or no record and matrices at all.
    """
    place = find(path)
    content = read_content(place)
    packed = read_packed(place)
    arrays = unpack_arrays(packed, content, place.with_name(MATRICES_NAME))
    record = rebuilt(place, content, arrays)
    mismatches = list(_differences(content, content_of(record) | {"files": {MATRICES_NAME: digest_bytes(packed)}}))
    for total, stack in (("total", "per_image"), ("geo_total", "geo_per_image")):
        if total in arrays and not np.array_equal(arrays[total], arrays[stack].sum(axis=0)):
            mismatches.append(Mismatch(f"{MATRICES_NAME} {total}", "another matrix", f"the sum of {stack}"))
    return Rescored(record, place, tuple(mismatches))


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
    if len(numbers) == 2:
        return math.isclose(*numbers, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stored == found)
