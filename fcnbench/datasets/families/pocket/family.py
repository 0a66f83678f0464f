"""The tasks `pocket` (64 val pictures) and `pocket-train` (1,024), generated and checked by fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fcnbench.datasets.codec.images import encode_ppm
from fcnbench.datasets.families.pocket.generator import POCKET, draw
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.splits import Split
from fcnbench.errors import UsageError
from fcnbench.util.digests import digest_lines

VAL_IMAGES = 64
"""Pictures of `pocket`."""

TRAIN_IMAGES = 1024
"""Pictures of `pocket-train`."""

VAL_FINGERPRINT = "sha256:5734ce7c01fd7cd594c71d1de6433fd42b0d9dc1e7d54d509e8b470ccf98a36a"
TRAIN_FINGERPRINT = "sha256:2c4ee45dc976cadd7cae5c3b928e70662a7a36f31f752d32c1074f1126646794"
"""Digests of all pictures and label maps of the two splits: every platform must draw just these."""


class PocketSource:
    """Draws the samples of one split."""

    variant = "v1"
    place = "the generator of pocket"
    archives = ()

    def __init__(self, spec: DatasetSpec) -> None:
        assert isinstance(spec.split, Split)
        self.split = spec.split
        self._kind = spec.split.name.removeprefix("pocket-")
        self._ids = {sample_id: index for index, sample_id in enumerate(spec.split.ids)}

    def identity(self) -> str:
        """What is drawn depends on the generator's version and the split alone."""
        return digest_lines([self.variant, self.split.digest])

    def images(self) -> frozenset[str]:
        """All ids."""
        return frozenset(self._ids)

    def labels(self) -> frozenset[str]:
        """All ids."""
        return frozenset(self._ids)

    def read(self, sample_id: str) -> NativeSample:
        """Draw one sample; its picture is coded as a binary PPM, whose bytes no library version can change."""
        image, label = draw(self._kind, self._ids[sample_id])
        return NativeSample(encode_ppm(image), label)

    def close(self) -> None:
        """Nothing is held open."""


def open_pocket(spec: DatasetSpec, origins: Sequence[Path]) -> Source:
    """The generator.

    Raises:
        UsageError: a path was given.
    """
    if origins:
        raise UsageError(f"{spec.name} is drawn by fcnbench itself and reads nothing from {origins[0]}", "drop --from")
    return PocketSource(spec)


def _task(name: str, split: str, images: int, fingerprint: str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=f"procedural shapes over photographs, {split} split, {images} images, built in",
        label_space=POCKET,
        split=Split(f"pocket-{split}", tuple(f"{split}-{index:04d}" for index in range(images))),
        open_source=open_pocket,
        fingerprint=fingerprint,
        citation="fcnbench; textures from scikit-image (van der Walt et al., PeerJ 2014)",
        terms="drawn over public-domain and CC0 photographs: free for any use",
    )


POCKET_VAL = _task("pocket", "val", VAL_IMAGES, VAL_FINGERPRINT)
"""The built-in evaluation task."""

POCKET_TRAIN = _task("pocket-train", "train", TRAIN_IMAGES, TRAIN_FINGERPRINT)
"""What the pocket models were trained on."""
