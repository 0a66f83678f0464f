"""The mapping of a model's classes to a dataset's by name, such as ADE20K's to those of PASCAL VOC.

A class of the dataset gets the largest logit among the model's classes of that name. Classes that only the model has
count as the dataset's background, if it has one, and are ignored otherwise. Classes that only the dataset has are never
predicted. The mapping is printed and stored in the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcnbench.errors import ModelError
from fcnbench.models.segmenter import SegmenterWrapper
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
"""Names of the same class in PASCAL VOC, COCO, ADE20K, PASCAL-Context and NYUDv2."""

_CANONICAL = {name: names[0] for names in _SYNONYMS for name in names}

_BACKGROUND = "background"


@dataclass(frozen=True)
class ClassMapping:
    """Which classes of a model correspond to which of a dataset.

    Attributes:
        sources: for each class of the dataset, the indices of the model's classes; empty where it has none.
        model: the model's class names.
        dataset: the dataset's class names.
    """

    sources: tuple[tuple[int, ...], ...]
    model: tuple[str, ...]
    dataset: tuple[str, ...]

    @property
    def identity(self) -> bool:
        """Whether both have the same classes in the same order."""
        return self.sources == tuple((index,) for index in range(len(self.model)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The dataset's classes that the model can't predict."""
        return tuple(name for name, indices in zip(self.dataset, self.sources, strict=True) if not indices)

    @property
    def ignored(self) -> tuple[str, ...]:
        """The model's classes that correspond to none of the dataset, not even its background."""
        used = {index for indices in self.sources for index in indices}
        return tuple(name for index, name in enumerate(self.model) if index not in used)

    def as_dict(self) -> dict[str, list[str]]:
        """Return the model's class names by the dataset's."""
        return {
            name: [self.model[index] for index in indices]
            for name, indices in zip(self.dataset, self.sources, strict=True)
        }

    def describe(self) -> str:
        """Describe the mapping in one line.

        >>> match_classes(["sky", "cat"], ["dog", "cat"]).describe()
        '1 of 2 classes matched by name; the model does not know dog; 1 of its classes are ignored (sky)'
        """
        parts = [f"{len(self.dataset) - len(self.unknown)} of {len(self.dataset)} classes matched by name"]
        if self.unknown:
            parts.append(f"the model does not know {listed(self.unknown, 10)}")
        if self.ignored:
            parts.append(f"{len(self.ignored)} of its classes are ignored ({listed(self.ignored)})")
        if self.dataset[0] == _BACKGROUND and len(self.sources[0]) > 1:
            parts.append(f"{len(self.sources[0])} of its classes count as background")
        return "; ".join(parts)


def match_classes(model: Sequence[str], dataset: Sequence[str]) -> ClassMapping:
    """Map a model's classes to a dataset's by their names.

    Args:
        model: the model's class names, in the order of its logits.
        dataset: the dataset's class names, in the order of their indices.

    Raises:
        ModelError: no class besides background has a name in common.

    >>> match_classes(["sky", "couch", "cat"], ["background", "cat", "sofa"]).sources
    ((0,), (2,), (1,))
    """
    dataset_names = [_canonical_names(name) for name in dataset]
    model_names = [_canonical_names(name) for name in model]
    sources = [tuple(index for index, names in enumerate(model_names) if names & wanted) for wanted in dataset_names]
    if not any(indices for name, indices in zip(dataset, sources, strict=True) if name != _BACKGROUND):
        raise ModelError(
            f"the model's classes ({listed(list(model))}) and the dataset's ({listed(list(dataset))}) have no name in "
            "common",
            "choose a dataset that the model was made for",
        )
    if _BACKGROUND in dataset:
        used = {index for indices in sources for index in indices}
        unused = tuple(index for index in range(len(model)) if index not in used)
        background = list(dataset).index(_BACKGROUND)
        sources[background] = tuple(sorted(sources[background] + unused))
    return ClassMapping(tuple(sources), tuple(model), tuple(dataset))


class MappedSegmenter(SegmenterWrapper):
    """A segmenter whose logits are in a dataset's classes, around one with classes of its own.

    Args:
        inner: the segmenter.
        mapping: the mapping of its classes.
    """

    def __init__(self, inner: Any, mapping: ClassMapping) -> None:
        super().__init__(inner)
        self.mapping = mapping
        self.num_classes = len(mapping.dataset)

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits [N, C, H, W] in the dataset's classes; minus infinity for classes that the model lacks."""
        logits: Tensor = self.inner.logits(batch)
        channels = [
            logits[:, list(indices)].amax(1) if indices else torch.full_like(logits[:, 0], float("-inf"))
            for indices in self.mapping.sources
        ]
        return torch.stack(channels, 1)


def _canonical_names(text: str) -> set[str]:
    """Return all names of a class in one spelling; ADE20K lists several, separated by `;` or `,`."""
    parts = (re.sub(r"[^a-z0-9]", "", part) for part in re.split(r"[;,]", text.lower()))
    return {_CANONICAL.get(part, part) for part in parts if part}
