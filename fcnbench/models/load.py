"""`load_model`: from a name, or a `file.py:factory`, to a segmenter.

Every factory is called the same way, built in or not: with `weights=` (what `--weights` said, or None) and
`num_classes=` (the data set's number of classes), as far as its signature takes them. It answers with a segmenter or
with a `torch.nn.Module`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from fcnbench.errors import FcnbenchError, ModelError, UnknownName, WeightsError
from fcnbench.models.code.model_file import forget_changed_package, import_model_file, remember
from fcnbench.models.code.neighbours import neighbours_kept
from fcnbench.models.code.opened_files import watch
from fcnbench.models.code.source_files import Sources, file_of
from fcnbench.models.fcn.dense import COARSE, Dense
from fcnbench.models.fcn.fast import accelerated
from fcnbench.models.label_map import LabelMap, Mapped, match_labels
from fcnbench.models.names import ModelName, dense_factor, find_model
from fcnbench.models.networks import networks_in, set_evaluation_mode
from fcnbench.models.objects import factory_of
from fcnbench.models.registry import MODELS
from fcnbench.models.schemes import SCHEMES
from fcnbench.models.segmenter import ModuleSegmenter, Segmenter
from fcnbench.models.tensor_bytes import refuse_unset
from fcnbench.models.torch_state import protected, seed
from fcnbench.models.weights.published import published
from fcnbench.util.consent import accepting
from fcnbench.util.console import note
from fcnbench.util.packages import modules_of
from fcnbench.util.process_state import absolute_if_there, settle


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
        sources: the user's own source files that it is made of.
    """

    name: str
    provider: str
    version: str
    weights: str | None
    segmenter: Segmenter
    labels: LabelMap | None = None
    sources: Sources = field(default_factory=Sources)


def load_model(
    name: Any,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    *,
    classes: Sequence[str] = (),
    dense: str | None = None,
    fast: bool = True,
    accept_terms: bool = False,
) -> Segmenter:
    """Load a model by its registered name, as `path/to/file.py:factory`, or as `scheme:argument`; or wrap an object.

    Args:
        name: for example `fcn8s`, `nets/mine.py:build`, or `torchvision:deeplabv3_resnet50`; or a `torch.nn.Module`, a
            segmenter, or a factory of either. A network that has no `prepare` gets torchvision's ImageNet
            normalisation.
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
    name: Any,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    *,
    classes: Sequence[str] = (),
    dense: str | None = None,
    fast: bool = True,
) -> LoadedModel:
    """Like `load_model`, with where the model came from.

    The model's code runs with process-wide settings as an evaluation has them; what it changes is set back.
    """
    found = find_model(name)
    text = None if weights is None else str(weights)
    if text is not None and text not in published():
        text = absolute_if_there(text)
    outer = _inner.get()
    with neighbours_kept(wanted=outer is not None), protected(restore_path=False), _loading() as inner:
        factory, sources = _factory_of(found, nested=outer is not None)
        settle()
        # Whether the file was imported just now, and what it drew then, changes nothing.
        seed(0)
        built = _built(factory, found.display, text, num_classes)
        settle()
        sources.inner += inner
        if not found.scheme and not found.builtin:
            sources.look()
        if found.given is not None:
            _name_preprocessing(built, found.display)
        set_evaluation_mode(built)
        for network in networks_in(built):
            refuse_unset(network, found.display)
        remember(sources)
    if outer is not None and sources:
        outer.append(sources)
    display = found.display
    segmenter = _as_segmenter(built, display)
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
    return LoadedModel(display, found.provider, found.version, text, segmenter, labels, sources)


_inner: ContextVar[list[Sources] | None] = ContextVar("_inner", default=None)
"""The source files of the models that a model's code has loaded, while that model itself is loaded."""


@contextmanager
def _loading() -> Iterator[list[Sources]]:
    """Collect the source files of the models that are loaded inside the block."""
    found: list[Sources] = []
    token = _inner.set(found)
    try:
        yield found
    finally:
        _inner.reset(token)


def _factory_of(name: ModelName, *, nested: bool) -> tuple[Any, Sources]:
    """Import what builds a model, and find its source; a scheme's function has its argument filled in.

    Args:
        name: of the model.
        nested: whether the code of another model loads it.
    """
    if name.given is not None:
        return factory_of(name.given)
    if name.path is not None:
        module, sources = import_model_file(name.path, nested=nested)
        if not hasattr(module, name.argument):
            raise UnknownName(f"{name.path} has nothing called {name.argument!r}", "write path/to/file.py:factory")
        return getattr(module, name.argument), sources
    if not name.scheme:
        package = _modules_of(name)
        forget_changed_package(package)
        before = frozenset(sys.modules)
        factory = MODELS.load(name.argument)
        folder = _folder_of(factory)
        opened = watch(folder, as_well=nested) if folder is not None and package else None
        sources = Sources(folder=folder, package=package, before=before, opened=opened) if package else Sources()
        return factory, sources
    module_name, _, function = SCHEMES[name.scheme].target.partition(":")
    factory = getattr(importlib.import_module(module_name), function)
    return functools.partial(factory, name.argument) if name.argument else factory, Sources()


def _modules_of(name: ModelName) -> frozenset[str]:
    """The top-level modules of the package that registered a model; none for fcnbench's own."""
    if name.builtin:
        return frozenset()
    return modules_of(name.provider) | {MODELS.find(name.argument).target.partition(".")[0].partition(":")[0]}


def _folder_of(factory: Any) -> Path | None:
    """The folder that holds the package of a factory."""
    top = getattr(factory, "__module__", "").partition(".")[0]
    path = file_of(sys.modules.get(top))
    if path is None:
        return None
    return path.parent.parent if path.stem == "__init__" else path.parent


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
    except KeyboardInterrupt:
        raise
    # A factory is somebody else's code and may fail in any way, and even exit; it is reported under its name.
    except BaseException as error:
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


def _name_preprocessing(built: Any, name: str) -> None:
    """Say which preprocessing a network gets that declares none."""
    if isinstance(built, nn.Module) and not isinstance(built, Segmenter) and not hasattr(built, "prepare"):
        note(
            f"{name} declares no preprocessing: its images are normalised as torchvision does for ImageNet; "
            "fcnbench.ModuleSegmenter(module, prepare) takes another one"
        )


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
