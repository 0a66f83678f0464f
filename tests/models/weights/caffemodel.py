"""`.caffemodel` files and prototxts, written with Google's protobuf library from Caffe's field numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_OPTIONAL, _REPEATED = 1, 3
_TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "string": 9, "message": 11, "enum": 5, "uint32": 13}

_MESSAGES: dict[str, list[tuple[str, int, str, bool, str]]] = {
    "BlobShape": [("dim", 1, "int64", True, "")],
    "BlobProto": [
        ("num", 1, "int32", False, ""), ("channels", 2, "int32", False, ""), ("height", 3, "int32", False, ""),
        ("width", 4, "int32", False, ""), ("data", 5, "float", True, ""), ("diff", 6, "float", True, ""),
        ("shape", 7, "message", False, "BlobShape"), ("double_data", 8, "double", True, ""),
    ],
    "LayerParameter": [
        ("name", 1, "string", False, ""), ("type", 2, "string", False, ""), ("bottom", 3, "string", True, ""),
        ("top", 4, "string", True, ""), ("loss_weight", 5, "float", True, ""),
        ("blobs", 7, "message", True, "BlobProto"), ("phase", 10, "int32", False, ""),
    ],
    "V1LayerParameter": [
        ("bottom", 2, "string", True, ""), ("top", 3, "string", True, ""), ("name", 4, "string", False, ""),
        ("type", 5, "int32", False, ""), ("blobs", 6, "message", True, "BlobProto"),
        ("blobs_lr", 7, "float", True, ""), ("weight_decay", 8, "float", True, ""),
    ],
    "NetParameter": [
        ("name", 1, "string", False, ""), ("layers", 2, "message", True, "V1LayerParameter"),
        ("input", 3, "string", True, ""), ("input_dim", 4, "int32", True, ""),
        ("layer", 100, "message", True, "LayerParameter"),
    ],
}  # fmt: skip


def _factory(packed: bool) -> Any:
    """Return the message classes of a schema whose repeated numbers are packed, or not."""
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe_{packed}.proto", package=f"caffe_{packed}", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated, of in fields:
            added = message.field.add(
                name=field, number=number, type=_TYPES[kind], label=_REPEATED if repeated else _OPTIONAL
            )
            if of:
                added.type_name = f".caffe_{packed}.{of}"
            elif repeated and kind != "string":
                added.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe_{packed}.NetParameter"))


_CLASSES = {packed: _factory(packed) for packed in (True, False)}
_V1_TYPES = {"Convolution": 4, "InnerProduct": 14, "Deconvolution": 39, "ReLU": 18, "Data": 5}

Written = tuple[str, str, list[np.ndarray]]
"""A layer's name, type and blobs."""


def caffemodel(
    layers: Iterable[Written], *, old: bool = False, packed: bool = True, doubles: bool = False, legacy: bool = False
) -> bytes:
    """Write layers in one of the existing variants of the format."""
    net = _CLASSES[packed](name="net")
    for name, kind, blobs in layers:
        layer = net.layers.add() if old else net.layer.add()
        layer.name = name
        layer.type = _V1_TYPES[kind] if old else kind
        layer.bottom.append("below")
        if old:
            layer.blobs_lr.extend([1.0, 2.0])
        else:
            layer.loss_weight.extend([1.0])
            layer.phase = 1
        for array in blobs:
            blob = layer.blobs.add()
            if legacy:
                dims = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = dims
            else:
                blob.shape.dim.extend(array.shape)
            (blob.double_data if doubles else blob.data).extend(array.reshape(-1).tolist())
    return bytes(net.SerializeToString())
