"""NYU Depth V2 in the 40 classes of Gupta et al., from either of two sources whose labels differ.

`gupta` is what the papers used: `data/images/img_<id>.png`, `data/depth`, `data/hha` and `segmentation/img_<id>.mat`,
already 425x560. `raw` is the publishers' `nyu_depth_v2_labeled.mat` (HDF5), cropped to the same frame, its 894 classes
mapped to the 40; Gupta's labels were cleaned further, so the two are close and not equal, and the signature says which.

scipy and h5py are imported on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.file_stamp import ARCHIVE, fingerprint_file
from fcnbench.datasets.archive.release import Family, close_trees, open_trees
from fcnbench.datasets.codec.images import encode_depth, encode_ppm
from fcnbench.datasets.codec.matlab import minus_one, native_classes, read_mat
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.splits import Split, published_split
from fcnbench.errors import DataCorrupt, DataMissing, FcnbenchError
from fcnbench.labelspace import LabelSpace, voc_palette
from fcnbench.util.digests import digest_lines
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import h5py

NYUD40 = LabelSpace(
    name="nyud40",
    classes=(
        "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
        "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
        "ceiling", "books", "refridgerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
        "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture",
        "otherprop",
    ),
    palette=voc_palette(40),
)  # fmt: skip
"""The 40 classes, spelt as the reference repository spells them."""

_FIRST_ID = 5000
"""Ids are this plus the image's number in NYU Depth V2, which counts from 1."""

_CROP = (slice(45, 470), slice(40, 600))
"""Rows and columns that Gupta et al. keep of 480x640: MATLAB's 46:470 and 41:600, giving 425x560."""

_FRAME = (480, 640)
"""Height and width of the publishers' pictures."""

_RAW_CLASSES = 894
"""Classes of the publishers' label maps, beside 0 for unlabelled."""

_MILLIMETRES = 1000
"""Depths are metres in the publishers' file and millimetres in depth pictures."""

_RAW_NAME = "nyu_depth_v2_labeled.mat"
"""The publishers' file, in a folder that was given."""

GUPTA, RAW = "gupta", "raw"
"""The two labellings, as the signature names them."""


def decode_gupta(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode `segmentation/img_<id>.mat`: `segmentation` holds 0 for void and 1..40.

    Raises:
        DataCorrupt: no such MATLAB file, or other values.
    """
    return minus_one(native_classes(read_mat(content, what, "segmentation"), 0, NYUD40.num_classes, what))


GUPTA_LAYOUT = Family(
    images="data/images/img_{id}.png",
    labels="segmentation/img_{id}.mat",
    decode=decode_gupta,
    others={"depth": "data/depth/img_{id}.png", "hha": "data/hha/img_{id}.png"},
    fallback=GUPTA,
)
"""Layout of nyud.tar.gz and of Gupta's data.tgz."""


class RawSource:
    """The publishers' `nyu_depth_v2_labeled.mat`. h5py gives MATLAB's arrays with their axes reversed."""

    variant = RAW

    def __init__(self, spec: DatasetSpec, path: Path) -> None:
        assert isinstance(spec.split, Split)
        self.split = spec.split
        self.place = path.as_posix()
        self.archives = (path,)
        self._path = path
        self._file = _open_hdf5(path)
        try:
            self._images = self._array("images", 4, (3, _FRAME[1], _FRAME[0]))
            if self._images.dtype != np.uint8:
                raise DataCorrupt(
                    f"{self.place}: 'images' holds {self._images.dtype}, expected uint8: cut to 8 bits they would be "
                    "other images",
                    "pass the publishers' own nyu_depth_v2_labeled.mat",
                )
            self._labels = self._array("labels", 3, (_FRAME[1], _FRAME[0]))
            # The filled depths: the raw ones have holes, and the logarithm of 0 is no depth.
            self._depths = self._array("depths", 3, (_FRAME[1], _FRAME[0]))
        except FcnbenchError:
            self.close()
            raise

    def identity(self) -> str:
        """Return a digest over the file's path, size, times and samples of its content."""
        return digest_lines([f"archive {self._path.resolve()} {fingerprint_file(self._path, ARCHIVE)}"])

    def images(self) -> frozenset[str]:
        """Ids of the task that the file has."""
        count = min(len(self._images), len(self._labels), len(self._depths))
        return frozenset(sample_id for sample_id in self.split.ids if _place(sample_id) < count)

    def labels(self) -> frozenset[str]:
        """The same ids: a picture comes with its label map."""
        return self.images()

    def read(self, sample_id: str) -> NativeSample:
        """Read one sample, cropped; the picture is coded as PPM and the depths as 16-bit PGM."""
        what = f"sample {sample_id} in {self.place}"
        place = _place(sample_id)
        raw = native_classes(self._upright(self._labels, place, what), 0, _RAW_CLASSES, f"the label map of {what}")
        metres = self._upright(self._depths, place, what).astype(np.float64)
        millimetres = np.rint(metres * _MILLIMETRES)
        if not ((millimetres > 0) & (millimetres <= np.iinfo(np.uint16).max)).all():
            raise DataCorrupt(f"the depths of {what} are not all above 0 and below 65.5 m", "get the file again")
        return NativeSample(
            image=encode_ppm(self._upright(self._images, place, what).astype(np.uint8)),
            label=minus_one(_map_of_894()[raw.astype(np.intp)]),
            depth=encode_depth(millimetres.astype(np.uint16)),
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _upright(self, array: h5py.Dataset, place: int, what: str) -> NDArray[Any]:
        """One image's array with its axes as they are seen, [H, W] or [H, W, 3], cropped."""
        try:
            return np.ascontiguousarray(np.transpose(array[place])[_CROP])
        except (OSError, ValueError, RuntimeError) as error:
            raise DataCorrupt(
                f"{what} can't be read: {error}", "get the file again and compare its digest or size"
            ) from error

    def _array(self, name: str, dimensions: int, ending: tuple[int, ...]) -> h5py.Dataset:
        import h5py

        try:
            found = self._file.get(name)
        except (KeyError, OSError, RuntimeError):
            found = None
        if not isinstance(found, h5py.Dataset) or found.ndim != dimensions or found.shape[1:] != ending:
            shape = found.shape if isinstance(found, h5py.Dataset) else "missing"
            raise DataCorrupt(
                f"{self.place}: {name!r} is {shape}, expected {('N', *ending)} as h5py sees it",
                "pass the publishers' own nyu_depth_v2_labeled.mat",
            )
        return found


def open_nyudv2(spec: DatasetSpec, origins: Sequence[Path]) -> Source:
    """Find Gupta's layout or the publishers' file, whichever holds more of the task; Gupta's of equal ones.

    Raises:
        DataMissing: no path was given, or nothing of the task is there.
        DataCorrupt: a file or archive is not what it should be.
    """
    hdf5 = [path for path in origins if path.is_file() and _is_hdf5(path)]
    others = [path for path in origins if path not in hdf5]
    for folder in (path for path in others if path.is_dir()):
        hdf5 += [path for path in sorted(folder.iterdir()) if path.name.casefold() == _RAW_NAME]
    raw = RawSource(spec, hdf5[0]) if hdf5 else None
    if raw and not others:
        return raw
    try:
        gupta = _open_gupta(spec, others)
    except DataMissing:
        if raw is None:
            raise
        return raw
    if raw is None:
        return gupta
    first, other = (raw, gupta) if len(raw.images()) > len(gupta.images()) else (gupta, raw)
    other.close()
    return first


def _open_gupta(spec: DatasetSpec, origins: Sequence[Path]) -> Source:
    trees = open_trees(spec, origins, archive_files(spec.archives) - {_RAW_NAME})
    try:
        return GUPTA_LAYOUT.pick(spec, trees)
    except FcnbenchError:
        close_trees(trees)
        raise


def _place(sample_id: str) -> int:
    return int(sample_id) - _FIRST_ID - 1


def _is_hdf5(path: Path) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))


def _open_hdf5(path: Path) -> h5py.File:
    import h5py

    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise DataCorrupt(
            f"{path} can't be read as HDF5: {error}", "get the file again and compare its digest or size"
        ) from error


@cache
def _map_of_894() -> NDArray[np.uint8]:
    """From the publishers' class, 0..894, to 0 for void or 1..40."""
    lines = read_text(files("fcnbench.datasets.families") / "nyudv2_894.txt").splitlines()
    return np.array([0, *(int(line) for line in lines if not line.startswith("#"))], np.uint8)


def _task(name: str, title: str, split: Split) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=NYUD40,
        split=split,
        open_source=open_nyudv2,
        modalities=("rgb", "depth", "hha"),
        labellings=(GUPTA, RAW),
        archives=(("nyud",), ("nyud-gupta",), ("nyu-depth-v2",)),
        accepts=(
            "nyud.tar.gz, a folder with its data/ and segmentation/, or nyu_depth_v2_labeled.mat (the latter gives "
            "other labels, and no HHA)"
        ),
        citation="Silberman et al., ECCV 2012; labels: Gupta et al., CVPR 2013",
        terms="its publishers name none",
    )


NYUDV2_TEST = _task("nyudv2test", "NYU Depth V2, test, 40 classes, 654 images", published_split("nyud-test"))
"""The papers' test split."""

NYUDV2_TRAIN = _task(
    "nyudv2train",
    "NYU Depth V2, train, 40 classes, 795 images",
    # No trainval list was published: the papers' training images are these two lists, one after the other.
    published_split("nyud-trainval", "nyud-train", "nyud-val"),
)
"""What the papers' NYUDv2 nets are trained on."""
