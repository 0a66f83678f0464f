"""Loading a model: from a registered name, a `file.py:factory` or a `scheme:argument` to a segmenter.

Every factory, built in or not, is called with `weights=` (the value of `--weights`, or None) and `num_classes=` (the
dataset's number of classes), as far as its signature takes them. It returns a segmenter or a `torch.nn.Module`.
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
from fcnbench.models.class_mapping import ClassMapping, MappedSegmenter, match_classes
from fcnbench.models.code.model_file import forget_changed_package, import_model_file, remember
from fcnbench.models.code.neighbours import restore_neighbours
from fcnbench.models.code.opened_files import watch
from fcnbench.models.code.source_files import Sources, file_of
from fcnbench.models.fcn.fast import with_fast_path
from fcnbench.models.fcn.shift_and_stitch import COARSE_STRIDE, ShiftAndStitch
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
from fcnbench.util.process_state import absolute_if_exists, restore_settings


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A segmenter and its origin.

    Attributes:
        name: the registered name, or `file.py:factory`.
        provider: the distribution, or the file, that its factory comes from.
        version: the distribution's version, or the start of the file's digest.
        weights: the value of `--weights`; None if the model uses its default weights.
        segmenter: the model itself.
        class_mapping: the mapping of its classes to the dataset's; None if the model does not name its classes.
        sources: the user's source files that the model consists of.
    """

    name: str
    provider: str
    version: str
    weights: str | None
    segmenter: Segmenter
    class_mapping: ClassMapping | None = None
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
        weights: passed to the factory: a path, `random:SEED`, or any value that the model accepts.
        num_classes: number of classes C of the dataset; None leaves it to the factory's default.
        classes: class names of the dataset; if the model has class names of its own, they are matched by name.
        dense: `shift-and-stitch`, or `shift-and-stitch:F`, to run a net of stride 32 densely.
        fast: use the fast path of the papers' VGG networks: the same function, summed in another order.
        accept_terms: agree to the terms of published weights that have to be downloaded; remembered.

    Returns:
        The segmenter. Its `logits` takes preprocessed images, float32 [N, 3, H, W], and returns [N, C, H, W].

    Raises:
        UnknownName: no model has this name.
        ModelPluginError: another package registered the model, and importing it fails.
        WeightsError: the weights are missing or do not fit.
        DataMissing: published weights could not be downloaded, or their terms are not accepted yet.
        ModelError: the factory failed, or returned something that is not a model.

    >>> import numpy as np
    >>> model = load_model("fcn32s-pocket")
    >>> batch = model.prepare(np.zeros((50, 70, 3), np.uint8))[None]
    >>> model.logits(batch).shape
    torch.Size([1, 8, 50, 70])
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
    """Load a model as `load_model` does, and return it with its origin.

    The model's code runs with process-wide settings as in an evaluation; what it changes is restored.
    """
    model = find_model(name)
    text = None if weights is None else str(weights)
    if text is not None and text not in published():
        text = absolute_if_exists(text)
    built, sources = _build(model, text, num_classes)
    segmenter = _as_segmenter(built, model.display)
    mapping = None
    if classes and (model_classes := tuple(getattr(segmenter, "classes", ()))):
        mapping = match_classes(model_classes, classes)
        if not mapping.identity:
            note(f"{model.display}: {mapping.describe()}")
            segmenter = MappedSegmenter(segmenter, mapping)
    _check_num_classes(segmenter, model.display, num_classes)
    display = model.display
    if dense is not None:
        factor = dense_factor(dense)
        segmenter = ShiftAndStitch(segmenter, COARSE_STRIDE if factor is None else factor)
        display = f"{display}+{dense}"
    elif fast:
        segmenter = with_fast_path(segmenter)
    return LoadedModel(display, model.provider, model.version, text, segmenter, mapping, sources)


def _check_num_classes(segmenter: Segmenter, name: str, num_classes: int | None) -> None:
    """Refuse a segmenter that declares another number of classes than the dataset's."""
    declared = getattr(segmenter, "num_classes", None)
    if num_classes is not None and declared is not None and declared != num_classes:
        raise ModelError(
            f"{name} has logits for {declared} classes, and the dataset has {num_classes}",
            "choose a model or weights made for this label space",
        )


def _build(model: ModelName, weights: str | None, num_classes: int | None) -> tuple[Any, Sources]:
    """Import a model's factory and call it; return what it returned and the source files of the model."""
    outer = _sources_of_inner_models.get()
    with (
        restore_neighbours(wanted=outer is not None),
        protected(restore_path=False),
        _collect_inner_models() as inner,
    ):
        factory, sources = _import_factory(model, nested=outer is not None)
        restore_settings()
        # The factory starts from the same seed whether or not the file was imported, and drew numbers, just now.
        seed(0)
        built = _call_factory(factory, model.display, weights, num_classes)
        restore_settings()
        sources.inner += inner
        if not model.scheme and not model.builtin:
            sources.update()
        if model.given is not None:
            _name_preprocessing(built, model.display)
        set_evaluation_mode(built)
        for network in networks_in(built):
            refuse_unset(network, model.display)
        remember(sources)
    if outer is not None and sources:
        outer.append(sources)
    return built, sources


_sources_of_inner_models: ContextVar[list[Sources] | None] = ContextVar("_sources_of_inner_models", default=None)
"""While a model is loaded: the source files of other models that its code has loaded."""


@contextmanager
def _collect_inner_models() -> Iterator[list[Sources]]:
    """Collect the source files of the models that are loaded inside the block."""
    collected: list[Sources] = []
    token = _sources_of_inner_models.set(collected)
    try:
        yield collected
    finally:
        _sources_of_inner_models.reset(token)


def _import_factory(name: ModelName, *, nested: bool) -> tuple[Any, Sources]:
    """Import a model's factory, and return it with the source files so far.

    The factory of a scheme is its function with the argument filled in.

    Args:
        name: name of the model.
        nested: whether the code of another model loads it.
    """
    if name.given is not None:
        return factory_of(name.given)
    if name.path is not None:
        module, sources = import_model_file(name.path, nested=nested)
        if not hasattr(module, name.argument):
            raise UnknownName(f"{name.path} does not define {name.argument!r}", "write path/to/file.py:factory")
        return getattr(module, name.argument), sources
    if not name.scheme:
        package = _modules_of(name)
        forget_changed_package(package)
        before = frozenset(sys.modules)
        factory = MODELS.load(name.argument)
        folder = _folder_of(factory)
        opened = watch(folder, keep_others=nested) if folder is not None and package else None
        sources = Sources(folder=folder, package=package, before=before, opened=opened) if package else Sources()
        return factory, sources
    module_name, _, function = SCHEMES[name.scheme].target.partition(":")
    factory = getattr(importlib.import_module(module_name), function)
    return functools.partial(factory, name.argument) if name.argument else factory, Sources()


def _modules_of(name: ModelName) -> frozenset[str]:
    """Return the top-level modules of the package that registered a model; empty for fcnbench's models."""
    if name.builtin:
        return frozenset()
    return modules_of(name.provider) | {MODELS.find(name.argument).target.partition(".")[0].partition(":")[0]}


def _folder_of(factory: Any) -> Path | None:
    """Return the folder that contains the package of a factory."""
    top = getattr(factory, "__module__", "").partition(".")[0]
    path = file_of(sys.modules.get(top))
    if path is None:
        return None
    return path.parent.parent if path.stem == "__init__" else path.parent


def _call_factory(factory: Any, name: str, weights: str | None, num_classes: int | None) -> Any:
    """Call a factory with those of `weights` and `num_classes` that it takes."""
    if not callable(factory):
        raise ModelError(
            f"{name} is a {type(factory).__name__}, expected a factory: a function that returns a model",
            "register a function called with weights= and num_classes=",
        )
    required = _parameters(factory)
    offered = {"weights": weights, "num_classes": num_classes}
    if weights is not None and "weights" not in required:
        raise WeightsError(f"{name} takes no weights, and --weights says {weights!r}", "drop --weights")
    # None is passed only where the factory has no default.
    arguments = {
        key: value for key, value in offered.items() if key in required and (value is not None or required[key])
    }
    try:
        return factory(**arguments)
    except FcnbenchError:
        raise
    except KeyboardInterrupt:
        raise
    # A factory is third-party code: it may raise anything, and even exit.
    except BaseException as error:
        raise ModelError(
            f"the factory of {name} failed: {type(error).__name__}: {error}",
            "repair the factory, or pass the --weights that it asks for",
        ) from error


def _parameters(factory: Callable[..., Any]) -> dict[str, bool]:
    """Return which of the two keywords a factory takes, and whether it requires each."""
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
        f"the factory of {name} returns an object of type {type(built).__name__}, expected a torch.nn.Module or an "
        "object with the methods prepare(image) and logits(batch)",
        "return the network, or wrap it in fcnbench.models.segmenter.ModuleSegmenter",
    )
