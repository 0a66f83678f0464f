"""`fcnbench doctor --model`: checks that a model behaves as fcnbench assumes, on random images."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from fcnbench.errors import FcnbenchError
from fcnbench.models.load import LoadedModel
from fcnbench.models.segmenter import Segmenter, is_oracle, modalities_of, module_of
from fcnbench.util.check_result import CheckResult

SIZES = ((97, 131), (64, 64), (33, 200), (1, 1))
"""Heights and widths of the images: odd numbers, a power of two, a narrow strip, one pixel."""

_REPEATS = 20
"""Number of images that run one after the other in the memory check."""

_LEAK = 64
"""Growth of memory in MiB over these images that counts as a leak."""

_TOLERANCE = 1e-3
"""Largest difference between an image's logits in a batch and on its own, relative to the largest logit."""


def check_segmenter(loaded: LoadedModel, num_classes: int, device: torch.device) -> Iterator[CheckResult]:
    """Check a model on random images.

    Args:
        loaded: the model; its network is on the device.
        num_classes: number of classes of the dataset.
        device: where it runs.
    """
    segmenter = loaded.segmenter
    if is_oracle(segmenter):
        label = np.arange(num_classes, dtype=np.uint8).reshape(1, -1)
        prediction = getattr(segmenter, "predict_from_ground_truth")(label.copy())  # noqa: B009 - not in the protocol
        yield CheckResult("oracle", prediction.shape == label.shape, "predicts from the ground truth, at its size")
        return
    yield _run("modalities", lambda: (True, " + ".join(modalities_of(segmenter))))
    yield _check_classes(loaded, num_classes)
    for height, width in SIZES:
        yield _run(f"{height}x{width}", lambda: _check_logits(segmenter, (height, width), num_classes, device))  # noqa: B023 - called at once
    yield _run("determinism", lambda: _check_determinism(segmenter, device))
    yield _run("ahead", lambda: _check_preparing_ahead(segmenter, device))
    yield _run("batch", lambda: _check_batch_invariance(segmenter, device))
    yield _run("memory", lambda: _check_memory(segmenter, device))
    yield _check_module(segmenter)


def _run(subject: str, check: Callable[[], tuple[bool, str]]) -> CheckResult:
    """Run one check, which returns whether the model passes and a text; an exception is a failure."""
    try:
        sound, text = check()
    except FcnbenchError as error:
        return CheckResult(subject, False, error.message)
    # The model is third-party code: it may raise anything, and even exit.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return CheckResult(subject, False, f"{type(error).__name__}: {error}")
    return CheckResult(subject, sound, text)


def _check_classes(loaded: LoadedModel, num_classes: int) -> CheckResult:
    mapping = loaded.class_mapping
    if mapping is not None and not mapping.identity:
        return CheckResult("label space", not mapping.unknown, mapping.describe())
    return CheckResult("label space", True, f"{num_classes} classes")


def _random_logits(segmenter: Segmenter, size: tuple[int, int], device: torch.device, seed: int = 0) -> Tensor:
    """Return the logits [1, C, H, W] of a random image."""
    return _logits(segmenter, _prepare_random(segmenter, size, seed)[None], device)


def _logits(segmenter: Segmenter, batch: Tensor, device: torch.device) -> Tensor:
    """Return a copy of the logits for a copy of the batch: models may write into their input and reuse memory."""
    with torch.inference_mode():
        return _copy(segmenter.logits(batch.clone().to(device)))


def _copy(output: Tensor) -> Tensor:
    """Return a copy of a tensor; anything else that a model returns is left for the check that reports it."""
    return output.clone() if isinstance(output, Tensor) else output


def _prepare_random(segmenter: Segmenter, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Preprocess random images of the model's modalities."""
    random = np.random.Generator(np.random.PCG64(seed))
    images = [
        random.integers(1000, 5000, size, np.uint16)
        if name == "depth"
        else random.integers(0, 256, (*size, 3), np.uint8)
        for name in modalities_of(segmenter)
    ]
    prepare: Callable[..., Tensor] = segmenter.prepare
    return _copy(prepare(*images))


def _check_logits(
    segmenter: Segmenter, size: tuple[int, int], num_classes: int, device: torch.device
) -> tuple[bool, str]:
    """Check the shape, dtype and values of logits."""
    logits = _random_logits(segmenter, size, device)
    faults = []
    if tuple(logits.shape) != (1, num_classes, *size):
        faults.append(f"logits are {tuple(logits.shape)}, expected {(1, num_classes, *size)}")
    if not logits.is_floating_point():
        faults.append(f"logits are {logits.dtype}, expected floating point")
    elif bool(logits.isnan().any()):
        faults.append("the logits hold NaN")
    elif bool(logits.amax(1).isneginf().any()):
        faults.append("the logits are minus infinity in every class at some pixel")
    return not faults, "; ".join(faults) or f"logits {tuple(logits.shape)} of {logits.dtype}".replace("torch.", "")


def _check_determinism(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Check that an image has the same logits twice."""
    first, second = (_random_logits(segmenter, SIZES[0], device) for _ in range(2))
    if torch.equal(first, second):
        return True, "the same image twice gives the same logits, bit for bit"
    flipped = _changed_pixels(first, second)
    pixels = first[0, 0].numel()
    return False, f"the same image twice gives different logits; {flipped} of {pixels} pixels change class"


def _changed_pixels(first: Tensor, second: Tensor) -> int:
    """Return how many pixels have another class in the second logits."""
    return int((first.cpu().argmax(1) != second.cpu().argmax(1)).sum())


def _check_preparing_ahead(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Check that another image may be preprocessed between an image's `prepare` and `logits`."""
    expected = _random_logits(segmenter, SIZES[0], device)
    prepared = _prepare_random(segmenter, SIZES[0])
    _prepare_random(segmenter, SIZES[2], seed=1)
    logits = _logits(segmenter, prepared[None], device)
    if logits.shape == expected.shape and torch.equal(logits, expected):
        return True, "images may be prepared ahead"
    return False, "another image prepared in between changes the logits: keep nothing between prepare and logits"


def _check_batch_invariance(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Check that two images have nearly the same logits in a batch as on their own."""
    images = [_prepare_random(segmenter, SIZES[0], seed) for seed in range(2)]
    single = torch.cat([_logits(segmenter, image[None], device) for image in images])
    batched = _logits(segmenter, torch.stack(images), device)
    finite = single.isfinite()
    if not bool(finite.any()):
        return False, "a batch of two: no logit is finite"
    scale = float(single[finite].abs().max()) or 1.0
    difference = float((single - batched)[finite].abs().max()) / scale
    flipped = _changed_pixels(single, batched)
    pixels = single[:, 0].numel()
    text = f"a batch of two: {flipped} of {pixels} pixels change class, logits change by {difference:.1g} at most"
    return difference <= _TOLERANCE, text


def _check_memory(segmenter: Segmenter, device: torch.device) -> tuple[bool, str]:
    """Check that memory does not grow from image to image, and report its peak where the device counts it."""
    _random_logits(segmenter, SIZES[0], device)
    before = _tensor_bytes(device)
    for seed in range(_REPEATS):
        _random_logits(segmenter, SIZES[0], device, seed)
    growth = (_tensor_bytes(device) - before) / 2**20
    peak = _allocator_count(device, "max_memory_allocated")
    suffix = "" if peak is None else f", {peak / 2**20:.0f} MiB at most"
    return growth < _LEAK, f"{_REPEATS} more images take {max(0.0, growth):.0f} MiB more{suffix}"


def _tensor_bytes(device: torch.device) -> int:
    """Return the bytes of all tensors on the device.

    Where its allocator does not count them, as on the CPU, the tensors that Python can see are summed. The memory of
    the process would say little, since freed memory is used again.
    """
    allocated = _allocator_count(device, "memory_allocated")
    if allocated is not None:
        return allocated
    gc.collect()
    tensors = [value for value in gc.get_objects() if type(value) in {Tensor, torch.nn.Parameter}]
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors if tensor.device.type == device.type]
    # Tensors that torch.export traced may be among them, without memory and with symbols for sizes.
    return sum(size for size in sizes if isinstance(size, int))


def _allocator_count(device: torch.device, function: str) -> int | None:
    """Return the bytes that a function of the device's allocator counts; None where there is no such function."""
    if device.type == "cpu":
        return None
    # Devices without such functions raise different exceptions.
    with suppress(Exception):
        return int(getattr(torch.get_device_module(device.type), function)(device))
    return None


def _check_module(segmenter: Segmenter) -> CheckResult:
    module = module_of(segmenter)
    if module is None:
        return CheckResult("module", True, "no torch.nn.Module inside: not moved to a device, no digest of parameters")
    training = [name or "the network itself" for name, part in module.named_modules() if part.training]
    if training:
        return CheckResult("module", False, f"{len(training)} parts are in training mode, {training[0]} first")
    parameters = sum(value.numel() for value in module.parameters())
    return CheckResult("module", True, f"{parameters:,} parameters, in evaluation mode")
