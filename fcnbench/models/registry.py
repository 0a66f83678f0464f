"""The registered models, built in and from other packages, by name. Does not import torch."""

from __future__ import annotations

from fcnbench.errors import ModelPluginError
from fcnbench.registry import Registry

ABOUT = {
    "fcn8s-pocket": "narrow FCN-8s with shipped weights, trained on pocket-train",
    "fcn16s-pocket": "narrow FCN-16s with shipped weights, trained on pocket-train",
    "fcn32s-pocket": "narrow FCN-32s with shipped weights, trained on pocket-train",
    "fcn8s": "VGG16 FCN-8s of the papers",
    "fcn16s": "VGG16 FCN-16s of the papers",
    "fcn32s": "VGG16 FCN-32s of the papers",
    "fcn8s-atonce": "VGG16 FCN-8s, trained all at once with scaled pools",
    "fcn32s-fixed": "FCN-32s of which only the score layer was trained: the same net",
    "fcn-alexnet": "FCN-AlexNet (CaffeNet), stride 32",
    "fcn-googlenet": "FCN-GoogLeNet, stride 32; our definition, after the paper's text",
    "fcn32s-nyud-color": "FCN-32s with NYUDv2's mean colour",
    "fcn32s-nyud-depth": "FCN-32s on colour and depth, 4 channels: early fusion",
    "fcn32s-nyud-hha": "FCN-32s on HHA",
    "fcn32s-nyud-color-hha": "two FCN-32s on colour and HHA, scores averaged: late fusion",
    "fcn16s-nyud-color-hha": "the same with one skip; our definition, after the paper's Table 4",
    "fcn32s-siftflow": "FCN-32s with a semantic and a geometric head",
    "fcn16s-siftflow": "FCN-16s with a semantic and a geometric head",
    "fcn8s-siftflow": "FCN-8s with a semantic and a geometric head",
}
"""A description in one line for every built-in model."""

SHIPPED = dict.fromkeys(("fcn32s-pocket", "fcn16s-pocket", "fcn8s-pocket"), 8)
"""The built-in models whose weights ship with fcnbench, and the number of classes of these."""

MODELS = Registry(
    kind="model",
    group="fcnbench.models",
    builtins={name: f"fcnbench.models.fcn.zoo:{name.replace('-', '_')}" for name in ABOUT},
    failure=ModelPluginError,
)
"""The models by name. Other packages add theirs with entry points that refer to a factory."""
