"""What a forward pass really computes in: the dtypes of its operations, seen as PyTorch carries them out."""

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
from fcnbench.evaluation.precision import HALVES, Arithmetic

_REDUCED = {torch.float16, torch.bfloat16, torch.complex32, torch.qint8, torch.quint8, torch.qint32} | {
    value for name, value in vars(torch).items() if name.startswith("float8_") and isinstance(value, torch.dtype)
}
"""Dtypes that hold less than float32."""


_NAMED = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8": torch.float8_e4m3fn,
    "int8": torch.qint8,
}
"""Dtypes by the names that model files have for them."""

_ARRANGING = re.compile(
    r"aten::(_to_copy|to|type_as|clone|copy_|contiguous|cat|concat|concatenate|stack|hstack|vstack|embedding|index|"
    r"index_select|gather|take|take_along_dim|masked_select|where|repeat|repeat_interleave|tile|roll|flip|constant_pad_nd)"
)
"""Operations that copy values, select some of them or put them in another order, and round nothing."""

_EXACT_SOURCES = (torch.bool,)
"""Dtypes of which every reduced one holds all values."""

_QUANTISED = re.compile(r"(quantized|_quantized|onednn)::(?!.*(fp16|pack|embedding)).*|aten::_int_mm")
"""Operations that compute in quantised integers, whatever dtype they give."""


class _Seen(TorchDispatchMode):
    """Notes the reduced dtypes that operations compute in, and the first operation of each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: dict[torch.dtype, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation and look at the dtypes of its results."""
        result = func(*args, **(kwargs or {}))
        name = func._schema.name
        if _QUANTISED.fullmatch(name):
            self.operations.setdefault(torch.qint8, str(func))
        given: set[torch.dtype] | None = None
        for each in tree_iter(result):
            if isinstance(each, Tensor) and each.dtype in _REDUCED:
                # Only here, for the fewest operations have any.
                given = _kept(func, name, (args, kwargs)) if given is None else given
                if each.dtype not in given:
                    self.operations.setdefault(each.dtype, str(func))
        return result


def _kept(func: Any, name: str, given: Any) -> set[torch.dtype]:
    """The dtypes whose values an operation only passes on."""
    view = any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns)
    if not view and _ARRANGING.fullmatch(name) is None:
        return set()
    dtypes = {each.dtype for each in tree_iter(given) if isinstance(each, Tensor)}
    if name == "aten::copy_":  # what is overwritten is no source
        dtypes = {given[0][1].dtype}
    floating = {each for each in dtypes if each.is_floating_point or each in _REDUCED}
    # A mask has no digits to lose.
    return _REDUCED if not floating and dtypes <= set(_EXACT_SOURCES) else floating


@contextmanager
def checked_dtypes(arithmetic: Arithmetic, segmenter: object = None) -> Iterator[None]:
    """Refuse a forward pass in the block that computes in another dtype than a run's precision says.

    Args:
        arithmetic: of the run.
        segmenter: the model; one that PyTorch does not carry out may name its dtypes as `reduced_dtypes`.

    Raises:
        ModelError: it computes in a reduced dtype that the precision does not name, or never in the one that it names.
    """
    seen = _Seen()
    # A compiled network is carried out as one piece; as it is written, it shows its operations.
    with seen, torch.compiler.set_stance("force_eager") if arithmetic.compiled else nullcontext():
        yield
    half = HALVES.get(arithmetic.precision)
    for name in getattr(segmenter, "reduced_dtypes", ()):
        seen.operations.setdefault(_NAMED[name], "as its file says")
    for dtype, operation in seen.operations.items():
        if dtype != half:
            raise wrong_dtype(arithmetic, dtype, f"the network computes in {_text(dtype)} ({operation})")
    if half is not None and half not in seen.operations:
        raise ModelError(
            f"--precision {arithmetic.precision}: no operation of the network computes in {_text(half)}",
            "drop --precision: the network keeps its own dtypes, whatever is asked for",
        )


def refuse_reduced(arithmetic: Arithmetic, values: Tensor, what: str) -> None:
    """Refuse a tensor of a reduced dtype that a run's precision does not name.

    Args:
        arithmetic: of the run.
        values: input or logits of a network.
        what: what they are, with a verb, for the message.

    Raises:
        ModelError: its dtype is another one.
    """
    if values.dtype in _REDUCED and values.dtype != HALVES.get(arithmetic.precision):
        raise wrong_dtype(arithmetic, values.dtype, f"{what} {_text(values.dtype)}")


def wrong_dtype(arithmetic: Arithmetic, found: torch.dtype, text: str) -> ModelError:
    """Return the error for numbers of another dtype than a run's precision.

    Args:
        arithmetic: of the run.
        found: the dtype.
        text: where it was found.
    """
    names = [name for name, dtype in HALVES.items() if dtype == found]
    named = f"pass --precision {names[0]}, or " if names else ""
    return ModelError(
        f"the run's precision is {arithmetic.precision}, and {text}",
        f"{named}bring the network to float32 with .float() and switch its own autocast off",
    )


def _text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
