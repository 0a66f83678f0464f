"""The built-in models: their networks and preprocessing, and their factories.

A factory is an attribute of this module, named like the model with underscores: `fcn8s_atonce`. It is called with
`weights=` and `num_classes=`.

>>> from fcnbench.models.fcn.zoo import fcn32s_pocket
>>> fcn32s_pocket().num_classes
8
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files

from fcnbench.models.fcn.alexnet import ALEXNET
from fcnbench.models.fcn.fcn import AT_ONCE, FCN, Head
from fcnbench.models.fcn.googlenet import GOOGLENET
from fcnbench.models.fcn.pocket import POCKET_SPLITS, POCKET_TRUNK
from fcnbench.models.fcn.trunk import Stream
from fcnbench.models.preprocess import caffe_bgr, nyud_bgr, nyud_bgr_depth, nyud_bgr_hha, nyud_hha, siftflow_bgr
from fcnbench.models.registry import SHIPPED
from fcnbench.models.segmenter import ModuleSegmenter, Preprocess
from fcnbench.models.weights.load import fill, load_weights, read_state
from fcnbench.models.weights.names import own_weights
from fcnbench.models.weights.published import published

Factory = Callable[..., ModuleSegmenter]


@dataclass(frozen=True)
class Definition:
    """A built-in model.

    Attributes:
        net: builds the network for a number of classes.
        num_classes: the default number of classes.
        preprocess: from images to the network's input.
        modalities: the modalities of these images, in order.
    """

    net: Callable[[int], FCN]
    num_classes: int
    preprocess: Preprocess = caffe_bgr
    modalities: tuple[str, ...] = ("rgb",)


_VOC, _NYUD, _SIFTFLOW, _SIFTFLOW_GEOMETRY = 21, 40, 33, 3
"""Numbers of classes of the label spaces that the papers' nets were published for."""

_COLOUR_AND_HHA = (Stream("color"), Stream("hha"))
"""The streams of the late-fusion nets, with the reference's suffixes."""

_COLOUR_AND_DEPTH = (Stream(channels=4, first_layer="conv1_1_bgrd"),)
"""The stream of the early-fusion net, with the reference's name of its first layer."""


def _voc(stride: int) -> Definition:
    return Definition(lambda classes: FCN(classes, stride), _VOC)


def _nyud(stride: int) -> Definition:
    return Definition(
        lambda classes: FCN(classes, stride, streams=_COLOUR_AND_HHA), _NYUD, nyud_bgr_hha, ("rgb", "hha")
    )


def _siftflow(stride: int) -> Definition:
    geometry = Head(_SIFTFLOW_GEOMETRY, "geo", "_geo")
    return Definition(
        lambda classes: FCN(classes, stride, suffix="_sem", extra_heads=(geometry,)), _SIFTFLOW, siftflow_bgr
    )


def _pocket(stride: int) -> Definition:
    return Definition(lambda classes: FCN(classes, stride, POCKET_TRUNK), SHIPPED[f"fcn{stride}s-pocket"])


DEFINITIONS: dict[str, Definition] = {
    "fcn32s": _voc(32),
    "fcn16s": _voc(16),
    "fcn8s": _voc(8),
    "fcn8s-atonce": Definition(lambda classes: FCN(classes, 8, scales=AT_ONCE), _VOC),
    # The network of fcn32s; only its training differs (Table 2 of the CVPR paper: the score layer alone).
    "fcn32s-fixed": _voc(32),
    "fcn-alexnet": Definition(lambda classes: FCN(classes, 32, ALEXNET), _VOC),
    "fcn-googlenet": Definition(lambda classes: FCN(classes, 32, GOOGLENET), _VOC),
    "fcn32s-nyud-color": Definition(lambda classes: FCN(classes, 32), _NYUD, nyud_bgr),
    "fcn32s-nyud-depth": Definition(
        lambda classes: FCN(classes, 32, streams=_COLOUR_AND_DEPTH), _NYUD, nyud_bgr_depth, ("rgb", "depth")
    ),
    "fcn32s-nyud-hha": Definition(lambda classes: FCN(classes, 32), _NYUD, nyud_hha, ("hha",)),
    "fcn32s-nyud-color-hha": _nyud(32),
    "fcn16s-nyud-color-hha": _nyud(16),
    "fcn32s-siftflow": _siftflow(32),
    "fcn16s-siftflow": _siftflow(16),
    "fcn8s-siftflow": _siftflow(8),
    "fcn32s-pocket": _pocket(32),
    "fcn16s-pocket": _pocket(16),
    "fcn8s-pocket": _pocket(8),
}
"""The built-in models by name."""


def _factory(name: str) -> Factory:
    definition = DEFINITIONS[name]

    def build(weights: str | None = None, num_classes: int = definition.num_classes) -> ModuleSegmenter:
        """Build the model.

        Args:
            weights: a path, the name of published weights, or `random:SEED`; by default the shipped weights, or those
                published for this model.
            num_classes: number of classes of the score layers.
        """
        entry = own_weights(name, num_classes) if weights is None else None
        net = definition.net(num_classes)
        label = f"{name} with {num_classes} classes"
        splits: tuple[str, ...] = ()
        if weights is None and entry is None:
            with as_file(files("fcnbench.models.fcn") / "pocket_weights" / f"{name}.safetensors") as path:
                fill(net, read_state(path), label, f"the shipped {name}.safetensors")
            splits = POCKET_SPLITS
        else:
            weights_name = entry.name if entry is not None else str(weights)
            load_weights(net, weights_name, label)
            splits = published()[weights_name].train_splits if weights_name in published() else ()
        return ModuleSegmenter(net, definition.preprocess, num_classes, splits, modalities=definition.modalities)

    return build


def __getattr__(attribute: str) -> Factory:
    """Return the factory of a model by its name with underscores: `fcn8s_atonce`."""
    name = attribute.replace("_", "-")
    if name not in DEFINITIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    return _factory(name)
