"""The precision of float32 kernels: PyTorch's settings for TF32 and the like, read and set as one value.

Since PyTorch 2.9 every backend and operation has its own `fp32_precision`. The older settings (`allow_tf32`,
`set_float32_matmul_precision`) write some of the new ones, and can't be read while old and new contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch

_KEYS = (
    ("generic", "all"),
    ("cuda", "all"), ("cuda", "conv"), ("cuda", "rnn"), ("cuda", "matmul"),
    ("mkldnn", "all"), ("mkldnn", "conv"), ("mkldnn", "rnn"), ("mkldnn", "matmul"),
)  # fmt: skip
"""Backends and operations with an `fp32_precision` in PyTorch 2.9 and later."""

_AGREEING: tuple[Mapping[tuple[str, str], str], ...] = (
    {},
    {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32", ("cuda", "matmul"): "tf32", ("mkldnn", "matmul"): "tf32"},
    {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32", ("cuda", "matmul"): "tf32", ("mkldnn", "matmul"): "bf16"},
)
"""New settings with which the older ones can be read: for each value of the older ones, those that agree with it."""

_INHERITED = "none"
"""The precision of an operation that uses its backend's."""


@dataclass(frozen=True)
class Precision:
    """The precision of float32 kernels.

    Attributes:
        values: the `fp32_precision` of every backend and operation; before PyTorch 2.9, the older settings.
        older: cuDNN's `allow_tf32` and the precision of matrix products, which determine `values` unless those are set
            too; None where they were not read.
    """

    values: tuple[Any, ...]
    older: tuple[bool, str] | None = field(default=None, compare=False)


def wanted_precision(tf32: bool) -> Precision:
    """Return the precision that an evaluation needs: float32 everywhere, or TF32 in CUDA's kernels."""
    older = (tf32, "high" if tf32 else "highest")
    if not _per_backend():
        return Precision(older, older)
    return Precision(tuple("tf32" if tf32 and backend == "cuda" else "ieee" for backend, _ in _KEYS), older)


def _per_backend() -> bool:
    return hasattr(torch._C, "_get_fp32_precision_getter")


def read_precision() -> Precision:
    """Return the current precision, without the older settings."""
    if not _per_backend():
        return Precision((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
    return Precision(tuple(torch._C._get_fp32_precision_getter(*key) for key in _KEYS))


def first_precision() -> Precision:
    """Return the current precision with the older settings.

    To read these, the new settings are changed for a moment, and restored.
    """
    precision = read_precision()
    if not _per_backend():
        return Precision(precision.values, precision.values)
    tf32, products = False, "highest"
    for settings in _AGREEING:
        _set_values([settings.get(key, _INHERITED) for key in _KEYS])
        with suppress(RuntimeError):
            tf32 = torch.backends.cudnn.allow_tf32
        with suppress(RuntimeError):
            products = torch.get_float32_matmul_precision()
    _set_values(precision.values)
    return Precision(precision.values, (tf32, products))


def set_precision(value: Precision) -> None:
    """Set a precision, including the older settings if they are known."""
    # The older settings write some of the new ones, so the new ones are set last.
    if _per_backend():
        _set_values([_INHERITED] * len(_KEYS))
    if value.older is not None:
        tf32, products = value.older
        torch.backends.cudnn.allow_tf32 = tf32
        torch.set_float32_matmul_precision(products)
    if _per_backend():
        _set_values(value.values)


def _set_values(values: Sequence[Any]) -> None:
    for (backend, operation), value in zip(_KEYS, values, strict=True):
        torch._C._set_fp32_precision_setter(backend, operation, value)


def float32_precision() -> tuple[Any, ...]:
    """Return the current precision of float32 kernels in every backend, to compare for equality."""
    return read_precision().values
