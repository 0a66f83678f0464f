"""The bytes of tensors and arrays of every kind, for digests: equal bytes mean equal numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from fcnbench.errors import ModelError

Part = bytes | memoryview


def number_parts(name: str, values: Tensor | np.ndarray[Any, Any]) -> Iterator[Part]:
    """Yield a header with name, dtype and shape, then the bytes of a tensor or array in index order.

    Args:
        name: for the header.
        values: a tensor of any layout, or an array; tensors without memory (device `meta`) have a header only.

    >>> header, content = number_parts("bias", torch.tensor([1, 2], dtype=torch.int8))
    >>> header.decode().strip(), list(content)
    ('bias torch.int8 (2,)', [1, 2])
    """
    if isinstance(values, np.ndarray):
        yield f"{name} {values.dtype} {tuple(values.shape)}\n".encode()
        yield b"" if values.dtype.hasobject else np.ascontiguousarray(values).tobytes()
    elif is_lazy(values) or values.is_meta:
        yield f"{name} {values.dtype} without values\n".encode()
    elif (pieces := _pieces(values)) is not None:
        yield f"{name} {type(values).__name__} {values.dtype} {values.layout}\n".encode()
        for number, piece in enumerate(pieces):
            yield from number_parts(f"{name}.{number}", piece)
    else:
        yield f"{name} {values.dtype} {tuple(values.shape)}\n".encode()
        if values.is_quantized:
            yield f"{_quantisation(values)}\n".encode()
        flat = values.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data if flat.numel() else b""


def refuse_unset(network: nn.Module, name: str) -> None:
    """Refuse a network with parameters or buffers that have no values yet.

    The first image would set them, and in a resumed run that is another image.

    Args:
        network: what a factory returned, or a part of it.
        name: name of the model, for the message.

    Raises:
        ModelError: a parameter or buffer has no values.
    """
    tensors = [*network.named_parameters(), *network.named_buffers()]
    unset = [key for key, value in tensors if is_lazy(value) or value.is_meta]
    if unset:
        raise ModelError(
            f"{name}: {unset[0]} has no values yet ({len(unset)} such parameters and buffers)",
            "load the weights in the factory, and run lazy layers there once to set their shapes",
        )


def _pieces(values: Tensor) -> list[Tensor] | None:
    """Return the plain tensors that a tensor consists of; None for a plain one."""
    if values.is_nested:
        return list(values.detach().unbind())
    if values.layout is not torch.strided:
        sparse = values.detach()
        if sparse.layout is torch.sparse_coo:
            sparse = sparse.coalesce()
            return [sparse.indices(), sparse.values()]
        return [sparse.to_dense()]
    # A subclass may wrap other tensors, which this protocol of PyTorch names.
    flatten = getattr(values, "__tensor_flatten__", None)
    return None if flatten is None else [getattr(values, name) for name in flatten()[0]]


def _quantisation(values: Tensor) -> str:
    if values.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return f"{values.q_scale()} {values.q_zero_point()}"
    return f"{values.q_per_channel_scales().tolist()} {values.q_per_channel_zero_points().tolist()}"
