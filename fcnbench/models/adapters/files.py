"""`onnx:PATH`, `torchscript:PATH` and `export:PATH`: networks as files that carry their own code.

They take normalised RGB [N, 3, H, W] and give logits [N, C, h, w]. ImageNet's mean and deviation are used unless the
file says otherwise (`about.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.errors import ModelError
from fcnbench.models.adapters.metadata import EXTRA, About, about_archive, about_onnx
from fcnbench.models.adapters.onnx import read_onnx
from fcnbench.models.adapters.outputs import Output, chosen, picking
from fcnbench.models.adapters.resized import Forward, Resized, no_weights
from fcnbench.util.console import listed
from fcnbench.util.digests import digest_file

_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)")
"""onnxruntime's names of floating-point types."""


def onnx(argument: str, weights: str | None = None, num_classes: int | None = None) -> Resized:
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
    # onnxruntime has an exception class for every status, without a common base but Exception.
    except Exception as error:
        raise _unreadable("onnx", path, error) from error
    about = about_onnx(path, session.get_modelmeta().custom_metadata_map)
    inputs = [_onnx_value(each) for each in session.get_inputs()]
    _check_inputs(path, [str(each) for each in inputs])
    outputs = {each.name: _onnx_value(each) for each in session.get_outputs()}
    name = chosen(path, tuple(outputs.values()), about.output, len(about.classes) or num_classes)
    if about.classes and outputs[name].channels not in (None, len(about.classes)):
        raise ModelError(
            f"{path} names {len(about.classes)} classes, and its output {outputs[name]} has {outputs[name].channels} "
            "channels",
            "name one class for every channel in the metadata key `classes`",
        )

    def forward(batch: Tensor) -> Tensor:
        answer = session.run([name], {inputs[0].name: batch.cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(answer))

    held = read_onnx(path)
    return _described(forward, None, path, about, held.digest, held.dtypes)


def torchscript(argument: str, weights: str | None = None, num_classes: int | None = None) -> Resized:
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
    about = about_archive(path, extra[EXTRA])
    arguments = net.forward.schema.arguments[1:]  # without the module itself
    _check_inputs(path, [each.name for each in arguments if not each.has_default_value()])
    forward = picking(net, path, about.output, len(about.classes) or num_classes)
    return _described(forward, net, path, about)


def exported(argument: str, weights: str | None = None, num_classes: int | None = None) -> Resized:
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
    # Whatever the archive's reader meets: no zip, no program, a program of another version.
    except Exception as error:
        raise _unreadable("export", path, error) from error
    about = about_archive(path, extra[EXTRA])
    _check_inputs(path, [str(name) for name in program.graph_signature.user_inputs])
    forward = picking(net, path, about.output, len(about.classes) or num_classes)
    return _described(forward, net, path, about)


class _Program(nn.Module):
    """An exported program, which has one mode only and refuses to be told which."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, batch: Tensor) -> Any:
        """Return the program's answer: a tensor, or several of them."""
        return self.program(batch)

    def train(self, mode: bool = True) -> _Program:
        """Nothing to change."""
        self.training = mode
        return self


def _path(scheme: str, argument: str, weights: str | None) -> Path:
    if weights is not None:
        raise no_weights(scheme, argument)
    return Path(argument).expanduser()


def _onnx_value(value: Any) -> Output:
    """Describe an input or output of an onnxruntime session; it gives no shape where it knows none."""
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


def _described(
    forward: Forward, module: Any, path: Path, about: About, digest: str = "", dtypes: frozenset[str] = frozenset()
) -> Resized:
    """The segmenter of a file, with what the file says about its input and classes."""
    return Resized(
        forward,
        module=module,
        mean=about.mean,
        std=about.std,
        bgr=about.bgr,
        classes=about.classes,
        digest=digest or digest_file(path),
        dtypes=dtypes,
    )
