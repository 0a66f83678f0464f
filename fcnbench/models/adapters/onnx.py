"""The contents of an ONNX file that onnxruntime does not show: dtypes below float32, and external weights files.

The file is a protobuf message, whose fields are read by the reader for Caffe's files. Field numbers are those of the
ONNX specification, version 1.16 (`onnx.proto`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcnbench.models.weights.caffe import MalformedError, fields
from fcnbench.util.digests import digest_file, digest_lines

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5
_NODE_KIND, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 3, 5, 6
_TENSOR_DTYPE, _TENSOR_EXTERNAL = 2, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_DTYPES = {10: "float16", 16: "bfloat16", 17: "float8", 18: "float8", 19: "float8", 20: "float8"}
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
"""Operators on 8-bit integers; the names of the others start with `QLinear`."""


@dataclass(frozen=True)
class OnnxFile:
    """The contents of an ONNX file.

    Attributes:
        dtypes: dtypes below float32 of its weights and casts; `int8` for quantised operators.
        files: the file itself and its external weights files.
    """

    dtypes: frozenset[str]
    files: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """Digest of the file, or of all files if there are several."""
        if len(self.files) == 1:
            return digest_file(self.files[0])
        return digest_lines(f"{path.name} {digest_file(path)}" for path in self.files if path.is_file())


def read_onnx(path: Path) -> OnnxFile:
    """Read the contents of an ONNX file.

    Args:
        path: the file; for another kind of file, which onnxruntime may support, the result names no dtypes.
    """
    dtypes, external = set[str](), dict[str, None]()
    try:
        for field, value in _messages(memoryview(np.memmap(path, np.uint8, "r"))):  # type: ignore[arg-type]
            if field == _GRAPH:
                _graph(value, dtypes, external)
    except (MalformedError, ValueError, OSError):
        return OnnxFile(frozenset(), (path,))
    return OnnxFile(frozenset(dtypes), (path, *(path.parent / name for name in external)))


def _graph(graph: memoryview, dtypes: set[str], external: dict[str, None]) -> None:
    for field, value in _messages(graph):
        if field == _INITIALIZER:
            _tensor(value, dtypes, external)
        elif field == _NODE:
            _node(value, dtypes, external)


def _node(node: memoryview, dtypes: set[str], external: dict[str, None]) -> None:
    kind, attributes = "", list[memoryview]()
    for field, value in _messages(node):
        if field == _NODE_KIND:
            kind = bytes(value).decode()
        elif field == _NODE_ATTRIBUTE:
            attributes.append(value)
    if kind in _QUANTISED or kind.startswith("QLinear"):
        dtypes.add("int8")
    for attribute in attributes:
        name, number = "", 0
        for field, value in _messages(attribute):
            if field == _ATTRIBUTE_NAME:
                name = bytes(value).decode()
            elif field == _ATTRIBUTE_INTEGER:
                number = int.from_bytes(value, "little")
            elif field == _ATTRIBUTE_TENSOR:
                _tensor(value, dtypes, external)
            elif field == _ATTRIBUTE_GRAPH:
                _graph(value, dtypes, external)
        if kind == "Cast" and name == "to" and number in _DTYPES:
            dtypes.add(_DTYPES[number])


def _tensor(tensor: memoryview, dtypes: set[str], external: dict[str, None]) -> None:
    for field, value in _messages(tensor):
        if field == _TENSOR_DTYPE and (name := _DTYPES.get(int.from_bytes(value, "little"))):
            dtypes.add(name)
        elif field == _TENSOR_EXTERNAL:
            entry = {key: bytes(text).decode() for key, text in _messages(value)}
            if entry.get(_ENTRY_KEY) == "location":
                external[entry[_ENTRY_VALUE]] = None


def _messages(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    for field, _, value in fields(view):
        yield field, value
