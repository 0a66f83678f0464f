"""Check for masks: label maps of two classes saved as 0 and 255, which read as class 0 and ignored pixels.

A single image may hold only background and ignored pixels, so the check looks at the whole dataset.
"""

from __future__ import annotations

from fcnbench.datasets.store.manifest import Manifest
from fcnbench.errors import DataCorrupt
from fcnbench.util.console import note

HINT = "write class indices (a mask of two classes as 0 and 1), and 255 only where nothing is to be scored"
"""The next step, for messages about masks."""


def check_masks(manifest: Manifest) -> None:
    """Refuse a complete dataset whose label maps hold only class 0 and ignored pixels; warn about a partial one.

    Raises:
        DataCorrupt: the dataset is complete and has several classes, but its label maps hold only class 0 and ignored
            pixels.
    """
    for kind, classes, histogram in (
        ("label maps", manifest.classes, manifest.histogram),
        ("second label maps", manifest.geo_classes, manifest.geo_histogram),
    ):
        if len(classes) < 2 or not histogram[0] or not histogram[-1] or any(histogram[1:-1]):
            continue
        text = (
            f"the {kind} of {manifest.dataset} in {manifest.origin} hold no class but 0 ({classes[0]}) and ignored "
            f"pixels (255), expected some of its {len(classes)} classes: masks saved as 0 and 255 look like this, and "
            "are scored as one class"
        )
        if manifest.complete:
            raise DataCorrupt(text, HINT)
        note(f"WARNING: {text}; {HINT}")
