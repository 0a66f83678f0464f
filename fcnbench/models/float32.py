"""What float32 kernels may round to: PyTorch's settings for it, old and new, read and set as one value.

PyTorch 2.9 gave every backend and operation an fp32 precision of its own. The older settings (`allow_tf32`,
`set_float32_matmul_precision`) write some of the new ones, and can't be read while the two contradict each other.
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
"""Backends and operations that have an fp32 precision of their own in PyTorch 2.9 and later."""

_AGREEING: tuple[Mapping[tuple[str, str], str], ...] = (
    {},
    {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32", ("cuda", "matmul"): "tf32", ("mkldnn", "matmul"): "tf32"},
    {("cuda", "conv"): "tf32", ("cuda", "rnn"): "tf32", ("cuda", "matmul"): "tf32", ("mkldnn", "matmul"): "bf16"},
)
"""Settings that agree with each value of the older ones, which can be read only where both agree."""

_INHERITED = "none"
"""The fp32 precision of an operation that takes its backend's."""


@dataclass(frozen=True)
class Precision:
    """What float32 kernels may round to.

    Attributes:
        values: the fp32 precision of every backend and operation; before PyTorch 2.9, the older settings.
        older: cuDNN's `allow_tf32` and the precision of matrix products, which `values` follow as long as nothing else
            is set; None where they were not read.
    """

    values: tuple[Any, ...]
    older: tuple[bool, str] | None = field(default=None, compare=False)


def wanted_precision(tf32: bool) -> Precision:
    """Return the precision of an evaluation: float32 everywhere, or TF32 in CUDA's kernels."""
    older = (tf32, "high" if tf32 else "highest")
    if not _per_backend():
        return Precision(older, older)
    return Precision(tuple("tf32" if tf32 and backend == "cuda" else "ieee" for backend, _ in _KEYS), older)


def _per_backend() -> bool:
    return hasattr(torch._C, "_get_fp32_precision_getter")


def read_precision() -> Precision:
    """Return the precision that is set now, but for the older settings."""
    if not _per_backend():
        return Precision((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
    return Precision(tuple(torch._C._get_fp32_precision_getter(*key) for key in _KEYS))


def first_precision() -> Precision:
    """Return the precision with the older settings, which PyTorch only lets be read where the newer ones agree."""
    found = read_precision()
    if not _per_backend():
        return Precision(found.values, found.values)
    tf32, products = False, "highest"
    for each in _AGREEING:
        _set_values([each.get(key, _INHERITED) for key in _KEYS])
        with suppress(RuntimeError):
            tf32 = torch.backends.cudnn.allow_tf32
        with suppress(RuntimeError):
            products = torch.get_float32_matmul_precision()
    _set_values(found.values)
    return Precision(found.values, (tf32, products))


def set_precision(value: Precision) -> None:
    """Set a precision, with the older settings where they are known."""
    # The older settings write some of the newer ones: those are set last.
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
    """Return what float32 kernels may round to now, in every backend: equal values, equal arithmetic."""
    return read_precision().values
