"""Trials of a device's argmax: logits of many shapes, dtypes, memory layouts and values, compared with numpy.

A segmentation argmax runs over the first axis of [C, H, W], which few others do, and devices got it wrong: for some
numbers of classes, beyond some number of pixels, in one memory layout, at ties.
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
from fcnbench.evaluation.device_argmax import device_labels

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYOUTS = ("contiguous", "channels_last", "second of a batch", "window", "transposed", "every second column")
VALUES = ("normal", "ties", "large", "negative", "infinite", "impossible", "nan")
"""What the logits are: `ties` are small integers, where the lowest class must win; of the last two, one pixel has no
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
"""Around and beyond 2^16 pixels."""

_MEMORY = "out of memory"

_LARGEST = {"fp32": 1e30, "bf16": 1e30, "fp16": 1e4}


@dataclass(frozen=True)
class Trial:
    """One argmax.

    Attributes:
        classes: C.
        height: H.
        width: W.
        dtype: one of `DTYPES`.
        layout: one of `LAYOUTS`, in memory.
        values: one of `VALUES`.
    """

    classes: int
    height: int
    width: int
    dtype: str = "fp32"
    layout: str = "contiguous"
    values: str = "normal"

    def told(self) -> str:
        """Return it in a few words.

        >>> Trial(21, 97, 131, "bf16", "channels_last", "ties").told()
        '21x97x131 bf16 channels_last, ties'
        """
        rest = "" if self.values == "normal" else f", {self.values}"
        return f"{self.classes}x{self.height}x{self.width} {self.dtype} {self.layout}{rest}"


@dataclass(frozen=True)
class Trials:
    """What came of them.

    Attributes:
        total: trials that the device could do.
        wrong: those whose label map was not numpy's, or where a pixel without a largest logit passed.
        refused: those that it could not do, such as a dtype that it does not have, with the reason.
    """

    total: int
    wrong: tuple[Trial, ...]
    refused: tuple[tuple[Trial, str], ...]

    @property
    def right(self) -> int:
        """How many gave numpy's label map."""
        return self.total - len(self.wrong)


def all_trials() -> list[Trial]:
    """Return a few hundred trials, the same ones everywhere."""
    plain = [Trial(classes, height, width) for classes in _CLASSES for height, width in _SIZES]
    kinds = [(dtype, layout, values) for dtype in DTYPES for layout in LAYOUTS for values in VALUES]
    mixed = [
        Trial(_CLASSES[place % len(_CLASSES)], *_SIZES[5 * place % len(_SIZES)], *kind)
        for place, kind in enumerate(kinds)
    ]
    large = [Trial(*size, layout=layout) for size in _LARGE for layout in LAYOUTS[:2]]
    large += [Trial(*_LARGE[0], dtype, values=values) for dtype in DTYPES for values in ("ties", "infinite", *_REFUSED)]
    return list(dict.fromkeys([*plain, *mixed, *large]))


def few_trials() -> list[Trial]:
    """Return a few dozen of them, of every kind, which take well under a second."""
    kinds = [Trial(5, 31, 33, dtype, values=values) for dtype in DTYPES for values in VALUES]
    layouts = [Trial(8, 33, 31, layout=layout, values="ties") for layout in LAYOUTS]
    shapes = [Trial(classes, 15, 17) for classes in _CLASSES]
    return [*kinds, *layouts, *shapes, Trial(21, 128, 128), Trial(3, 256, 257), Trial(21, 255, 258)]


def tried(device: torch.device, trials: Iterable[Trial]) -> Iterator[tuple[Trial, bool | str]]:
    """Do trials one after the other.

    Returns:
        Each trial with whether it came out right, or with the reason why the device could not do it.
    """
    for place, trial in enumerate(trials):
        host = _logits(trial, place)
        # Whatever a device raises at a dtype or layout that it lacks is an honest answer; a wrong label map is not.
        try:
            yield trial, _right(trial, host, _laid_out(host.to(device), trial.layout))
        except Exception as error:  # noqa: BLE001
            yield trial, _MEMORY if out_of_memory(error) else f"{type(error).__name__}: {error}".splitlines()[0]


def outcome(found: Iterable[tuple[Trial, bool | str]]) -> Trials:
    """Sum up trials; float32 in contiguous memory is what every device must do, as far as its memory goes."""
    wrong: list[Trial] = []
    refused: list[tuple[Trial, str]] = []
    total = 0
    for total, (trial, right) in enumerate(found, start=1):  # noqa: B007 - the last one counts
        if isinstance(right, str) and (right == _MEMORY or (trial.dtype, trial.layout) != ("fp32", "contiguous")):
            refused.append((trial, right))
        elif right is not True:
            wrong.append(trial)
    return Trials(total - len(refused), tuple(wrong), tuple(refused))


def first_wrong(device: torch.device) -> str | None:
    """Return the first of the few trials that a device gets wrong, in words; None where it gets all right."""
    wrong = outcome(tried(device, few_trials())).wrong
    return wrong[0].told() if wrong else None


def _right(trial: Trial, host: Tensor, logits: Tensor) -> bool:
    try:
        labels = device_labels(logits)()
    except PredictionError:
        # Labels outside the classes are refused, too, and are wrong.
        return trial.values in _REFUSED
    expected = np.argmax(_laid_out(host, trial.layout).float().numpy(), axis=0)
    return trial.values not in _REFUSED and np.array_equal(labels, expected)


def _logits(trial: Trial, seed: int) -> Tensor:
    """Return logits [1, C, H, W] on the host, with the room around them that their layout takes away again."""
    height, width = trial.height, trial.width
    size = {
        "window": (height + 3, width + 5),
        "transposed": (width, height),
        "every second column": (height, 2 * width),
    }.get(trial.layout, (height, width))
    random = np.random.Generator(np.random.PCG64(seed))
    values = _drawn(trial, random, (trial.classes, *size))
    logits = torch.from_numpy(values).to(DTYPES[trial.dtype])[None]
    return torch.cat((-logits, logits)) if trial.layout == "second of a batch" else logits


def _drawn(trial: Trial, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if trial.values == "ties":
        # -0.0 among them, which equals 0.0.
        return np.copysign(random.integers(0, 3, shape), random.integers(-1, 2, shape)).astype(np.float32)
    values = random.standard_normal(shape, np.float32)
    if trial.values == "large":
        values *= np.float32(_LARGEST[trial.dtype])
    if trial.values == "negative":
        values = -1000 - np.abs(values)
    if trial.values == "infinite":
        # Some classes are ruled out everywhere, as masked ones are; at some pixels all but one are, or two are certain.
        values[:: 1 + trial.classes // 2] = -np.inf
        values[random.random(shape) < 0.02] = np.inf
        alone = random.random(shape[1:]) < 0.1
        values[:-1, alone], values[-1, alone] = -np.inf, -1
    if trial.values in _REFUSED:
        # One pixel that every layout keeps.
        row, column = (1, 2) if trial.layout == "window" else ((shape[1] - 1) // 2, 0)
        values[-1 if trial.values == "nan" else slice(None), row, column] = np.nan if trial.values == "nan" else -np.inf
    return values


def _laid_out(logits: Tensor, layout: str) -> Tensor:
    """Return logits [C, H, W] in a memory layout, made where they are."""
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
