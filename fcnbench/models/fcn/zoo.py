"""The built-in models: what each is made of, and their factories, called with `weights=` and `num_classes=`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files

from fcnbench.models.fcn.fcn import AT_ONCE, FCN, Head
from fcnbench.models.fcn.pocket import POCKET_SPLITS, POCKET_TRUNK
from fcnbench.models.fcn.trunks import ALEXNET, GOOGLENET, Stream
from fcnbench.models.names import own_weights
from fcnbench.models.preprocess import caffe_bgr, nyud_bgr, nyud_bgr_depth, nyud_bgr_hha, nyud_hha, siftflow_bgr
from fcnbench.models.registry import SHIPPED
from fcnbench.models.segmenter import ModuleSegmenter, Prepare
from fcnbench.models.weights.load import fill, load_weights, read_state
from fcnbench.models.weights.published import published

Factory = Callable[..., ModuleSegmenter]


@dataclass(frozen=True)
class Definition:
    """A built-in model.

    Attributes:
        net: makes the network for a number of classes.
        num_classes: its number of classes when nobody says otherwise.
        prepare: from pictures to the network's input.
        modalities: what `prepare` takes.
    """

    net: Callable[[int], FCN]
    num_classes: int
    prepare: Prepare = caffe_bgr
    modalities: tuple[str, ...] = ("rgb",)


_VOC, _NYUD, _SIFTFLOW, _GEO = 21, 40, 33, 3
"""Classes of the label spaces that the papers' nets were published for."""

_COLOUR_HHA = (Stream("color"), Stream("hha"))
"""Two trunks, as the reference names their layers."""


def _siftflow(stride: int) -> Definition:
    return Definition(
        lambda classes: FCN(classes, stride, suffix="_sem", more=(Head(_GEO, "geo", "_geo"),)), _SIFTFLOW, siftflow_bgr
    )


def _pocket(stride: int) -> Definition:
    return Definition(lambda classes: FCN(classes, stride, POCKET_TRUNK), SHIPPED[f"fcn{stride}s-pocket"])


DEFINITIONS: dict[str, Definition] = {
    "fcn32s": Definition(lambda classes: FCN(classes, 32), _VOC),
    "fcn16s": Definition(lambda classes: FCN(classes, 16), _VOC),
    "fcn8s": Definition(lambda classes: FCN(classes, 8), _VOC),
    "fcn8s-atonce": Definition(lambda classes: FCN(classes, 8, scales=AT_ONCE), _VOC),
    # The same net as fcn32s; only its training differs (Table 2 of the CVPR paper: the score layer alone).
    "fcn32s-fixed": Definition(lambda classes: FCN(classes, 32), _VOC),
    "fcn-alexnet": Definition(lambda classes: FCN(classes, 32, ALEXNET), _VOC),
    "fcn-googlenet": Definition(lambda classes: FCN(classes, 32, GOOGLENET), _VOC),
    "fcn32s-nyud-color": Definition(lambda classes: FCN(classes, 32), _NYUD, nyud_bgr),
    "fcn32s-nyud-depth": Definition(
        lambda classes: FCN(classes, 32, streams=(Stream(channels=4, first="conv1_1_bgrd"),)),
        _NYUD,
        nyud_bgr_depth,
        ("rgb", "depth"),
    ),
    "fcn32s-nyud-hha": Definition(lambda classes: FCN(classes, 32), _NYUD, nyud_hha, ("hha",)),
    "fcn32s-nyud-color-hha": Definition(
        lambda classes: FCN(classes, 32, streams=_COLOUR_HHA), _NYUD, nyud_bgr_hha, ("rgb", "hha")
    ),
    "fcn16s-nyud-color-hha": Definition(
        lambda classes: FCN(classes, 16, streams=_COLOUR_HHA), _NYUD, nyud_bgr_hha, ("rgb", "hha")
    ),
    "fcn32s-siftflow": _siftflow(32),
    "fcn16s-siftflow": _siftflow(16),
    "fcn8s-siftflow": _siftflow(8),
    "fcn32s-pocket": _pocket(32),
    "fcn16s-pocket": _pocket(16),
    "fcn8s-pocket": _pocket(8),
}
"""Every built-in network by its name."""


def _factory(name: str) -> Factory:
    definition = DEFINITIONS[name]

    def build(weights: str | None = None, num_classes: int = definition.num_classes) -> ModuleSegmenter:
        """Build the network; `weights` is a path, published weights (by default its own), or `random:SEED`."""
        entry = own_weights(name, num_classes) if weights is None else None
        net = definition.net(num_classes)
        label = f"{name} with {num_classes} classes"
        splits: tuple[str, ...] = ()
        if weights is None and entry is None:
            with as_file(files("fcnbench.models.fcn") / "pocket_weights" / f"{name}.safetensors") as path:
                fill(net, read_state(path), label, f"the shipped {name}.safetensors")
            splits = POCKET_SPLITS
        else:
            chosen = entry.name if entry is not None else str(weights)
            load_weights(net, chosen, label)
            splits = published()[chosen].train_splits if chosen in published() else ()
        return ModuleSegmenter(net, definition.prepare, num_classes, splits, modalities=definition.modalities)

    return build


def __getattr__(attribute: str) -> Factory:
    """The factory of a model by its name with underscores: `fcn8s_atonce`."""
    name = attribute.replace("_", "-")
    if name not in DEFINITIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
    return _factory(name)
