"""`onnx:PATH`, `torchscript:PATH` and `export:PATH`: networks in files that contain their own code.

They take normalised RGB [N, 3, H, W] and return logits [N, C, h, w]. ImageNet's mean and deviation are used unless the
file states others (`metadata.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.errors import ModelError
from fcnbench.models.adapters.metadata import EXTRA, Metadata, read_archive_metadata, read_onnx_metadata
from fcnbench.models.adapters.onnx import read_onnx
from fcnbench.models.adapters.outputs import Output, choose_output, logits_function
from fcnbench.models.adapters.resizing import Forward, ResizingSegmenter, no_weights
from fcnbench.util.console import listed
from fcnbench.util.digests import digest_file

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)")
"""Floating-point types, as onnxruntime names them."""


def onnx(argument: str, weights: str | None = None, num_classes: int | None = None) -> ResizingSegmenter:
    """Load a network that onnxruntime runs on the CPU.

    Raises:
        ModelError: onnxruntime is not installed, the file is not a network with one input and one output that can be
            the logits, or it describes itself wrongly.
        WeightsError: weights were given, or there is no such file.
    """
    path = _path("onnx", argument, weights)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime has an exception class per status, with no common base except Exception.
    except Exception as error:
        raise _unreadable("onnx", path, error) from error
    metadata = read_onnx_metadata(path, session.get_modelmeta().custom_metadata_map)
    inputs = [_onnx_value(value) for value in session.get_inputs()]
    _check_inputs(path, [str(value) for value in inputs])
    outputs = {value.name: _onnx_value(value) for value in session.get_outputs()}
    name = choose_output(path, tuple(outputs.values()), metadata.output, len(metadata.classes) or num_classes)
    if metadata.classes and outputs[name].channels not in (None, len(metadata.classes)):
        raise ModelError(
            f"{path} names {len(metadata.classes)} classes, and its output {outputs[name]} has "
            f"{outputs[name].channels} channels",
            "name one class per channel in the metadata key `classes`",
        )

    def forward(batch: Tensor) -> Tensor:
        logits = session.run([name], {inputs[0].name: batch.cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(logits))

    content = read_onnx(path)
    return _segmenter(forward, None, path, metadata, content.digest, content.dtypes)


def torchscript(argument: str, weights: str | None = None, num_classes: int | None = None) -> ResizingSegmenter:
    """Load a network saved by `torch.jit.save`.

    Raises:
        ModelError: the file is not TorchScript, takes several inputs, or describes itself wrongly.
        WeightsError: weights were given, or there is no such file.
    """
    path = _path("torchscript", argument, weights)
    extra = {EXTRA: ""}
    try:
        net = torch.jit.load(path, "cpu", _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        raise _unreadable("torchscript", path, error) from error
    net.eval()
    metadata = read_archive_metadata(path, extra[EXTRA])
    arguments = net.forward.schema.arguments[1:]  # without the module itself
    _check_inputs(path, [argument.name for argument in arguments if not argument.has_default_value()])
    forward = logits_function(net, path, metadata.output, len(metadata.classes) or num_classes)
    return _segmenter(forward, net, path, metadata)


def exported(argument: str, weights: str | None = None, num_classes: int | None = None) -> ResizingSegmenter:
    """Load a network saved by `torch.export.save`.

    Raises:
        ModelError: the file is not such a program, takes several inputs, or describes itself wrongly.
        WeightsError: weights were given, or there is no such file.
    """
    path = _path("export", argument, weights)
    extra = {EXTRA: ""}
    try:
        program = torch.export.load(path, extra_files=extra)
        net = _Program(program.module())
    # The file may not be a zip, not be a program, or be a program of another version: errors of many classes.
    except Exception as error:
        raise _unreadable("export", path, error) from error
    metadata = read_archive_metadata(path, extra[EXTRA])
    _check_inputs(path, [str(name) for name in program.graph_signature.user_inputs])
    forward = logits_function(net, path, metadata.output, len(metadata.classes) or num_classes)
    return _segmenter(forward, net, path, metadata)


class _Program(nn.Module):
    """An exported program as a module whose mode can be set; the program itself has one mode and refuses."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, batch: Tensor) -> Any:
        """Return the program's output: a tensor, or several."""
        return self.program(batch)

    def train(self, mode: bool = True) -> _Program:
        """Set `training`; nothing else changes."""
        self.training = mode
        return self


def _path(scheme: str, argument: str, weights: str | None) -> Path:
    if weights is not None:
        raise no_weights(scheme, argument)
    return Path(argument).expanduser()


def _onnx_value(value: Any) -> Output:
    """Return an input or output of an onnxruntime session; it has no shape where onnxruntime knows none."""
    dtype = value.type.removeprefix("tensor(").removesuffix(")")
    return Output(value.name, dtype, value.shape or None, value.type in _FLOATS)


def _check_inputs(path: Path, inputs: list[str]) -> None:
    if len(inputs) != 1:
        raise ModelError(
            f"{path} has {len(inputs)} inputs, expected one, images [N, 3, H, W]: {listed(inputs, 10) or 'none'}",
            "export a network from images to logits",
        )


def _unreadable(scheme: str, path: Path, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(f"{path} can't be read as {scheme}: {reason}", "export it again with versions that fit")


def _segmenter(
    forward: Forward,
    module: Any,
    path: Path,
    metadata: Metadata,
    digest: str = "",
    dtypes: frozenset[str] = frozenset(),
) -> ResizingSegmenter:
    """Return the segmenter of a file, with the input and classes that its metadata state."""
    return ResizingSegmenter(
        forward,
        module=module,
        mean=metadata.mean,
        std=metadata.std,
        bgr=metadata.bgr,
        classes=metadata.classes,
        digest=digest or digest_file(path),
        dtypes=dtypes,
    )
