"""What others wrote, ready to be compared with."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.metadata import distribution
from pathlib import Path

from torch import nn


def torchfcn_model(name: str) -> type[nn.Module]:
    """A model class of PyPI's `torchfcn`, without importing the rest of that package and what it depends on.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    root = Path(str(distribution("torchfcn").locate_file("torchfcn")))
    package, models = types.ModuleType("torchfcn"), types.ModuleType("torchfcn.models")
    package.__path__, models.__path__ = [str(root)], [str(root / "models")]
    sys.modules.update({"torchfcn": package, "torchfcn.models": models, "fcn": types.ModuleType("fcn")})
    try:
        found: type[nn.Module] = getattr(importlib.import_module(f"torchfcn.models.{name.lower()}"), name)
        return found
    finally:
        for module in [key for key in sys.modules if key == "fcn" or key.split(".")[0] == "torchfcn"]:
            del sys.modules[module]
