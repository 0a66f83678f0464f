"""The tasks `pocket` (64 val pictures) and `pocket-train` (1,024), generated and checked by digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.pocket.generator import POCKET, draw
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataCorrupt, UsageError
from fcnbench.ground.digests import short

VAL_IMAGES = 64
"""Pictures of `pocket`."""

TRAIN_IMAGES = 1024
"""Pictures of `pocket-train`."""

PIXELS = {
    "val": "sha256:7214f232c458edeaaee7461f91885986a069a3333a4c1e2594077b982beb030c",
    "train": "sha256:29c3d4868691c98f3041952921b29bbc4a4eb25ac68430a931125736ff127e11",
}
"""Digest of all pixels of a split: `pixels_digest` of its pictures and label maps in order."""


class PocketSource:
    """Draws the samples of one split."""

    variant = "v1"
    place = "the generator of pocket"

    def __init__(self, spec: DatasetSpec) -> None:
        self._split = spec.split.name.removeprefix("pocket-")
        self._ids = {sample_id: index for index, sample_id in enumerate(spec.split.ids)}
        self._pixels = hashlib.sha256()
        self._drawn = 0

    def identity(self) -> str:
        """The split's pixel digest: what is drawn is known beforehand."""
        return PIXELS[self._split]

    def images(self) -> frozenset[str]:
        """All ids."""
        return frozenset(self._ids)

    def labels(self) -> frozenset[str]:
        """All ids."""
        return frozenset(self._ids)

    def read(self, sample_id: str) -> NativeSample:
        """Draw one sample; its picture is coded as a binary PPM, whose bytes no library version can change."""
        image, label = draw(self._split, self._ids[sample_id])
        # Drawn in order, the last one completes the digest of the whole split.
        if self._ids[sample_id] == self._drawn:
            self._drawn += 1
            add_pixels(self._pixels, image, label)
            if self._drawn == len(self._ids):
                self._check()
        return NativeSample(encode_ppm(image), label)

    def close(self) -> None:
        """Nothing is held open."""

    def _check(self) -> None:
        found, expected = f"sha256:{self._pixels.hexdigest()}", PIXELS[self._split]
        if found != expected:
            raise DataCorrupt(
                f"pocket ({self._split}) came out with pixels {short(found)}, expected {short(expected)}",
                "this platform draws it differently, which must not happen: please report it with `fcnbench doctor`",
            )


def add_pixels(state: hashlib._Hash, image: NDArray[np.uint8], label: NDArray[np.uint8]) -> None:
    """Add one sample to a split's digest: its size as text, then the pixels of picture and label map."""
    state.update(f"{label.shape[0]}x{label.shape[1]}\n".encode())
    state.update(np.ascontiguousarray(image).data)
    state.update(np.ascontiguousarray(label).data)


def encode_ppm(image: NDArray[np.uint8]) -> bytes:
    """A picture as binary PPM (P6): a text header and the raw pixels."""
    height, width, _ = image.shape
    return f"P6\n{width} {height}\n255\n".encode() + np.ascontiguousarray(image).tobytes()


def open_pocket(spec: DatasetSpec, origin: Path | None) -> Source:
    """The generator.

    Raises:
        UsageError: a path was given.
    """
    if origin is not None:
        raise UsageError(f"{spec.name} is drawn by fcnbench itself and reads nothing from {origin}", "drop --from")
    return PocketSource(spec)


def _task(name: str, split: str, images: int) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=f"procedural shapes over photographs, {split} split, {images} images, built in",
        label_space=POCKET,
        split=Split(f"pocket-{split}", tuple(f"{split}-{index:04d}" for index in range(images))),
        open_source=open_pocket,
        citation="fcnbench; textures from scikit-image (van der Walt et al., PeerJ 2014)",
        terms="drawn over public-domain and CC0 photographs: free for any use",
    )


POCKET_VAL = _task("pocket", "val", VAL_IMAGES)
"""The built-in evaluation task."""

POCKET_TRAIN = _task("pocket-train", "train", TRAIN_IMAGES)
"""What the pocket models were trained on."""
