"""`fcnbench doctor --model`: does a model keep the promises that a score rests on? One verdict a line."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from fcnbench.errors import FcnbenchError
from fcnbench.models.load import LoadedModel
from fcnbench.models.segmenter import Segmenter, answers_from_truth, modalities_of, module_of
from fcnbench.util.check_result import CheckResult

SIZES = ((97, 131), (64, 64), (33, 200), (1, 1))
"""Heights and widths that are tried: odd ones, a power of two, a strip, a pixel."""

_REPEATS, _LEAK = 20, 64
"""Pictures that are run one after the other, and MiB by which memory may grow meanwhile."""

_TOLERANCE = 1e-3
"""How far logits of one picture may differ, relative to the largest, between a batch and by itself."""


def conformance(loaded: LoadedModel, num_classes: int, device: torch.device) -> Iterator[CheckResult]:
    """Try a model on random pictures.

    Args:
        loaded: the model; its network is on the device.
        num_classes: classes that the data set has.
        device: where it runs.
    """
    segmenter = loaded.segmenter
    if answers_from_truth(segmenter):
        truth = np.arange(num_classes, dtype=np.uint8).reshape(1, -1)
        sound = getattr(segmenter, "answer")(truth.copy()).shape == truth.shape  # noqa: B009
        yield CheckResult("oracle", sound, "answers from the truth, at its size")
        return
    yield _tried("modalities", lambda: (True, " + ".join(modalities_of(segmenter))))
    yield _classes(loaded, num_classes)
    for height, width in SIZES:
        yield _tried(f"{height}x{width}", lambda: _shape(segmenter, (height, width), num_classes, device))  # noqa: B023
    yield _tried("determinism", lambda: _deterministic(segmenter, device))
    yield _tried("ahead", lambda: _ahead(segmenter, device))
    yield _tried("batch", lambda: _batch_invariant(segmenter, device))
    yield _tried("memory", lambda: _memory(segmenter, device))
    yield _module(segmenter)


def _tried(subject: str, look: Callable[[], tuple[bool, str]]) -> CheckResult:
    try:
        sound, text = look()
    except FcnbenchError as error:
        return CheckResult(subject, False, error.message)
    # The model is somebody else's code and may fail in any way, and even exit.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return CheckResult(subject, False, f"{type(error).__name__}: {error}")
    return CheckResult(subject, sound, text)


def _classes(loaded: LoadedModel, num_classes: int) -> CheckResult:
    if loaded.labels is not None and not loaded.labels.identity:
        return CheckResult("label space", not loaded.labels.unknown, loaded.labels.told())
    return CheckResult("label space", True, f"{num_classes} classes")


def _logits(segmenter: Segmenter, size: tuple[int, int], device: torch.device, seed: int = 0) -> Tensor:
    return _answer(segmenter, _prepared(segmenter, size, seed)[None], device)


def _answer(segmenter: Segmenter, batch: Tensor, device: torch.device) -> Tensor:
    """Logits in memory of their own, for a copy of the batch: models may write into it, and use memory again."""
    with torch.inference_mode():
        return _own(segmenter.logits(batch.clone().to(device)))


def _own(given: Tensor) -> Tensor:
    """A copy, of what is a tensor at all."""
    return given.clone() if isinstance(given, Tensor) else given


def _prepared(segmenter: Segmenter, size: tuple[int, int], seed: int = 0) -> Tensor:
    """A random sample of what the model takes, prepared."""
    random = np.random.Generator(np.random.PCG64(seed))
    pictures = [
        random.integers(1000, 5000, size, np.uint16)
        if name == "depth"
        else random.integers(0, 256, (*size, 3), np.uint8)
        for name in modalities_of(segmenter)
    ]
    prepare: Callable[..., Tensor] = segmenter.prepare
    return _own(prepare(*pictures))


def _shape(segmenter: Segmenter, size: tuple[int, int], num_classes: int, device: torch.device) -> tuple[bool, str]:
    found = _logits(segmenter, size, device)
    wrong = []
    if tuple(found.shape) != (1, num_classes, *size):
        wrong.append(f"logits are {tuple(found.shape)}, expected {(1, num_classes, *size)}")
    if not found.is_floating_point():
        wrong.append(f"logits are {found.dtype}, expected floating point")
    elif bool(found.isnan().any()):
        wrong.append("the logits hold NaN")
    elif bool(found.amax(1).isneginf().any()):
        wrong.append("the logits are minus infinity in every class at some pixel")
    return not wrong, "; ".join(wrong) or f"logits {tuple(found.shape)} of {found.dtype}".replace("torch.", "")


def _deterministic(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    first, second = (_logits(segmenter, SIZES[0], device) for _ in range(2))
    flipped = int((first.cpu().argmax(1) != second.cpu().argmax(1)).sum())
    if torch.equal(first, second):
        return True, "the same picture twice gives the same logits, bit by bit"
    return False, f"the same picture twice gives other logits; {flipped} of {first[0, 0].numel()} pixels change class"


def _ahead(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Whether other pictures may be prepared before this one's logits are asked for, as the evaluation loop does."""
    alone = _logits(segmenter, SIZES[0], device)
    prepared = _prepared(segmenter, SIZES[0])
    _prepared(segmenter, SIZES[2], seed=1)
    found = _answer(segmenter, prepared[None], device)
    same = found.shape == alone.shape and torch.equal(found, alone)
    if same:
        return True, "pictures may be prepared ahead"
    return False, "another picture prepared in between changes the logits: keep nothing between prepare and logits"


def _batch_invariant(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    pictures = [_prepared(segmenter, SIZES[0], seed) for seed in range(2)]
    alone = torch.cat([_answer(segmenter, picture[None], device) for picture in pictures])
    together = _answer(segmenter, torch.stack(pictures), device)
    finite = alone.isfinite()
    if not bool(finite.any()):
        return False, "two pictures together: no logit is finite"
    scale = float(alone[finite].abs().max()) or 1.0
    gap = float((alone - together)[finite].abs().max()) / scale
    flipped = int((alone.cpu().argmax(1) != together.cpu().argmax(1)).sum())
    text = f"two pictures together: {flipped} of {alone[:, 0].numel()} pixels change class, logits by {gap:.1g} at most"
    return gap <= _TOLERANCE, text


def _memory(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Whether memory grows from picture to picture, and where the device counts it, how much one takes."""
    _logits(segmenter, SIZES[0], device)
    before = _resident(device)
    for seed in range(_REPEATS):
        _logits(segmenter, SIZES[0], device, seed)
    grown = (_resident(device) - before) / 2**20
    most = _counted(device, "max_memory_allocated")
    peak = "" if most is None else f", {most / 2**20:.0f} MiB at most"
    return grown < _LEAK, f"{_REPEATS} pictures more take {max(0.0, grown):.0f} MiB more{peak}"


def _resident(device: torch.device) -> int:
    """Bytes of tensors that are kept on the device.

    Where its allocator does not count them, as on the CPU, those that Python can see are added up: what the process
    takes of the system says little, since freed memory is used again.
    """
    allocated = _counted(device, "memory_allocated")
    if allocated is not None:
        return allocated
    gc.collect()
    tensors = [found for found in gc.get_objects() if type(found) in {Tensor, torch.nn.Parameter}]
    sizes = [found.numel() * found.element_size() for found in tensors if found.device.type == device.type]
    # What torch.export traced may still lie about: tensors without memory, some with symbols for sizes.
    return sum(size for size in sizes if isinstance(size, int))


def _counted(device: torch.device, name: str) -> int | None:
    """Bytes that the device's allocator counts, by the name of its function; None where it does not."""
    if device.type == "cpu":
        return None
    # Devices lack such functions in ways of their own.
    with suppress(Exception):
        return int(getattr(torch.get_device_module(device.type), name)(device))
    return None


def _module(segmenter: Segmenter) -> CheckResult:
    module = module_of(segmenter)
    if module is None:
        return CheckResult("module", True, "no torch.nn.Module inside: not moved to a device, no digest of parameters")
    training = [name or "the net itself" for name, part in module.named_modules() if part.training]
    numbers = sum(value.numel() for value in module.parameters())
    if training:
        return CheckResult("module", False, f"{len(training)} parts are in training mode, {training[0]} first")
    return CheckResult("module", True, f"{numbers:,} parameters, in evaluation mode")
