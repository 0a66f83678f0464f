"""Label spaces: what the numbers in a label map mean."""

from __future__ import annotations

from dataclasses import dataclass

IGNORE = 255
"""Canonical ignore value: pixels whose truth is 255 are not scored. VOC's own void index."""

MAX_CLASSES = 255
"""Canonical labels are 8-bit and 255 is taken: indices 0..254 remain."""


@dataclass(frozen=True)
class LabelSpace:
    """Ordered class names with their colours; index in `classes` = value in a canonical label map.

    Attributes:
        name: the name that signatures print, for example `voc21`.
        classes: class names in index order.
        palette: one (R, G, B), 0..255, per class.
        ignore: the value that marks pixels outside the evaluation; always 255 in canonical form.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore: int = IGNORE

    def __post_init__(self) -> None:
        if not 0 < len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"label space {self.name}: 1 to {MAX_CLASSES} classes expected, got {len(self.classes)}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"label space {self.name}: class names repeat")
        if len(self.palette) != len(self.classes):
            raise ValueError(f"label space {self.name}: {len(self.classes)} classes, {len(self.palette)} colours")
        if not len(self.classes) <= self.ignore <= IGNORE:
            raise ValueError(
                f"label space {self.name}: the ignore value {self.ignore} is not outside the classes within 8 bits"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes C; class indices are 0..C-1."""
        return len(self.classes)


def voc_palette(length: int) -> tuple[tuple[int, int, int], ...]:
    """The first `length` colours of the PASCAL VOC devkit's palette.

    The label's bits are dealt out in groups of three from the least significant: bit 0 of a group to red, bit 1 to
    green, bit 2 to blue, the first group into bit 7 of the colour, the next into bit 6, and so on.
    """
    colours = []
    for index in range(length):
        red = green = blue = 0
        for group in range(8):
            bits = index >> (3 * group)
            red |= (bits & 1) << (7 - group)
            green |= (bits >> 1 & 1) << (7 - group)
            blue |= (bits >> 2 & 1) << (7 - group)
        colours.append((red, green, blue))
    return tuple(colours)


VOC_PALETTE = voc_palette(256)
"""The devkit's whole palette: colours for every index, (224, 224, 192) for the ignore value."""
