"""A record on disk: `record.json` and `confusion.npz` in a folder of their own, written whole or not at all.

Reading checks everything that can be wrong with a file: JSON, format, schema, signature, digests, shapes. What an older
version wrote is brought up to date first.
"""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import ResultsError
from fcnbench.protocol import Protocol
from fcnbench.records.json import VERSION, arrays_of, content_of, record_of
from fcnbench.records.location import MATRICES_NAME, RECORD_NAME, find
from fcnbench.records.model import Record
from fcnbench.util import files
from fcnbench.util.digests import digest_bytes
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_FAMILY = "fcnbench.record/"

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From the content of a version to that of the next one. The next version adds its step here; readers need no more."""

_MAX_BYTES = 1 << 30
"""Largest array that is unpacked: 1,000 images with 255 classes take half of that."""

_BROKEN_ARCHIVE = (
    OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, SyntaxError, RuntimeError, OverflowError,
    NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError,
)  # fmt: skip
"""What zipfile and numpy raise on bytes that are no archive of arrays, or that say so and are not."""

_MESSAGE = 300
"""Letters of what the validator says: it may quote a whole object."""

Arrays = dict[str, NDArray[Any]]


def save(record: Record, root: Path) -> Path:
    """Write record and matrices below the root of boards and submissions, both or none; returns the record's path.

    Raises:
        OutputError: they could not be written.
    """
    target = record.folder(root)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays_of(record))
    content = content_of(record) | {"files": {MATRICES_NAME: digest_bytes(stream.getvalue())}}
    with files.scratch_folder(target.parent) as scratch:
        files.write_bytes(scratch / MATRICES_NAME, stream.getvalue())
        files.write_json(scratch / RECORD_NAME, content)
        files.publish_folder(scratch, target)
    return target / RECORD_NAME


def read_content(path: Path) -> dict[str, Any]:
    """The JSON of a record, brought to the newest version and checked against its schema and its own signature.

    Raises:
        ResultsError: unreadable, of a later version, or not what the schema says.
    """
    from jsonschema_rs import ValidationError

    try:
        content = upgraded(json.loads(read_text(path), parse_constant=_no_constant))
        _validator().validate(content)
        protocol = Protocol(**content["protocol"])
        if protocol.signature() != content["signature"]["short"]:
            raise ValueError("signature and protocol do not fit")
        if protocol.images != len(content["predictions"]["images"]) or protocol.images > protocol.total:
            raise ValueError("the number of images does not fit")
        if protocol.classes != len(content["per_class"]):
            raise ValueError("the number of classes does not fit")
    except ValidationError as error:
        where = ".".join(map(str, error.instance_path)) or "the whole"
        raise _unusable(path, f"{where}: {error.message[:_MESSAGE]}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    return content


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


def unpack_arrays(packed: bytes, content: dict[str, Any], where: Path) -> Arrays:
    """The arrays of an `.npz`, checked against what the record says of their shapes.

    Raises:
        ResultsError: damaged, or not the arrays of such a record.
    """
    images, classes = content["protocol"]["images"], content["protocol"]["classes"]
    shapes = {"total": (classes, classes), "per_image": (images, classes, classes), "ids": (images,)}
    if geo := len(content["geo_classes"]):
        shapes |= {"geo_total": (geo, geo), "geo_per_image": (images, geo, geo)}
    if "margins" in content:
        shapes["margins"] = (images, len(content["margins"]["below"]))
    if "trimap" in content:
        shapes["trimap"] = (len(content["trimap"]["widths"]), classes, classes)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if max((entry.file_size for entry in archive.infolist()), default=0) > _MAX_BYTES:
                raise ValueError("an array is too large to be true")
        with np.load(io.BytesIO(packed), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        if "geo_total" in shapes and "geo_total" not in arrays:
            # A model without a second head leaves no second matrices.
            shapes = {name: shape for name, shape in shapes.items() if not name.startswith("geo_")}
        if {name: array.shape for name, array in arrays.items()} != shapes:
            raise ValueError(f"the arrays are {', '.join(f'{name} {value.shape}' for name, value in arrays.items())}")
        for name, array in arrays.items():
            if name != "ids" and (array.dtype != np.int64 or array.min() < 0):
                raise ValueError(f"{name} holds something else than int64 counts")
        if [str(each) for each in arrays["ids"]] != list(content["predictions"]["images"]):
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
    content, packed = read_content(place), read_packed(place)
    if digest_bytes(packed) != content["files"][MATRICES_NAME]:
        raise ResultsError(
            f"the matrices beside {place} are not those of the record: the digests differ",
            "`fcnbench score --record` says where they differ; restore both from one run",
        )
    return rebuilt(place, content, unpack_arrays(packed, content, place.with_name(MATRICES_NAME)))


def rebuilt(path: Path, content: dict[str, Any], arrays: Arrays) -> Record:
    """The record of checked parts.

    Raises:
        ResultsError: they do not make one after all.
    """
    try:
        record = record_of(content, arrays)
        if not record.confusion.any():
            raise ValueError("no pixel was scored")
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from error
    return record


def upgraded(content: Any) -> dict[str, Any]:
    """The content of a record of any known version, as the newest version has it.

    Raises:
        ValueError: no record, or of a version that is not known here.
    """
    if not isinstance(content, dict) or not str(content.get("format")).startswith(_FAMILY):
        raise ValueError("it is no record of fcnbench")
    number = str(content["format"]).removeprefix(_FAMILY)
    version = int(number) if number.isdecimal() else 0
    if version > VERSION:
        raise ValueError(f"its format {version} is later than {VERSION}: a newer fcnbench reads it")
    while version < VERSION:
        if version not in UPGRADES:
            raise ValueError(f"its format {number} is unknown")
        content = UPGRADES[version](content)
        version += 1
    return dict(content)


def schema() -> dict[str, Any]:
    """The JSON Schema of a record."""
    text = read_text(resources.files("fcnbench.records") / f"record-v{VERSION}.schema.json")
    content: dict[str, Any] = json.loads(text)
    return content


@cache
def _validator() -> Validator:
    from jsonschema_rs import validator_for

    return validator_for(schema())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _unusable(path: Path, reason: str) -> ResultsError:
    return ResultsError(f"the record {path} is unusable: {reason}", "restore it, or remove its folder")
