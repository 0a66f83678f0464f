"""The publishers' file of NYU Depth V2, nyu_depth_v2_labeled.mat: HDF5, read with h5py (extra `nyudv2`).

    images     uint8  [N, 3, 640, 480]      h5py returns the axes of MATLAB's arrays in reverse order
    labels     uint16 [N, 640, 480]         0 for unlabelled, classes 1..894
    depths     float  [N, 640, 480]         metres, holes filled

Images are cropped to the 425x560 pixels of Gupta et al., and `nyudv2_894.txt` maps the 894 classes to their 40.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.file_stamp import ARCHIVE_SAMPLES, stamp_file
from fcnbench.datasets.codec.images import encode_depth, encode_ppm
from fcnbench.datasets.codec.matlab import minus_one, native_classes
from fcnbench.datasets.extras import import_extra
from fcnbench.datasets.spec import DatasetSpec, NativeSample
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataCorrupt, FcnbenchError
from fcnbench.util.digests import digest_lines
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import h5py

RAW = "raw"
"""Variant of the publishers' file, as signatures name it."""

RAW_NAME = "nyu_depth_v2_labeled.mat"
"""Name of the publishers' file."""

_FIRST_ID = 5001
"""Id of the first image of the file."""

_CROP = (slice(45, 470), slice(40, 600))
"""Rows and columns that Gupta et al. keep of 480x640 pixels: 46:470 and 41:600 in MATLAB, giving 425x560."""

_FRAME = (480, 640)
"""Height and width of the publishers' images."""

_RAW_CLASSES = 894
"""Number of classes of the publishers' label maps, besides 0 for unlabelled."""

_MILLIMETRES = 1000
"""Millimetres per metre: depths are metres in the file, and millimetres in a sample."""

_HDF5_SIGNATURE, _HDF5_USER_BLOCK = b"\x89HDF\r\n\x1a\n", 512
"""The signature is at offset 0, 512, 1024, 2048, ... (HDF5 file format specification, II.A): after a user block, which
MATLAB writes."""


class RawSource:
    """The publishers' file as a `Source`.

    Args:
        spec: the dataset.
        path: the file.

    Raises:
        DataError: h5py is not installed.
        DataCorrupt: the file is not an HDF5 file with the expected arrays.
    """

    variant = RAW

    def __init__(self, spec: DatasetSpec, path: Path) -> None:
        assert isinstance(spec.split, Split)
        self.split = spec.split
        self.location = path.as_posix()
        self.archives = (path,)
        self._path = path
        self._file = _open_hdf5(path)
        try:
            self._images = self._array("images", 4, (3, _FRAME[1], _FRAME[0]))
            if self._images.dtype != np.uint8:
                raise DataCorrupt(
                    f"{self.location}: 'images' holds {self._images.dtype}, expected uint8: cut to 8 bits they would "
                    "be other images",
                    "pass the publishers' own nyu_depth_v2_labeled.mat",
                )
            self._labels = self._array("labels", 3, (_FRAME[1], _FRAME[0]))
            # The filled depths: raw ones have holes of depth 0, which has no logarithm.
            self._depths = self._array("depths", 3, (_FRAME[1], _FRAME[0]))
        except FcnbenchError:
            self.close()
            raise

    def identity(self) -> str:
        """Return a digest of the file's path, size, times and samples of its content."""
        return digest_lines([f"archive {self._path.resolve()} {stamp_file(self._path, ARCHIVE_SAMPLES)}"])

    def images(self) -> frozenset[str]:
        """Return the ids of the split that the file holds."""
        count = min(len(self._images), len(self._labels), len(self._depths))
        return frozenset(sample_id for sample_id in self.split.ids if _index(sample_id) < count)

    def labels(self) -> frozenset[str]:
        """Return the same ids: every image has a label map."""
        return self.images()

    def read(self, sample_id: str) -> NativeSample:
        """Read one sample, cropped; the image is encoded as PPM, the depths as 16-bit PGM."""
        name, index = f"sample {sample_id} in {self.location}", _index(sample_id)
        raw = native_classes(self._upright(self._labels, index, name), 0, _RAW_CLASSES, f"the label map of {name}")
        metres = self._upright(self._depths, index, name).astype(np.float64)
        millimetres = np.rint(metres * _MILLIMETRES)
        if not ((millimetres > 0) & (millimetres <= np.iinfo(np.uint16).max)).all():
            raise DataCorrupt(f"the depths of {name} are not all above 0 and below 65.5 m", "get the file again")
        return NativeSample(
            image=encode_ppm(self._upright(self._images, index, name).astype(np.uint8)),
            label=minus_one(map_of_894()[raw.astype(np.intp)]),
            depth=encode_depth(millimetres.astype(np.uint16)),
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _upright(self, array: h5py.Dataset, index: int, name: str) -> NDArray[Any]:
        """Return the array of one image as [H, W] or [H, W, 3], cropped."""
        try:
            return np.ascontiguousarray(np.transpose(array[index])[_CROP])
        except (OSError, ValueError, RuntimeError) as error:
            raise DataCorrupt(
                f"{name} can't be read: {error}", "get the file again and compare its digest or size"
            ) from error

    def _array(self, name: str, dimensions: int, ending: tuple[int, ...]) -> h5py.Dataset:
        import h5py

        try:
            array = self._file.get(name)
        except (KeyError, OSError, RuntimeError):
            array = None
        if not isinstance(array, h5py.Dataset) or array.ndim != dimensions or array.shape[1:] != ending:
            shape = array.shape if isinstance(array, h5py.Dataset) else "missing"
            raise DataCorrupt(
                f"{self.location}: {name!r} is {shape}, expected {('N', *ending)} as h5py reads it",
                "pass the publishers' own nyu_depth_v2_labeled.mat",
            )
        return array


def is_hdf5(path: Path) -> bool:
    """Return whether a file has the signature of HDF5.

    >>> is_hdf5(Path(__file__))
    False
    """
    with suppress(OSError), path.open("rb") as stream:
        offset, size = 0, path.stat().st_size
        while offset < size:
            stream.seek(offset)
            if stream.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                return True
            offset = offset * 2 or _HDF5_USER_BLOCK
    return False


def _index(sample_id: str) -> int:
    return int(sample_id) - _FIRST_ID


def _open_hdf5(path: Path) -> h5py.File:
    package = import_extra("h5py", "nyudv2", f"the HDF5 file {path}")
    try:
        return package.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise DataCorrupt(
            f"{path} can't be read as HDF5: {error}", "get the file again and compare its digest or size"
        ) from error


@cache
def map_of_894() -> NDArray[np.uint8]:
    """Return the table from the publishers' classes, 0..894, to 0 for void or 1..40, uint8 [895].

    >>> map_of_894().shape
    (895,)
    """
    lines = read_text(files("fcnbench.datasets.families") / "nyudv2_894.txt").splitlines()
    return np.array([0, *(int(line) for line in lines if not line.startswith("#"))], np.uint8)
