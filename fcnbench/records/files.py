"""A record on disk: `record.json` and `confusion.npz` in a folder of their own, written whole or not at all.

Reading checks everything that can be wrong with a file: JSON, format, schema, signature, digests, shapes. What an older
version wrote is brought up to date first.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fcnbench.errors import ResultsError, UsageError
from fcnbench.metrics.counts import LABELS
from fcnbench.records.consistency import check_consistent
from fcnbench.records.json import Arrays, arrays_of, file_of, record_of, specs_of
from fcnbench.records.location import MATRICES_NAME, RECORD_NAME, find
from fcnbench.records.model import Record
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import from_json, parse, schema_of, to_json
from fcnbench.records.upgrade import LaterFormat, upgraded, upgraded_arrays
from fcnbench.util import files
from fcnbench.util.digests import digest_bytes
from fcnbench.util.text import read_text

_MAX_BYTES = 1 << 30
"""Largest array that is unpacked: 1,000 images with 255 classes take half of that."""

_MOST_PIXELS = 2.0**62
"""Largest sum of an array of counts; every sum over parts of it fits into int64."""

_BROKEN_ARCHIVE = (
    OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, SyntaxError, RuntimeError, OverflowError,
    NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError,
)  # fmt: skip
"""What zipfile and numpy raise on bytes that are not an archive of arrays, or only claim to be one."""


def save(record: Record, root: Path) -> Path:
    """Write record and matrices below the root of boards and submissions, both or none; returns the record's path.

    Raises:
        OutputError: they could not be written.
    """
    target = record.folder(root)
    stream = io.BytesIO()
    arrays: dict[str, Any] = arrays_of(record)
    np.savez_compressed(stream, **arrays)
    content = to_json(file_of(record, {MATRICES_NAME: digest_bytes(stream.getvalue())}))
    with files.scratch_folder(target.parent) as scratch:
        files.write_bytes(scratch / MATRICES_NAME, stream.getvalue())
        files.write_json(scratch / RECORD_NAME, content)
        files.publish_folder(scratch, target)
    return target / RECORD_NAME


def read_file(path: Path) -> RecordFile:
    """Read the JSON of a record of any known version, and check it against its schema and its own signature.

    Raises:
        ResultsError: unreadable, of a later version, or not what the schema says.
    """
    try:
        file = from_json(upgraded(parse(read_text(path))), RecordFile)
        if file.signature.short != file.protocol.signature():
            raise ValueError("signature and protocol do not fit")
        check_consistent(file)
    except LaterFormat as error:
        raise ResultsError(f"the record {path} is unusable: {error}", "install a newer fcnbench") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _unusable(path, _reason(error)) from error
    return file


def read_packed(path: Path) -> bytes:
    """The `.npz` beside a record, as it is.

    Raises:
        ResultsError: it can't be read.
    """
    beside = path.with_name(MATRICES_NAME)
    try:
        return beside.read_bytes()
    except OSError as error:
        raise ResultsError(
            f"the matrices {beside} can't be read: {error.strerror or error}", "restore them beside their record"
        ) from error


def unpack_arrays(packed: bytes, file: RecordFile, where: Path) -> Arrays:
    """Return the arrays of an `.npz`, checked against what the record says of them.

    Raises:
        ResultsError: damaged, or not the arrays of such a record.
    """
    specs = specs_of(file)
    shapes = {name: spec.stored_shape(file.protocol.images) for name, spec in specs.items()}
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if max((entry.file_size for entry in archive.infolist()), default=0) > _MAX_BYTES:
                raise ValueError("an array is too large to be true")
        with np.load(io.BytesIO(packed), allow_pickle=False) as found:
            if len(set(found.files)) != len(found.files):
                raise ValueError("it holds an array twice")
            stored = {name: found[name] for name in found.files}
        if others := [name for name, values in stored.items() if not isinstance(values, np.ndarray)]:
            raise ValueError(f"it holds something else than arrays: {', '.join(others)}")
        arrays = upgraded_arrays(stored, shapes)
        if {name: array.shape for name, array in arrays.items()} != shapes | {"ids": (file.protocol.images,)}:
            raise ValueError(f"the arrays are {', '.join(f'{name} {value.shape}' for name, value in arrays.items())}")
        for name in shapes:
            if arrays[name].dtype != np.int64 or arrays[name].min() < 0:
                raise ValueError(f"{name} holds something else than int64 counts")
            if arrays[name].sum(dtype=np.float64) > _MOST_PIXELS:
                raise ValueError(f"{name} counts more pixels than 64 bits hold")
        if [str(each) for each in arrays["ids"]] != list(file.predictions.maps[LABELS]):
            raise ValueError("the ids are not the record's")
    except _BROKEN_ARCHIVE as error:
        raise ResultsError(f"the matrices {where} are unusable: {error}", "restore both from one run") from error
    return arrays


def load(path: Path) -> Record:
    """Read a record with its matrices; `path` is its file or its folder.

    Raises:
        DataMissing: it is not there.
        ResultsError: damaged, or not the matrices that the record names.
    """
    place = find(path)
    file, packed = read_file(place), read_packed(place)
    if digest_bytes(packed) != file.files[MATRICES_NAME]:
        raise ResultsError(
            f"the matrices beside {place} are not those of the record: the digests differ",
            "`fcnbench score --record` says where they differ; restore both from one run",
        )
    return rebuilt(place, file, unpack_arrays(packed, file, place.with_name(MATRICES_NAME)))


def rebuilt(path: Path, file: RecordFile, arrays: Arrays) -> Record:
    """Return the record of checked parts.

    Raises:
        ResultsError: they do not make one after all.
    """
    try:
        record = record_of(file, arrays)
        if not record.confusion.any():
            raise ValueError("no pixel was scored")
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise _unusable(path, _reason(error)) from error
    return record


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a record."""
    return schema_of(RecordFile, "A record of fcnbench")


def _reason(error: Exception) -> str:
    """Return why a record is unusable, as part of a sentence."""
    return f"it lacks {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"


def _unusable(path: Path, reason: str) -> ResultsError:
    return ResultsError(f"the record {path} is unusable: {reason}", "restore it, or remove its folder")
