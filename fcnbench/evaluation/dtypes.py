"""The dtypes that a forward pass really computes in, observed while PyTorch dispatches its operations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from fcnbench.errors import ModelError
from fcnbench.evaluation.precision import HALF_DTYPES, Precision

_REDUCED = {torch.float16, torch.bfloat16, torch.complex32, torch.qint8, torch.quint8, torch.qint32} | {
    value for name, value in vars(torch).items() if name.startswith("float8_") and isinstance(value, torch.dtype)
}
"""Dtypes with less precision than float32."""

_DTYPES_BY_NAME = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8": torch.float8_e4m3fn,
    "int8": torch.qint8,
}
"""Dtypes by the names that model files use."""

_COPYING = re.compile(
    r"aten::(_to_copy|to|type_as|clone|copy_|contiguous|cat|concat|concatenate|stack|hstack|vstack|embedding|index|"
    r"index_select|gather|take|take_along_dim|masked_select|where|repeat|repeat_interleave|tile|roll|flip|constant_pad_nd)"
)
"""Operations that copy, select or reorder values, and round nothing."""

_EXACT_SOURCES = (torch.bool,)
"""Dtypes whose values every reduced dtype holds exactly."""

_QUANTISED = re.compile(r"(quantized|_quantized|onednn)::(?!.*(fp16|pack|embedding)).*|aten::_int_mm")
"""Operations that compute in quantised integers, whatever the dtype of their result."""


class _DtypeRecorder(TorchDispatchMode):
    """Records the reduced dtypes that operations compute in, and the first operation of each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: dict[torch.dtype, str] = {}

    def run(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record the dtypes of its results."""
        result = func(*args, **(kwargs or {}))
        name = func._schema.name
        if _QUANTISED.fullmatch(name):
            self.operations.setdefault(torch.qint8, str(func))
        passed_on: set[torch.dtype] | None = None
        for value in tree_iter(result):
            if isinstance(value, Tensor) and value.dtype in _REDUCED:
                # Looked up only here, because few operations give a reduced dtype.
                if passed_on is None:
                    passed_on = _passed_on(func, name, (args, kwargs))
                if value.dtype not in passed_on:
                    self.operations.setdefault(value.dtype, str(func))
        return result


# Not in the body of the class, where PyTorch wraps the method: its first call would import the compiler, for a second.
_DtypeRecorder.__torch_dispatch__ = _DtypeRecorder.run  # type: ignore[assignment]


def _passed_on(func: Any, name: str, arguments: Any) -> set[torch.dtype]:
    """Return the dtypes whose values an operation only copies from its arguments."""
    view = any(value.alias_info is not None and not value.alias_info.is_write for value in func._schema.returns)
    if not view and _COPYING.fullmatch(name) is None:
        return set()
    dtypes = {value.dtype for value in tree_iter(arguments) if isinstance(value, Tensor)}
    if name == "aten::copy_":  # its first argument is overwritten
        dtypes = {arguments[0][1].dtype}
    floating = {dtype for dtype in dtypes if dtype.is_floating_point or dtype in _REDUCED}
    # A mask loses nothing in any dtype.
    return _REDUCED if not floating and dtypes <= set(_EXACT_SOURCES) else floating


@contextmanager
def checked_dtypes(precision: Precision, segmenter: object = None) -> Iterator[None]:
    """Check that a forward pass in the block computes in the dtype of the run's precision.

    Args:
        precision: precision of the run.
        segmenter: the model; one that does not run in PyTorch may name its dtypes as `reduced_dtypes`.

    Raises:
        ModelError: it computes in a reduced dtype that the precision does not name, or never in the one that it names.

    >>> with checked_dtypes(Precision("fp32")):
    ...     total = torch.ones(2).sum()
    """
    recorder = _DtypeRecorder()
    # A compiled network runs as one piece; uncompiled it shows its operations.
    with recorder, torch.compiler.set_stance("force_eager") if precision.compiled else nullcontext():
        yield
    half = HALF_DTYPES.get(precision.format)
    for name in getattr(segmenter, "reduced_dtypes", ()):
        recorder.operations.setdefault(_DTYPES_BY_NAME[name], "as its file says")
    for dtype, operation in recorder.operations.items():
        if dtype != half:
            raise wrong_dtype(precision, dtype, f"the network computes in {_dtype_name(dtype)} ({operation})")
    if half is not None and half not in recorder.operations:
        raise ModelError(
            f"--precision {precision.format}: no operation of the network computes in {_dtype_name(half)}",
            "drop --precision: the network keeps its own dtypes",
        )


def check_dtype(precision: Precision, values: Tensor, description: str) -> None:
    """Check that a tensor is not of a reduced dtype that the run's precision does not name.

    Args:
        precision: precision of the run.
        values: input or logits of a network.
        description: subject and verb of the message, such as `the logits are`.

    Raises:
        ModelError: it is.

    >>> check_dtype(Precision("bf16"), torch.zeros(1, dtype=torch.bfloat16), "the logits are")
    """
    if values.dtype in _REDUCED and values.dtype != HALF_DTYPES.get(precision.format):
        raise wrong_dtype(precision, values.dtype, f"{description} {_dtype_name(values.dtype)}")


def wrong_dtype(precision: Precision, dtype: torch.dtype, observation: str) -> ModelError:
    """Return the error for values in another dtype than that of the run's precision.

    Args:
        precision: precision of the run.
        dtype: the dtype of the values.
        observation: sentence about where it occurs.
    """
    names = [name for name, half in HALF_DTYPES.items() if half == dtype]
    option = f"pass --precision {names[0]}, or " if names else ""
    return ModelError(
        f"the run's precision is {precision.format}, and {observation}",
        f"{option}convert the network to float32 with .float() and switch its own autocast off",
    )


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
