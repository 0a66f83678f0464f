"""`--model SCHEME:ARGUMENT`: the schemes, and what builds their models. Importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from fcnbench.errors import ModelError

PATH = "PATH"
"""The argument of schemes that read a file."""


@dataclass(frozen=True)
class Scheme:
    """A family of models that take an argument in their name.

    Attributes:
        target: `module:function`, called with the argument, and with `weights=` and `num_classes=` as far as it takes
            them.
        argument: what stands behind the colon, for lists and messages.
        about: one line.
        optional: whether the argument may be left out.
        package: module that it needs, installed by the extra of the scheme's name; empty where it needs none.
    """

    target: str
    argument: str
    about: str
    optional: bool = False
    package: str = ""


SCHEMES: dict[str, Scheme] = {
    "torchvision": Scheme("fcnbench.models.adapters.torchvision:build", "NAME", "torchvision's segmentation models"),
    "hf": Scheme(
        "fcnbench.models.adapters.huggingface:build", "ORG/NAME", "Hugging Face transformers", package="transformers"
    ),
    "smp": Scheme(
        "fcnbench.models.adapters.smp:build",
        "ARCH:ENCODER",
        "segmentation_models_pytorch, timm encoders",
        package="segmentation_models_pytorch",
    ),
    "onnx": Scheme(
        "fcnbench.models.adapters.files:onnx", PATH, "an ONNX file, run by onnxruntime", package="onnxruntime"
    ),
    "torchscript": Scheme("fcnbench.models.adapters.files:torchscript", PATH, "a TorchScript file"),
    "export": Scheme("fcnbench.models.adapters.files:exported", PATH, "a torch.export program"),
    "oracle-perfect": Scheme("fcnbench.models.oracles:perfect", "", "repeats the truth", optional=True),
    "oracle-constant": Scheme("fcnbench.models.oracles:constant", "K", "says class K everywhere", optional=True),
    "oracle-downsample": Scheme(
        "fcnbench.models.oracles:downsample", "F", "the truth, shrunk by F and blown up: a net's upper bound"
    ),
}
"""Schemes by the word before the colon."""


def missing_extra(scheme: str) -> ModelError:
    """Return the error for a scheme whose package is not installed."""
    package = SCHEMES[scheme].package
    return ModelError(
        f"--model {scheme}:... needs the package {package}, which is not installed",
        f"pip install 'fcnbench[{scheme}]', or pip install {package.replace('_', '-')}",
    )
