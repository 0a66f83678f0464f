"""Small datasets in the exact formats of their publishers, and archives of them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.conftest import jpeg, palette_png, voc_label

Content = Mapping[str, bytes]
"""Content of files by name, with forward slashes."""


def write(content: Content, top: Path) -> Path:
    """Lay files out in a folder."""
    for name, data in content.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return top


def tar(content: Content, target: Path, mode: str = "w") -> Path:
    """Pack files into a tar file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target


def zipped(content: Content, target: Path) -> Path:
    """Pack files into a zip file."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


def mat(**variables: object) -> bytes:
    """A MATLAB file of version 5."""
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """Pixels as PNG: grey with 8 or 16 bits, or RGB."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def listing(ids: Iterable[str], ending: str = "\n") -> bytes:
    """An id list; some publishers leave the last line feed out."""
    return ("\n".join(ids) + ending).encode()


def size_of(seed: int) -> tuple[int, int]:
    """Odd, small, and different from image to image."""
    return 17 + seed % 7, 23 + seed % 5


def voc(
    ids: Iterable[str], root: str = "VOCdevkit/VOC2012", lists: Mapping[str, Iterable[str]] | None = None
) -> Content:
    """PASCAL VOC: JPEG images, palette PNG label maps, and id lists such as `Segmentation/val`."""
    content: dict[str, bytes] = {}
    for seed, sample_id in enumerate(ids):
        content[f"{root}/JPEGImages/{sample_id}.jpg"] = jpeg(*size_of(seed), seed)
        content[f"{root}/SegmentationClass/{sample_id}.png"] = palette_png(voc_label(*size_of(seed), seed))
    for name, listed in (lists or {}).items():
        content[f"{root}/ImageSets/{name}.txt"] = listing(listed)
    return content


def sbd_mat(label: np.ndarray) -> bytes:
    """SBD's `GTcls`: a struct with the label map and 20 boundary maps."""
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        boundaries[index, 0] = np.zeros(label.shape, np.uint8)
    struct = np.zeros((1, 1), [("Segmentation", object), ("Boundaries", object), ("CategoriesPresent", object)])
    struct[0, 0] = (label.astype(np.uint8), boundaries, np.array([[1.0]]))
    return mat(GTcls=struct)


def sbd(train: list[str], val: list[str], root: str = "benchmark_RELEASE/dataset") -> Content:
    """The Semantic Boundaries Dataset."""
    content = {f"{root}/train.txt": listing(train), f"{root}/val.txt": listing(val)}
    for seed, sample_id in enumerate([*train, *val]):
        content[f"{root}/img/{sample_id}.jpg"] = jpeg(*size_of(seed), seed)
        content[f"{root}/cls/{sample_id}.mat"] = sbd_mat(sbd_label(seed))
    return content


def sbd_label(seed: int) -> np.ndarray:
    """A label map without void, as SBD has them."""
    label = voc_label(*size_of(seed), seed)
    return np.where(label == 255, 0, label).astype(np.uint8)


def nyud_native(seed: int, height: int = 425, width: int = 560) -> np.ndarray:
    """A label map in Gupta's values: 0 for void and 1..40."""
    rows, columns = np.indices((height, width))
    return ((rows // 40 + columns // 60 + seed) % 41).astype(np.uint8)


def nyud(ids: Iterable[str], root: str = "nyud/", height: int = 13, width: int = 19, hha: bool = True) -> Content:
    """NYUDv2 in Gupta's layout."""
    content: dict[str, bytes] = {}
    for seed, sample_id in enumerate(ids):
        random = np.random.default_rng(seed)
        content[f"{root}data/images/img_{sample_id}.png"] = png(random.integers(0, 256, (height, width, 3), np.uint8))
        content[f"{root}data/depth/img_{sample_id}.png"] = png(
            random.integers(700, 9000, (height, width)).astype(np.uint16)
        )
        if hha:
            content[f"{root}data/hha/img_{sample_id}.png"] = png(random.integers(0, 256, (height, width, 3), np.uint8))
        label = random.integers(0, 41, (height, width)).astype(np.uint8)
        content[f"{root}segmentation/img_{sample_id}.mat"] = mat(segmentation=label)
    return content


def nyu_raw(path: Path, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`nyu_depth_v2_labeled.mat` with `count` images, MATLAB's axes reversed; gives its arrays as they are seen."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 480, 640, 3), np.uint8)
    labels = random.integers(0, 895, (count, 480, 640)).astype(np.uint16)
    depths = random.uniform(0.7, 9.9, (count, 480, 640)).astype(np.float32)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = images.transpose(0, 3, 2, 1)
        file["labels"] = labels.transpose(0, 2, 1)
        file["depths"] = depths.transpose(0, 2, 1)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    return {"images": images, "labels": labels, "depths": depths}


SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


def siftflow(ids: Iterable[str], root: str = "SiftFlowDataset/", case: str = "{}") -> Content:
    """SIFT Flow; `case` changes how folder names are spelt: `{:upper}` is not a format, so a function name."""
    spelt = str.lower if case == "lower" else str
    content: dict[str, bytes] = {}
    for seed, sample_id in enumerate(ids):
        semantic, geometric = siftflow_native(seed)
        content[f"{root}{spelt('Images')}/{SCENES}/{sample_id}.jpg"] = jpeg(16, 16, seed)
        content[f"{root}{spelt('SemanticLabels')}/{SCENES}/{sample_id}.mat"] = mat(
            S=semantic, names=np.array(["awning"], object)
        )
        content[f"{root}{spelt('GeoLabels')}/{SCENES}/{sample_id}.mat"] = mat(S=geometric)
    return content


def siftflow_native(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Semantic 0..33, geometric -1..3, as doubles."""
    random = np.random.default_rng(seed)
    return random.integers(0, 34, (16, 16)).astype(float), random.integers(-1, 4, (16, 16)).astype(float)


def context_native(seed: int) -> np.ndarray:
    """PASCAL-Context's 0..459."""
    return np.random.default_rng(seed).integers(0, 460, size_of(seed)).astype(np.uint16)


def context_labels(ids: Iterable[str], root: str = "") -> Content:
    """PASCAL-Context's own archive: label maps and names."""
    names = (Path(__file__).parents[2] / "fcnbench/datasets/families/pascal_context_459.txt").read_text().splitlines()
    content = {f"{root}labels.txt": "".join(f"{i}: {name}\n" for i, name in enumerate(names, 1)).encode()}
    for seed, sample_id in enumerate(ids):
        content[f"{root}trainval/{sample_id}.mat"] = mat(LabelMap=context_native(seed))
    return content
