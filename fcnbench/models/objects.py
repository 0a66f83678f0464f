"""Models that are given as objects: a network, a segmenter, or a factory of either; their names, sources and state.

The text of a file says what a name stands for. An object in memory may have been changed since, and may hold anything:
nothing can show that two runs of it would give the same numbers, so that no stored result of one is reused.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import nn

from fcnbench.errors import UsageError
from fcnbench.models.code.source_files import Sources, file_of, imported_files, is_user_file
from fcnbench.models.names import ModelName
from fcnbench.models.networks import networks_in
from fcnbench.models.segmenter import ModuleSegmenter, Segmenter
from fcnbench.util.digests import digest_bytes, digest_text, short
from fcnbench.util.packages import installed_version, package_of
from fcnbench.util.version import __version__

INTERACTIVE = "interactive"
"""The provider of code that no file holds: that of a notebook, a prompt or `exec`."""


def is_model(given: object) -> bool:
    """Return whether an object is a network or a segmenter, and not a factory."""
    return not isinstance(given, type) and isinstance(given, nn.Module | Segmenter)


def name_of(given: object) -> ModelName:
    """Return the name of a model that is given as an object: its class or factory, and the file or package of that.

    Raises:
        UsageError: it is neither a network, a segmenter nor a factory.

    >>> name_of(nn.Conv2d(3, 8, 1)).display
    'Conv2d'
    """
    if not is_model(given) and not callable(given):
        raise UsageError(
            f"the model is a {type(given).__name__}, expected a name, a torch.nn.Module, an object with the methods "
            "prepare(image) and logits(batch), or a factory",
            "pass one of these",
        )
    definition = _definition(given)
    plain = definition.__qualname__.rpartition("<locals>.")[2].replace("<lambda>", "lambda")
    path, package = _file_of(definition), package_of(definition.__module__ or "")
    if path is not None and is_user_file(path):
        display, provider, version = f"{path.name}:{plain}", path.name, short(digest_text(path))
    elif (definition.__module__ or "").partition(".")[0] == "fcnbench":
        display, provider, version = plain, "fcnbench", __version__
    elif package:
        display, provider, version = plain, package, installed_version(package)
    else:
        display, provider, version = plain, INTERACTIVE, _version_of_source(definition)
    return ModelName(display, provider, version, "", given=given)


def factory_of(given: object) -> tuple[Callable[..., Any], Sources]:
    """Return the factory of a model that is given as an object, and the user's own source files that define it."""
    sources = Sources()
    for definition in _definitions(given):
        path = _file_of(definition)
        if path is None or not is_user_file(path):
            continue
        if sources.folder is None:
            sources = Sources(folder=path.parent, before=frozenset(sys.modules))
        sources.add(path.stem if definition.__module__ == "__main__" else definition.__module__, path)
        for name, file in imported_files(path).items():
            sources.add(name, file)
    if not is_model(given):
        assert callable(given)
        return given, sources
    return lambda: given, sources


@contextmanager
def kept_as_it_was(given: object) -> Iterator[None]:
    """Restore the networks of an object after a block: training mode, device, and compilation.

    Args:
        given: a model as an object; a name, or a factory, has nothing to restore.
    """
    networks = networks_in(given) if is_model(given) else []
    parts = [part for network in networks for part in network.modules()]
    modes = [(part, part.training) for part in parts if hasattr(part, "training")]
    compiled = [(part, vars(part).get("_compiled_call_impl")) for part in parts]
    devices = [(network, _device_of(network)) for network in networks]
    try:
        yield
    finally:
        for network, device in devices:
            if device is not None and _device_of(network) != device:
                network.to(device)
        for part, mode in modes:
            if part.training != mode:
                with suppress(AttributeError, RuntimeError):  # a frozen program has one mode
                    part.training = mode
        for part, call in compiled:
            if vars(part).get("_compiled_call_impl") is not call:
                part._compiled_call_impl = call


def _device_of(network: nn.Module) -> torch.device | None:
    """The device of all numbers of a network; None where it has none, or they are on several."""
    devices = {value.device for value in (*network.parameters(), *network.buffers())}
    return devices.pop() if len(devices) == 1 else None


def _definition(given: object) -> Any:
    """The class or function that defines a model: of a network, of what a segmenter wraps, or of a factory."""
    if isinstance(given, functools.partial):
        return _definition(given.func)
    if isinstance(given, MethodType):
        return given.__func__
    if type(given) is ModuleSegmenter:
        return _definition(given.module)
    if isinstance(given, nn.Module) and isinstance(inner := getattr(given, "_orig_mod", None), nn.Module):
        return _definition(inner)  # what torch.compile returns
    return given if isinstance(given, type) or inspect.isroutine(given) else type(given)


def _definitions(given: object) -> Iterator[Any]:
    """Every class and function that takes part in a model, the one that names it first."""
    yield _definition(given)
    if isinstance(given, functools.partial):
        for each in (*given.args, *given.keywords.values()):
            if isinstance(each, type) or inspect.isroutine(each) or is_model(each):
                yield from _definitions(each)
    if is_model(given):
        yield type(given)
        if isinstance(given, ModuleSegmenter):
            yield _definition(given.preprocess)
        for network in networks_in(given):
            yield from {type(part): None for part in network.modules()}


def _file_of(definition: Any) -> Path | None:
    """The file of a class or function; None for code that no file holds."""
    path = file_of(sys.modules.get(getattr(definition, "__module__", None) or ""))
    code = getattr(definition, "__code__", None)
    if path is None and code is not None:
        path = Path(code.co_filename)
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _version_of_source(definition: Any) -> str:
    """The start of the digest of a definition's source, where Python knows it; empty otherwise."""
    try:
        return short(digest_bytes(inspect.getsource(definition).encode()))
    except (OSError, TypeError):
        return ""
