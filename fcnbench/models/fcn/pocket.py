"""The trunk of the pocket FCNs: FCN-32s, 16s and 8s, small enough for their weights to ship with the package."""

from __future__ import annotations

from fcnbench.models.fcn.vgg import VGGTrunk

POCKET_TRUNK = VGGTrunk(widths=(16, 32, 48, 64, 80), depths=(1, 2, 2, 2, 2), fc_kernel=5, fc_width=64, pad=68)
"""Five stages as in VGG16, with about 1/400 of its parameters. fc6 is 5x5, so the first padding is 68, not 100."""

POCKET_SPLITS = ("pocket-train",)
"""The splits that the shipped weights were trained on."""
