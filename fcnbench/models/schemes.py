"""`--model SCHEME:ARGUMENT`: the schemes and the functions that build their models. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from fcnbench.errors import ModelError

PATH = "PATH"
"""The argument of schemes that take a file."""


@dataclass(frozen=True)
class Scheme:
    """A family of models whose names contain an argument.

    Attributes:
        target: `module:function` that builds the model. It is called with the argument, and with `weights=` and
            `num_classes=` as far as it takes them.
        argument: what follows the colon, for lists and messages.
        about: a description in one line.
        optional: whether the argument may be omitted.
        package: the module that it needs, which the extra named like the scheme installs; empty if it needs none.
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
    "oracle-perfect": Scheme("fcnbench.models.oracles:perfect", "", "predicts the ground truth", optional=True),
    "oracle-constant": Scheme("fcnbench.models.oracles:constant", "K", "predicts class K everywhere", optional=True),
    "oracle-downsample": Scheme(
        "fcnbench.models.oracles:downsample", "F", "the ground truth, shrunk by F and enlarged: a net's upper bound"
    ),
}
"""The schemes by the word before the colon."""


def missing_extra(scheme: str) -> ModelError:
    """Return the error for a scheme whose package is not installed."""
    package = SCHEMES[scheme].package
    return ModelError(
        f"--model {scheme}:... needs the package {package}, which is not installed",
        f"pip install 'fcnbench[{scheme}]', or pip install {package.replace('_', '-')}",
    )
