"""`onnx:PATH`, `torchscript:PATH` and `export:PATH`: networks as files that carry their own code.

They take normalised RGB [N, 3, H, W] and give logits [N, C, h, w]. ImageNet's mean and deviation are used unless the
file says otherwise: an ONNX file in its metadata (`mean`, `std` on a scale of 0..1, `order`, `classes`, all
comma-separated), a TorchScript file in an extra file `fcnbench.json`, a `torch.export` program in the same extra file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.errors import FcnbenchError, ModelError
from fcnbench.ground.digests import digest_file
from fcnbench.models.adapters.resized import Forward, Resized, no_weights

_EXTRA = "fcnbench.json"
"""Extra file in TorchScript archives and `torch.export` programs."""

_PLANES = 3


def onnx(argument: str, weights: str | None = None) -> Resized:
    """A network that onnxruntime runs on the CPU.

    Raises:
        ModelError: onnxruntime is not installed, or the file is no network with one input and one output.
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
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or not outputs:
        raise ModelError(f"{path} has {len(inputs)} inputs, expected one", "export a network from pictures to logits")

    def forward(batch: Tensor) -> Tensor:
        answer = session.run([outputs[0].name], {inputs[0].name: batch.cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(answer))

    about = {key: str(value).split(",") for key, value in session.get_modelmeta().custom_metadata_map.items()}
    return _described(forward, None, path, about)


def torchscript(argument: str, weights: str | None = None) -> Resized:
    """A network saved by `torch.jit.save`.

    Raises:
        ModelError: the file is no TorchScript.
        WeightsError: weights were given, or there is no such file.
    """
    path = _path("torchscript", argument, weights)
    extra = {_EXTRA: ""}
    try:
        net = torch.jit.load(path, "cpu", _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        raise _unreadable("torchscript", path, error) from error
    net.eval()
    return _described(net, net, path, _about(path, extra[_EXTRA]))


def exported(argument: str, weights: str | None = None) -> Resized:
    """A network saved by `torch.export.save`.

    Raises:
        ModelError: the file is no such program.
        WeightsError: weights were given, or there is no such file.
    """
    path = _path("export", argument, weights)
    extra = {_EXTRA: ""}
    try:
        net = _Program(torch.export.load(path, extra_files=extra).module())
    # Whatever the archive's reader meets: no zip, no program, a program of another version.
    except Exception as error:
        raise _unreadable("export", path, error) from error
    return _described(net, net, path, _about(path, extra[_EXTRA]))


class _Program(nn.Module):
    """An exported program, which has one mode only and refuses to be told which."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, batch: Tensor) -> Tensor:
        """The program's answer."""
        answer: Tensor = self.program(batch)
        return answer

    def train(self, mode: bool = True) -> _Program:
        """Nothing to change."""
        self.training = mode
        return self


def _path(scheme: str, argument: str, weights: str | None) -> Path:
    if weights is not None:
        raise no_weights(scheme, argument)
    return Path(argument).expanduser()


def _unreadable(scheme: str, path: Path, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(f"{path} can't be read as {scheme}: {reason}", "export it again with versions that fit")


def _about(path: Path, text: str | bytes) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{_EXTRA} in {path} is no JSON: {error}", "write it anew") from error
    return found if isinstance(found, dict) else {}


def _described(forward: Forward, module: Any, path: Path, about: Mapping[str, Any]) -> Resized:
    """The segmenter of a file, with what the file says about its input and classes."""
    options: dict[str, Any] = {}
    try:
        for key in ("mean", "std"):
            if key in about:
                options[key] = tuple(float(value) for value in about[key])
                if len(options[key]) != _PLANES:
                    raise ValueError(f"{key} has {len(options[key])} numbers")
        if "order" in about:
            options["bgr"] = "".join(about["order"]).strip().upper() == "BGR"
        return Resized(
            forward,
            module=module,
            classes=[str(name).strip() for name in about.get("classes", ())],
            digest=digest_file(path),
            **options,
        )
    except FcnbenchError:
        raise
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path} describes its input wrongly: {error}", "mean and std are three numbers each"
        ) from error
