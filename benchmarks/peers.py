"""Networks of other packages, for comparison with fcnbench's."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.metadata import distribution
from pathlib import Path

from torch import nn


def torchfcn_model(name: str) -> type[nn.Module]:
    """Import a model class of PyPI's `torchfcn`, without the rest of that package and its dependencies.

    Raises:
        PackageNotFoundError: `torchfcn` is not installed.
    """
    root = Path(str(distribution("torchfcn").locate_file("torchfcn")))
    package, models = types.ModuleType("torchfcn"), types.ModuleType("torchfcn.models")
    package.__path__, models.__path__ = [str(root)], [str(root / "models")]
    sys.modules.update({"torchfcn": package, "torchfcn.models": models, "fcn": types.ModuleType("fcn")})
    try:
        model: type[nn.Module] = getattr(importlib.import_module(f"torchfcn.models.{name.lower()}"), name)
        return model
    finally:
        for module in [key for key in sys.modules if key == "fcn" or key.split(".")[0] == "torchfcn"]:
            del sys.modules[module]
