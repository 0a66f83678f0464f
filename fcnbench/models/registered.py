"""The registered models, built in and from other packages, by name. Importing this imports no torch."""

from __future__ import annotations

from fcnbench.errors import ModelPluginError
from fcnbench.registry import Registry

ABOUT = {
    "fcn8s-pocket": "narrow FCN-8s with shipped weights, trained on pocket-train",
    "fcn16s-pocket": "narrow FCN-16s with shipped weights, trained on pocket-train",
    "fcn32s-pocket": "narrow FCN-32s with shipped weights, trained on pocket-train",
    "fcn8s": "VGG16 FCN-8s of the papers; needs --weights",
    "fcn16s": "VGG16 FCN-16s of the papers; needs --weights",
    "fcn32s": "VGG16 FCN-32s of the papers; needs --weights",
}
"""Built-in models and a line about each."""

MODELS = Registry(
    kind="model",
    group="fcnbench.models",
    builtins={name: f"fcnbench.models.builtin:{name.replace('-', '_')}" for name in ABOUT},
    failure=ModelPluginError,
)
"""Names of the models; other packages add theirs by entry points that lead to a factory."""
