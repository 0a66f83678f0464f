"""From a model's classes to a data set's, by name: a network trained on ADE20K scored on PASCAL VOC.

A data set's class gets the largest logit among the model's classes of its name. Model classes that the data set does
not have count as its background, where it has one, and are left out otherwise; data set classes that the model does not
know can't be predicted. The whole map is told and stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcnbench.errors import ModelError
from fcnbench.models.segmenter import Around
from fcnbench.util.console import listed

_SYNONYMS = (
    ("aeroplane", "airplane", "plane"),
    ("motorbike", "motorcycle", "minibike"),
    ("sofa", "couch"),
    ("tvmonitor", "tv", "television", "televisionreceiver"),
    ("diningtable", "table"),
    ("pottedplant", "flowerpot"),
    ("bedcloth", "bedclothes"),
    ("clothes", "cloth", "apparel"),
    ("background", "background", "unlabeled", "other"),
    ("refridgerator", "refrigerator"),
)
"""Names of one thing in PASCAL VOC, COCO, ADE20K, PASCAL-Context and NYUDv2."""

_CANONICAL = {name: names[0] for names in _SYNONYMS for name in names}

_BACKGROUND = "background"


@dataclass(frozen=True)
class LabelMap:
    """Which classes of a model stand for which of a data set.

    Attributes:
        sources: for each class of the data set the model's class indices; none where the model does not know it.
        model: the model's class names.
        dataset: the data set's class names.
    """

    sources: tuple[tuple[int, ...], ...]
    model: tuple[str, ...]
    dataset: tuple[str, ...]

    @property
    def identity(self) -> bool:
        """True when both have the same classes in the same order."""
        return self.sources == tuple((index,) for index in range(len(self.model)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The data set's classes that the model can't predict."""
        return tuple(name for name, found in zip(self.dataset, self.sources, strict=True) if not found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The model's classes that stand for nothing, not even background."""
        used = {index for found in self.sources for index in found}
        return tuple(name for index, name in enumerate(self.model) if index not in used)

    def as_dict(self) -> dict[str, list[str]]:
        """The data set's class names, and the model's that stand for them."""
        return {
            name: [self.model[index] for index in found] for name, found in zip(self.dataset, self.sources, strict=True)
        }

    def told(self) -> str:
        """The map in a line, for a person."""
        parts = [f"{len(self.dataset) - len(self.unknown)} of {len(self.dataset)} classes found by name"]
        if self.unknown:
            parts.append(f"the model does not know {listed(self.unknown, 10)}")
        if self.left_out:
            parts.append(f"{len(self.left_out)} of its classes are left out ({listed(self.left_out)})")
        if self.dataset[0] == _BACKGROUND and len(self.sources[0]) > 1:
            parts.append(f"{len(self.sources[0])} of its classes count as background")
        return "; ".join(parts)


def match_labels(model: Sequence[str], dataset: Sequence[str]) -> LabelMap:
    """Map a model's classes to a data set's by their names.

    Raises:
        ModelError: no class has a name in common.
    """
    ours = [_names(name) for name in dataset]
    theirs = [_names(name) for name in model]
    sources = [tuple(index for index, names in enumerate(theirs) if names & wanted) for wanted in ours]
    common = [found for name, found in zip(dataset, sources, strict=True) if found and name != _BACKGROUND]
    if not common:
        raise ModelError(
            f"the model's classes ({listed(list(model))}) and the data set's ({listed(list(dataset))}) have no name in "
            "common",
            "choose a data set that the model was made for",
        )
    if _BACKGROUND in dataset:
        used = {index for found in sources for index in found}
        rest = tuple(index for index in range(len(model)) if index not in used)
        place = list(dataset).index(_BACKGROUND)
        sources[place] = tuple(sorted(sources[place] + rest))
    return LabelMap(tuple(sources), tuple(model), tuple(dataset))


class Mapped(Around):
    """A segmenter in a data set's classes, around one in its own.

    Args:
        inner: the segmenter.
        labels: the map.
    """

    def __init__(self, inner: Any, labels: LabelMap) -> None:
        super().__init__(inner)
        self.labels = labels
        self.num_classes = len(labels.dataset)

    def logits(self, batch: Tensor) -> Tensor:
        """Logits [N, C, H, W] in the data set's classes; minus infinity for a class that the model does not know."""
        found: Tensor = self.inner.logits(batch)
        planes = [
            found[:, list(indices)].amax(1) if indices else torch.full_like(found[:, 0], float("-inf"))
            for indices in self.labels.sources
        ]
        return torch.stack(planes, 1)


def _names(text: str) -> set[str]:
    """All names of a class: ADE20K lists several, and everybody writes them a little differently."""
    parts = (re.sub(r"[^a-z0-9]", "", part) for part in re.split(r"[;,]", text.lower()))
    return {_CANONICAL.get(part, part) for part in parts if part}
