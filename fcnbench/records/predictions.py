"""Folders of predicted label maps: one index PNG an image, written during a run and read back from any framework.

Two layouts: a plain folder of `<id>.png`, and that of the VOC devkit's results, `<comp>_<set>_cls/<id>.png`, at any
depth below the folder. Predictions for a second label map lie in `geo/` beside the first ones.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import decode_label, encode_label
from fcnbench.datasets.codec.png import read_png
from fcnbench.datasets.store.dataset import digest_label
from fcnbench.errors import DataCorrupt, DataMissing, OutputError, PredictionError
from fcnbench.labelspace import VOC_PALETTE
from fcnbench.metrics.counts import LABELS
from fcnbench.util import files
from fcnbench.util.console import listed
from fcnbench.util.digests import digest_file

ENDING = ".png"
GEO_FOLDER = "geo"
_DEVKIT = re.compile(r"[^_]+_.+_cls")
"""The devkit's folders of results: competition, image set, `cls`."""

_USUAL = (
    bytes(value for colour in VOC_PALETTE for value in colour),
    bytes(value for value in range(256) for _ in range(3)),
)
"""Palettes whose order is right: the devkit's, and greys."""

_COMPETITION = "comp6"
"""The VOC competition that any training data is allowed in."""


@dataclass(frozen=True)
class PredictionFolder:
    """The predictions that a folder holds.

    Attributes:
        folder: where they lie.
        files: path by image id.
        geo: path by image id of those for the second label map.
        extra: names of what is there beside predictions.
    """

    folder: Path
    files: dict[str, Path]
    geo: dict[str, Path]
    extra: tuple[str, ...]

    def of(self, label_maps: str) -> dict[str, Path]:
        """Return the paths by image id of the predictions of these label maps, `labels` or `geo`."""
        return self.files if label_maps == LABELS else self.geo

    def read(self, sample_id: str, geo: bool = False) -> NDArray[np.uint8]:
        """A predicted label map, uint8 [H, W].

        Raises:
            PredictionError: unreadable, or no index map.
        """
        path = (self.geo if geo else self.files)[sample_id]
        try:
            content = path.read_bytes()
            label = decode_label(content, path.name)
            _check_palette(content, label, path.name)
            return label
        except DataCorrupt as error:
            raise PredictionError(error.message, "write one 8-bit index PNG an image, palette or grey") from error
        except OSError as error:
            reason = error.strerror or error
            raise PredictionError(f"{path} can't be read: {reason}", "check its permissions") from error


def open_predictions(folder: Path) -> PredictionFolder:
    """ImagePipeline at a folder of predictions, in either layout.

    Raises:
        DataMissing: no such folder, or no prediction in it.
        PredictionError: several folders of results below it.
    """
    if not folder.is_dir():
        raise DataMissing(f"there is no folder {folder}", "name a folder of predictions, one <id>.png an image")
    place = folder
    if not any(folder.glob(f"*{ENDING}")):
        found = sorted(path for path in folder.rglob("*_*_cls") if path.is_dir() and _DEVKIT.fullmatch(path.name))
        if len(found) > 1:
            names = listed([path.relative_to(folder).as_posix() for path in found])
            raise PredictionError(f"{folder} holds {len(found)} folders of results: {names}", "name one of them")
        place = found[0] if found else folder
    known = {path.stem: path for path in sorted(place.iterdir()) if path.suffix == ENDING and path.is_file()}
    if not known:
        raise DataMissing(
            f"{place} holds no prediction",
            f"put one <id>{ENDING} an image there, or into <comp>_<set>_cls/ below it, as the VOC devkit does",
        )
    second = place / GEO_FOLDER
    geo = {path.stem: path for path in sorted(second.iterdir()) if path.suffix == ENDING} if second.is_dir() else {}
    used = {*known.values(), *geo.values()} | ({second} if geo else set())
    there = sorted(place.iterdir()) + (sorted(second.iterdir()) if geo else [])
    extra = tuple(path.relative_to(place).as_posix() for path in there if path not in used)
    return PredictionFolder(place, known, geo, extra)


def _check_palette(content: bytes, label: NDArray[np.uint8], name: str) -> None:
    """Refuse the colours of the VOC palette at other indices: a program that shrinks PNGs moved them.

    Raises:
        PredictionError: the indices are no longer classes.
    """
    png = read_png(content)
    if png is None or not png.palette or any(usual.startswith(png.palette) for usual in _USUAL):
        return
    colours = list(zip(*[iter(png.palette)] * 3, strict=True))
    used = [(index, colours[index]) for index in np.unique(label) if index < len(colours)]
    moved = [(index, colour) for index, colour in used if colour != VOC_PALETTE[index]]
    if moved and all(colour in VOC_PALETTE for _, colour in used):
        index, colour = moved[0]
        raise PredictionError(
            f"{name} has the colour of class {VOC_PALETTE.index(colour)} at index {index}: its palette was put into "
            "another order, and the indices are no longer classes",
            "write the label maps again, and keep programs away that make PNGs smaller",
        )


class PredictionWriter:
    """Writes predictions while a run goes on; the folder appears when the run is done, whole.

    Until then they lie in a hidden folder beside, which the same command finds again after an interruption.

    Args:
        target: the folder to be.
        devkit_set: name of the image set, for the VOC devkit's layout; empty for a plain folder.
        name: a name that only this work has.
    """

    def __init__(self, target: Path, devkit_set: str, name: str) -> None:
        files.check_target_free(target)
        self.target = target
        self._scratch = target.with_name(f".{target.name}.{name}{files.TEMPORARY_SUFFIX}")
        self._folder = self._scratch / f"{_COMPETITION}_{devkit_set}_cls" if devkit_set else self._scratch
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write predictions into {self._folder}: {error.strerror or error}", "choose another folder"
            ) from error

    def put(self, sample_id: str, maps: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write the predicted label maps of one image.

        Args:
            sample_id: image id.
            maps: label maps, uint8 [H, W], by name: `labels`, and maybe `geo`.

        Raises:
            OutputError: one could not be written.
        """
        for name, label in maps.items():
            files.write_bytes(self._path(sample_id, name), encode_label(label, VOC_PALETTE))

    def holds(self, sample_id: str, digests: Mapping[str, str]) -> bool:
        """Return whether the predictions of these digests were written before.

        Args:
            sample_id: image id.
            digests: digests of the label maps by name.
        """
        return all(self._digest(self._path(sample_id, name)) == digest for name, digest in digests.items())

    def _path(self, sample_id: str, name: str) -> Path:
        folder = self._folder if name == LABELS else self._folder / GEO_FOLDER
        return folder / f"{sample_id}{ENDING}"

    @staticmethod
    def _digest(path: Path) -> str:
        """Return the digest of a written label map; empty where there is none."""
        try:
            return digest_label(decode_label(path.read_bytes(), path.name))
        except (OSError, DataCorrupt):
            return ""

    def refuse_gaps(self, ids: Sequence[str]) -> None:
        """Refuse to publish fewer predictions than images: other machines wrote the others elsewhere.

        Raises:
            OutputError: some are not here.
        """
        missing = [name for name in ids if not (self._folder / f"{name}{ENDING}").exists()]
        if missing:
            raise OutputError(
                f"{len(missing)} of {len(ids)} predictions are not in {self._folder} ({listed(missing)}): another "
                "machine wrote them",
                "name a folder that all machines share, or run on one",
            )

    def publish(self, ids: Collection[str]) -> None:
        """Let the folder appear. Where a process beside this one was first with the same files, these go.

        Args:
            ids: of the images of the run; an interrupted one may have left predictions for more.

        Raises:
            UsageError: something else took its name meanwhile; the predictions stay in the hidden folder.
            OutputError: it could not be moved.
        """
        files.remove_leftovers(self._folder)
        for path in [*self._folder.glob(f"*{ENDING}"), *(self._folder / GEO_FOLDER).glob(f"*{ENDING}")]:
            if path.stem not in ids:
                path.unlink(missing_ok=True)
        if _digests(self._scratch) == _digests(self.target):
            shutil.rmtree(self._scratch, ignore_errors=True)
        else:
            files.publish_new(self._scratch, self.target)


def _digests(folder: Path) -> dict[Path, str]:
    """Digest by path of every file below a folder."""
    return {path.relative_to(folder): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
