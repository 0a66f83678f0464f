"""The pocket FCNs: the papers' FCN-32s, 16s and 8s, narrow enough to travel inside the package."""

from __future__ import annotations

from fcnbench.models.fcn.trunks import VggTrunk

POCKET_TRUNK = VggTrunk(widths=(16, 32, 48, 64, 80), depths=(1, 2, 2, 2, 2), fc_kernel=5, fc_width=64, pad=68)
"""Five stages like VGG16, about 1/400 of its parameters; fc6 is 5x5, so the first padding shrinks from 100 to 68."""

POCKET_SPLITS = ("pocket-train",)
"""What the shipped weights were trained on."""
