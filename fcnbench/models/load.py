"""`load_model`: from a name, or a `file.py:factory`, to a segmenter.

Every factory is called the same way, built in or not: with `weights=` (what `--weights` said, or None) and
`num_classes=` (the data set's number of classes), as far as its signature takes them. It answers with a segmenter or
with a `torch.nn.Module`.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fcnbench.datasets.consent import accepting
from fcnbench.errors import FcnbenchError, ModelError, UnknownName, WeightsError
from fcnbench.ground.console import note
from fcnbench.ground.digests import digest_text, short
from fcnbench.models.dense import COARSE, Dense
from fcnbench.models.fast import accelerated
from fcnbench.models.labelmap import LabelMap, Mapped, match_labels
from fcnbench.models.names import ModelName, dense_factor, find_model
from fcnbench.models.registered import MODELS
from fcnbench.models.schemes import SCHEMES
from fcnbench.models.segmenter import ModuleSegmenter, Segmenter, module_of


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A segmenter and where it came from.

    Attributes:
        name: the registered name, or `file.py:factory`.
        provider: the distribution, or the file, that its factory comes from.
        version: the distribution's version, or the start of the file's digest.
        weights: what `--weights` said; None when the model brought its own.
        segmenter: the model itself.
        labels: how its classes are mapped to the data set's; None where it does not name its own.
    """

    name: str
    provider: str
    version: str
    weights: str | None
    segmenter: Segmenter
    labels: LabelMap | None = None


def load_model(
    name: str,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    *,
    classes: Sequence[str] = (),
    dense: str | None = None,
    fast: bool = True,
    accept_terms: bool = False,
) -> Segmenter:
    """Load a model by its registered name, as `path/to/file.py:factory`, or as `scheme:argument`.

    Args:
        name: for example `fcn8s`, `nets/mine.py:build`, or `torchvision:deeplabv3_resnet50`.
        weights: handed to the factory: a path, `random:SEED`, or whatever the model understands.
        num_classes: number of classes C of the data set; None leaves it to the factory's default.
        classes: class names of the data set; a model that names its own classes otherwise is mapped to them by name.
        dense: `shift-and-stitch`, or `shift-and-stitch:F`, to run a net of stride 32 densely.
        fast: take the fast path of the papers' VGG nets: the same function, summed in another order.
        accept_terms: agree to the terms of published weights that have to be downloaded; remembered.

    Returns:
        The segmenter; `.logits(x)` takes prepared [N, 3, H, W] float32 and gives [N, C, H, W].

    Raises:
        UnknownName: no model is called so.
        ModelPluginError: another package registered it, and it can't be imported.
        WeightsError: the weights are missing or do not fit.
        DataMissing: published weights could not be downloaded, or their terms are not accepted yet.
        ModelError: the factory failed, or answered with something else than a model.
    """
    with accepting(accept_terms):
        return open_model(name, weights, num_classes, classes=classes, dense=dense, fast=fast).segmenter


def open_model(
    name: str,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    *,
    classes: Sequence[str] = (),
    dense: str | None = None,
    fast: bool = True,
) -> LoadedModel:
    """Like `load_model`, with where the model came from."""
    found = find_model(name)
    factory, display = _factory_of(found), found.display
    text = None if weights is None else str(weights)
    segmenter = _as_segmenter(_built(factory, display, text, num_classes), display)
    labels = None
    if classes and (own := tuple(getattr(segmenter, "classes", ()))):
        labels = match_labels(own, classes)
        if not labels.identity:
            note(f"{display}: {labels.told()}")
            segmenter = Mapped(segmenter, labels)
    known = getattr(segmenter, "num_classes", None)
    if num_classes is not None and known is not None and known != num_classes:
        raise ModelError(
            f"{display} gives logits for {known} classes, and the data set has {num_classes}",
            "choose a model or weights made for this label space",
        )
    if fast and dense is None:
        segmenter = accelerated(segmenter)
    if dense is not None:
        factor = dense_factor(dense)
        segmenter, display = Dense(segmenter, COARSE if factor is None else factor), f"{display}+{dense}"
    module = module_of(segmenter)
    if module is not None:
        module.eval()
    return LoadedModel(display, found.provider, found.version, text, segmenter, labels)


def _factory_of(name: ModelName) -> Any:
    """Import what builds a model; a scheme's function with its argument filled in."""
    if name.path is not None:
        return _factory_in_file(name.path, name.argument)
    if not name.scheme:
        return MODELS.load(name.argument)
    module, _, function = SCHEMES[name.scheme].target.partition(":")
    factory = getattr(importlib.import_module(module), function)
    return functools.partial(factory, name.argument) if name.argument else factory


def _built(factory: Any, name: str, weights: str | None, num_classes: int | None) -> Any:
    """Call a factory with what it takes of `weights` and `num_classes`."""
    if not callable(factory):
        raise ModelError(
            f"{name} leads to a {type(factory).__name__}, expected a factory: a function that returns a model",
            "register a function called with weights= and num_classes=",
        )
    takes = _parameters(factory)
    offered = {"weights": weights, "num_classes": num_classes}
    if weights is not None and "weights" not in takes:
        raise WeightsError(f"{name} takes no weights, and --weights says {weights!r}", "drop --weights")
    # A number of classes that nobody knows is left to the factory's own default.
    arguments = {key: value for key, value in offered.items() if key in takes and (value is not None or takes[key])}
    try:
        return factory(**arguments)
    except FcnbenchError:
        raise
    # A factory is somebody else's code and may fail in any way, and even exit; it is reported under its name.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the factory of {name} failed: {type(error).__name__}: {error}",
            "repair the factory, or pass the --weights that it asks for",
        ) from error


def _parameters(factory: Callable[..., Any]) -> dict[str, bool]:
    """Which of the keywords a factory takes, and whether it requires them."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return {"weights": False, "num_classes": False}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return {"weights": False, "num_classes": False}
    by_keyword = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default is p.empty for p in by_keyword if p.name in ("weights", "num_classes")}


def _as_segmenter(built: Any, name: str) -> Segmenter:
    if isinstance(built, Segmenter):
        return built
    if isinstance(built, nn.Module):
        return ModuleSegmenter(built)
    raise ModelError(
        f"the factory of {name} answers with a {type(built).__name__}, expected a torch.nn.Module or an object with "
        "the methods prepare(image) and logits(batch)",
        "return the network, or wrap it in fcnbench.models.segmenter.ModuleSegmenter",
    )


def _factory_in_file(path: Path, attribute: str) -> Any:
    module_name = f"fcnbench_user_{short(digest_text(path))}"
    found = importlib.util.spec_from_file_location(module_name, path)
    if found is None or found.loader is None:
        raise ModelError(f"{path} can't be imported as Python", "write path/to/file.py:factory")
    module = importlib.util.module_from_spec(found)
    # As for `python file.py`: the file may import its neighbours.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[module_name] = module
    try:
        found.loader.exec_module(module)
    # The user's file may fail in any way while it is imported, and even exit.
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise ModelError(f"{path} can't be imported: {type(error).__name__}: {error}", "repair the file") from error
    if not hasattr(module, attribute):
        raise UnknownName(f"{path} has nothing called {attribute!r}", "write path/to/file.py:factory")
    return getattr(module, attribute)
