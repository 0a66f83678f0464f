"""Test cases of a device's argmax: logits of many shapes, dtypes, memory layouts and values, compared with numpy.

A segmentation argmax runs over the first axis of [C, H, W], which few other programs do, and devices got it wrong: for
some numbers of classes, beyond some number of pixels, in one memory layout, at ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation.device import out_of_memory
from fcnbench.evaluation.device_argmax import start_device_argmax

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYOUTS = ("contiguous", "channels_last", "second of a batch", "window", "transposed", "every second column")
VALUES = ("normal", "ties", "large", "negative", "infinite", "impossible", "nan")
"""Kinds of values. `ties` are small integers, where the lowest class must win. In the last two, one pixel has no
largest logit (every class is minus infinity, or one is NaN), which must be refused."""

_REFUSED = ("impossible", "nan")

_CLASSES = (2, 3, 5, 8, 21, 33, 59, 60, 150)
_SIZES = (
    (1, 1), (1, 7), (7, 1), (15, 17), (16, 16), (31, 33), (32, 32), (33, 31), (63, 65), (64, 64), (65, 63), (97, 131),
    (127, 129), (128, 128),
)  # fmt: skip
_LARGE = (
    (21, 255, 257), (21, 256, 256), (21, 257, 257), (21, 375, 500), (21, 500, 500), (60, 300, 301), (2, 1023, 1025),
    (150, 256, 257), (8, 513, 512), (33, 1, 65537), (5, 65539, 1),
)  # fmt: skip
"""(classes, height, width) around and beyond 2^16 pixels."""

_OUT_OF_MEMORY = "out of memory"

_SCALES = {"fp32": 1e30, "bf16": 1e30, "fp16": 1e4}
"""Factors of the `large` values: close to the largest number of each dtype."""


@dataclass(frozen=True)
class ArgmaxCase:
    """One argmax to compute and compare.

    Attributes:
        classes: C.
        height: H.
        width: W.
        dtype: one of `DTYPES`.
        layout: memory layout, one of `LAYOUTS`.
        values: one of `VALUES`.
    """

    classes: int
    height: int
    width: int
    dtype: str = "fp32"
    layout: str = "contiguous"
    values: str = "normal"

    def describe(self) -> str:
        """Return the case in a few words.

        >>> ArgmaxCase(21, 97, 131, "bf16", "channels_last", "ties").describe()
        '21x97x131 bf16 channels_last, ties'
        """
        rest = "" if self.values == "normal" else f", {self.values}"
        return f"{self.classes}x{self.height}x{self.width} {self.dtype} {self.layout}{rest}"


@dataclass(frozen=True)
class CaseResult:
    """The result of one case.

    Attributes:
        case: the case.
        right: whether the device's label map is numpy's, and a pixel without a largest logit is refused.
        failure: why the device could not compute the case, such as a dtype that it lacks; None where it could.
    """

    case: ArgmaxCase
    right: bool
    failure: str | None = None


@dataclass(frozen=True)
class ArgmaxCheck:
    """The result of all cases.

    Attributes:
        total: number of cases that the device could compute.
        wrong: cases whose label map was not numpy's, or where a pixel without a largest logit was accepted.
        refused: cases that the device could not compute, with the reason.
    """

    total: int
    wrong: tuple[ArgmaxCase, ...]
    refused: tuple[tuple[ArgmaxCase, str], ...]

    @property
    def right(self) -> int:
        """Number of cases with numpy's label map."""
        return self.total - len(self.wrong)


def all_cases() -> list[ArgmaxCase]:
    """Return a few hundred cases, the same ones on every machine."""
    plain = [ArgmaxCase(classes, height, width) for classes in _CLASSES for height, width in _SIZES]
    kinds = [(dtype, layout, values) for dtype in DTYPES for layout in LAYOUTS for values in VALUES]
    mixed = [
        ArgmaxCase(_CLASSES[index % len(_CLASSES)], *_SIZES[5 * index % len(_SIZES)], *kind)
        for index, kind in enumerate(kinds)
    ]
    large = [ArgmaxCase(*size, layout=layout) for size in _LARGE for layout in LAYOUTS[:2]]
    large += [
        ArgmaxCase(*_LARGE[0], dtype, values=values) for dtype in DTYPES for values in ("ties", "infinite", *_REFUSED)
    ]
    return list(dict.fromkeys([*plain, *mixed, *large]))


def few_cases() -> list[ArgmaxCase]:
    """Return a few dozen cases of every kind, which take well under a second."""
    kinds = [ArgmaxCase(5, 31, 33, dtype, values=values) for dtype in DTYPES for values in VALUES]
    layouts = [ArgmaxCase(8, 33, 31, layout=layout, values="ties") for layout in LAYOUTS]
    shapes = [ArgmaxCase(classes, 15, 17) for classes in _CLASSES]
    return [*kinds, *layouts, *shapes, ArgmaxCase(21, 128, 128), ArgmaxCase(3, 256, 257), ArgmaxCase(21, 255, 258)]


def run_cases(device: torch.device, cases: Iterable[ArgmaxCase]) -> Iterator[CaseResult]:
    """Compute cases on a device, one after the other, and compare them with numpy."""
    for index, case in enumerate(cases):
        logits = _logits_of(case, index)
        # A device may raise anything at a dtype or layout that it lacks; that is not a wrong label map.
        try:
            yield CaseResult(case, _is_right(case, logits, _with_layout(logits.to(device), case.layout)))
        except Exception as error:  # noqa: BLE001 - a broken device may fail in any way
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            yield CaseResult(case, False, _OUT_OF_MEMORY if out_of_memory(error) else text)


def summarise(results: Iterable[CaseResult]) -> ArgmaxCheck:
    """Sum up the results of cases.

    A device need not compute every case, but contiguous float32 it must, as far as its memory suffices: other failures
    there count as wrong.

    >>> summarise(run_cases(torch.device("cpu"), [ArgmaxCase(2, 3, 3)]))
    ArgmaxCheck(total=1, wrong=(), refused=())
    """
    total = 0
    wrong: list[ArgmaxCase] = []
    refused: list[tuple[ArgmaxCase, str]] = []
    for result in results:
        case, failure = result.case, result.failure
        required = (case.dtype, case.layout) == ("fp32", "contiguous")
        if failure is not None and (failure == _OUT_OF_MEMORY or not required):
            refused.append((case, failure))
            continue
        total += 1
        if not result.right:
            wrong.append(case)
    return ArgmaxCheck(total, tuple(wrong), tuple(refused))


def first_wrong_case(device: torch.device) -> ArgmaxCase | None:
    """Return the first of the few cases that a device computes wrong; None where all are right."""
    wrong = summarise(run_cases(device, few_cases())).wrong
    return wrong[0] if wrong else None


def _is_right(case: ArgmaxCase, host: Tensor, logits: Tensor) -> bool:
    """Return whether the label map of `logits` is right; `host` are the same logits on the CPU."""
    try:
        labels = start_device_argmax(logits).wait()
    except PredictionError:
        # Labels outside the classes raise the same error; there they are wrong.
        return case.values in _REFUSED
    expected = np.argmax(_with_layout(host, case.layout).float().numpy(), axis=0)
    return case.values not in _REFUSED and np.array_equal(labels, expected)


def _logits_of(case: ArgmaxCase, seed: int) -> Tensor:
    """Return logits [N, C, H, W] on the CPU, with the margins that `_with_layout` cuts off."""
    height, width = case.height, case.width
    size = {
        "window": (height + 3, width + 5),
        "transposed": (width, height),
        "every second column": (height, 2 * width),
    }.get(case.layout, (height, width))
    random = np.random.Generator(np.random.PCG64(seed))
    values = _random_values(case, random, (case.classes, *size))
    logits = torch.from_numpy(values).to(DTYPES[case.dtype])[None]
    return torch.cat((-logits, logits)) if case.layout == "second of a batch" else logits


def _random_values(case: ArgmaxCase, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return values [C, H, W] of the case's kind."""
    if case.values == "ties":
        # -0.0 among them, which equals 0.0.
        return np.copysign(random.integers(0, 3, shape), random.integers(-1, 2, shape)).astype(np.float32)
    values = random.standard_normal(shape, np.float32)
    if case.values == "large":
        values *= np.float32(_SCALES[case.dtype])
    if case.values == "negative":
        values = -1000 - np.abs(values)
    if case.values == "infinite":
        # Minus infinity in some classes everywhere, like masked classes, and in all but one class at some pixels; plus
        # infinity at some others, where two classes may tie.
        values[:: 1 + case.classes // 2] = -np.inf
        values[random.random(shape) < 0.02] = np.inf
        single = random.random(shape[1:]) < 0.1
        values[:-1, single], values[-1, single] = -np.inf, -1
    if case.values in _REFUSED:
        # One pixel that every layout keeps.
        row, column = (1, 2) if case.layout == "window" else ((shape[1] - 1) // 2, 0)
        values[-1 if case.values == "nan" else slice(None), row, column] = np.nan if case.values == "nan" else -np.inf
    return values


def _with_layout(logits: Tensor, layout: str) -> Tensor:
    """Return logits [C, H, W] in a memory layout, made on their own device."""
    if layout == "channels_last":
        return logits.contiguous(memory_format=torch.channels_last)[0]
    if layout == "second of a batch":
        return logits[1]
    if layout == "window":
        return logits[0, :, 1:-2, 2:-3]
    if layout == "transposed":
        return logits[0].transpose(1, 2)
    if layout == "every second column":
        return logits[0, :, :, ::2]
    return logits[0]
