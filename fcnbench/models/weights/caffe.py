"""A reader of `.caffemodel` files that does not need Caffe, for both generations of the format.

It is a small reader of protobuf's wire format: generated classes would need Caffe's schema, and twice the memory of a
500 MB file. Only the fields with weights are read; others are skipped by their wire type. The file is memory-mapped,
and one array at a time is copied. Field numbers are those of Caffe's `caffe.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import WeightsError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""

_NEW_LAYERS, _OLD_LAYERS = 100, 2
"""Fields of NetParameter: layers, and layers of the older generation (V1)."""

_NEW_NAME, _NEW_TYPE, _NEW_BLOBS = 1, 2, 7
_OLD_NAME, _OLD_TYPE, _OLD_BLOBS = 4, 5, 6
"""Fields of LayerParameter and of V1LayerParameter."""

_LEGACY_DIMS, _DATA, _SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
"""Fields of BlobProto: num, channels, height, width; floats; shape; doubles."""

_DIM = 1
"""Field of BlobShape."""

_OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
"""The layer types with weights by their number in V1."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer with weights.

    Attributes:
        name: its name.
        type: `Convolution`, `InnerProduct`, `Deconvolution`, `Scale` and so on; a number for V1 types without weights.
        blobs: the weights, then the biases if it has any.
    """

    name: str
    type: str
    blobs: tuple[NDArray[np.float32], ...]


class MalformedError(Exception):
    """The bytes are not a protobuf message of the expected kind."""


def read_caffemodel(path: Path) -> list[Layer]:
    """Return the layers of a `.caffemodel` that have weights, in the file's order.

    Raises:
        WeightsError: the file is missing, truncated, or not a `.caffemodel`.
    """
    try:
        return list(_layers(memoryview(np.memmap(path, np.uint8, "r"))))  # type: ignore[arg-type]
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {path}", "pass the path of a .caffemodel file") from None
    except (OSError, ValueError, MalformedError, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise WeightsError(
            f"{path} can't be read as a .caffemodel: {error}", "download the file again and compare its size or digest"
        ) from error


def _layers(view: memoryview) -> Iterator[Layer]:
    has_layers = False
    for field, wire, value in fields(view):
        if wire == _BYTES and field in (_NEW_LAYERS, _OLD_LAYERS):
            layer = _layer(value, field == _OLD_LAYERS)
            has_layers = True
            if layer.blobs:
                yield layer
    if not has_layers:
        raise MalformedError("it has no layer")


def _layer(view: memoryview, old: bool) -> Layer:
    name_field, type_field, blobs_field = (
        (_OLD_NAME, _OLD_TYPE, _OLD_BLOBS) if old else (_NEW_NAME, _NEW_TYPE, _NEW_BLOBS)
    )
    name, kind, blobs = "", "", []
    for field, wire, value in fields(view):
        if field == name_field and wire == _BYTES:
            name = bytes(value).decode()
        elif field == type_field and not old and wire == _BYTES:
            kind = bytes(value).decode()
        elif field == type_field and old and wire == _VARINT:
            number = int.from_bytes(value, "little")
            kind = _OLD_TYPES.get(number, str(number))
        elif field == blobs_field and wire == _BYTES:
            blobs.append(_blob(value))
    return Layer(name, kind, tuple(blobs))


def _blob(view: memoryview) -> NDArray[np.float32]:
    legacy: dict[int, int] = {}
    shape: list[int] | None = None
    floats: list[NDArray[np.float32]] = []
    doubles: list[NDArray[np.float32]] = []
    for field, wire, value in fields(view):
        if field in _LEGACY_DIMS and wire == _VARINT:
            legacy[field] = int.from_bytes(value, "little")
        elif field == _SHAPE and wire == _BYTES:
            shape = _dims(value)
        elif field == _DATA:
            floats.append(_numbers(value, wire, _FIXED32, "<f4"))
        elif field == _DOUBLES:
            doubles.append(_numbers(value, wire, _FIXED64, "<f8"))
    # Doubles take precedence over floats, and legacy dimensions over the shape, as in Caffe's own reader.
    parts = doubles or floats
    data = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    dims = [legacy.get(field, 0) for field in _LEGACY_DIMS] if legacy else (shape if shape is not None else [data.size])
    if prod(dims) != data.size:
        raise MalformedError(f"a blob of shape {tuple(dims)} holds {data.size} numbers")
    return data.reshape(dims)


def _dims(view: memoryview) -> list[int]:
    dims = []
    for field, wire, value in fields(view):
        if field == _DIM and wire == _VARINT:
            dims.append(int.from_bytes(value, "little"))
        elif field == _DIM and wire == _BYTES:
            position = 0
            while position < len(value):
                number, position = _varint(value, position)
                dims.append(number)
    return dims


def _numbers(value: memoryview, wire: int, unpacked: int, dtype: str) -> NDArray[np.float32]:
    """Return the numbers of one field: packed as a byte string, or a run of unpacked fields."""
    if wire not in (_BYTES, unpacked) or len(value) % np.dtype(dtype).itemsize:
        raise MalformedError("a blob's numbers are truncated or of another type")
    with np.errstate(over="ignore", invalid="ignore"):  # a double beyond float32 becomes infinity
        return np.frombuffer(value, dtype).astype(np.float32)


def fields(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    r"""Yield the fields of a protobuf message as number, wire type and bytes.

    A varint's bytes are its value in little endian. Fixed-size fields of one number that follow each other are yielded
    as one, with their values concatenated: there may be a hundred million unpacked floats.

    Raises:
        MalformedError: the bytes are not a protobuf message.

    >>> [(number, wire, bytes(value)) for number, wire, value in fields(memoryview(b"\x0a\x02hi"))]
    [(1, 2, b'hi')]
    """
    position = 0
    while position < len(view):
        start = position
        tag, position = _varint(view, position)
        field, wire = tag >> 3, tag & 7
        if field == 0:
            raise MalformedError("a field has the number 0")
        if wire == _VARINT:
            number, position = _varint(view, position)
            yield field, wire, memoryview(number.to_bytes(8, "little"))
        elif wire == _BYTES:
            length, position = _varint(view, position)
            if length > len(view) - position:
                raise MalformedError("it ends in the middle of a field")
            yield field, wire, view[position : position + length]
            position += length
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            values, position = _run(view, start, position - start, size)
            yield field, wire, values
        else:
            raise MalformedError(f"a field has the wire type {wire}")


def _run(view: memoryview, start: int, tag: int, size: int) -> tuple[memoryview, int]:
    """Return the values of all fields with this tag that follow each other, and the position after them.

    Args:
        view: the message.
        start: position of the first field.
        tag: length of its tag in bytes.
        size: length of its value in bytes.
    """
    record = tag + size
    largest = (len(view) - start) // record
    if largest == 0:
        raise MalformedError("it ends in the middle of a number")
    # The search looks at growing pieces, so that a single number before a large message costs little.
    count, piece = 1, 64
    while count < largest:
        rows = np.frombuffer(view[start : start + min(largest, count + piece) * record], np.uint8).reshape(-1, record)
        same = (rows[count:, :tag] == rows[0, :tag]).all(1)
        if not same.all():
            count += int(same.argmin())
            break
        count, piece = len(rows), piece * 2
    rows = np.frombuffer(view[start : start + count * record], np.uint8).reshape(count, record)
    return memoryview(rows[:, tag:].tobytes()), start + count * record


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """Return a variable-length integer below 2**64, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            raise MalformedError("it ends in the middle of a number")
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position
    raise MalformedError("a number has more than 64 bits")
