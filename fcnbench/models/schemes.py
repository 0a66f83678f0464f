"""`--model SCHEME:ARGUMENT`: the schemes, and what builds their models. Importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheme:
    """A family of models that take an argument in their name.

    Attributes:
        target: `module:function`, called with the argument, and with `weights=` and `num_classes=` as far as it takes
            them.
        argument: what stands behind the colon, for lists and messages.
        about: one line.
        optional: whether the argument may be left out.
    """

    target: str
    argument: str
    about: str
    optional: bool = False


SCHEMES: dict[str, Scheme] = {
    "torchvision": Scheme("fcnbench.models.adapters.torchvision:build", "NAME", "torchvision's segmentation models"),
    "hf": Scheme("fcnbench.models.adapters.huggingface:build", "ORG/NAME", "Hugging Face transformers"),
    "smp": Scheme("fcnbench.models.adapters.smp:build", "ARCH:ENCODER", "segmentation_models_pytorch, timm encoders"),
    "onnx": Scheme("fcnbench.models.adapters.files:onnx", "PATH", "an ONNX file, run by onnxruntime"),
    "torchscript": Scheme("fcnbench.models.adapters.files:torchscript", "PATH", "a TorchScript file"),
    "export": Scheme("fcnbench.models.adapters.files:exported", "PATH", "a torch.export program"),
    "oracle-perfect": Scheme("fcnbench.models.oracles:perfect", "", "repeats the truth", optional=True),
    "oracle-constant": Scheme("fcnbench.models.oracles:constant", "K", "says class K everywhere", optional=True),
    "oracle-downsample": Scheme(
        "fcnbench.models.oracles:downsample", "F", "the truth, shrunk by F and blown up: a net's upper bound"
    ),
}
"""Schemes by the word before the colon."""
