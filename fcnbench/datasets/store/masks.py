"""Label maps that are masks: two classes saved as 0 and 255, which a label map means as one class and ignored pixels.

One image may well hold background and ignored pixels alone, so only a whole set tells.
"""

from __future__ import annotations

from fcnbench.datasets.store.manifest import Manifest
from fcnbench.errors import DataCorrupt
from fcnbench.util.console import note

HINT = "write class indices (a mask of two classes as 0 and 1), and 255 only where nothing is to be scored"
"""The next step, wherever such masks turn up."""


def check_masks(manifest: Manifest) -> None:
    """Refuse a whole dataset whose label maps hold the first class and ignored pixels alone; warn of such a part.

    Raises:
        DataCorrupt: the dataset is complete, has more than one class, and only the first one occurs, beside ignored
            pixels.
    """
    for kind, classes, histogram in (
        ("label maps", manifest.classes, manifest.histogram),
        ("second label maps", manifest.geo_classes, manifest.geo_histogram),
    ):
        if len(classes) < 2 or not histogram[0] or not histogram[-1] or any(histogram[1:-1]):
            continue
        said = (
            f"the {kind} of {manifest.dataset} in {manifest.origin} hold no class but 0 ({classes[0]}) and ignored "
            f"pixels (255), expected some of its {len(classes)} classes: masks saved as 0 and 255 look like this, and "
            "are scored as one class"
        )
        if manifest.complete:
            raise DataCorrupt(said, HINT)
        note(f"WARNING: {said}; {HINT}")
