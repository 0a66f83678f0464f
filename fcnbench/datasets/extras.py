"""Packages that one dataset or one export format needs, installed as extras of fcnbench."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fcnbench.errors import DataError


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import and return a module of an optional package.

    Args:
        module: name of the module, which is also the name of its package.
        extra: name of the extra of fcnbench that installs the package.
        purpose: what needs the package, the beginning of the message.

    Raises:
        DataError: the package is not installed.

    >>> import_extra("json", "none", "this example").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs the package {module}, which is not installed",
            f"pip install 'fcnbench[{extra}]', or pip install {module}",
        ) from error
