"""Label spaces: the classes that the values of a label map stand for."""

from __future__ import annotations

from dataclasses import dataclass

IGNORE = 255
"""Canonical ignore value, as in PASCAL VOC: pixels whose ground truth is 255 are not scored."""

MAX_CLASSES = 255
"""Largest number of classes: labels are 8-bit and 255 is the ignore value, so the class indices are 0..254."""


@dataclass(frozen=True)
class LabelSpace:
    """Class names and colours of a dataset; the index of a class in `classes` is its value in fcnbench's label maps.

    Attributes:
        name: name in protocol signatures, for example `voc21`.
        classes: class names in index order.
        palette: one colour (R, G, B) per class, 0..255.
        ignore: value of pixels that are not scored; 255 in fcnbench's label maps.

    Raises:
        ValueError: names repeat, the number of colours differs, or the ignore value is a class index.

    >>> LabelSpace("sides", classes=("left", "right"), palette=voc_palette(2)).num_classes
    2
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
    """Return the first `length` colours of the palette of the PASCAL VOC devkit.

    The bits of an index are taken in groups of three, from the least significant: bit 0 of a group goes to red, bit 1
    to green, bit 2 to blue; the first group sets bit 7 of the colours, the next one bit 6, and so on.

    >>> voc_palette(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))
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
"""The whole palette, 256 colours; (224, 224, 192) is the colour of the ignore value."""
