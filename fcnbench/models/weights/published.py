"""The catalogue of published weights, and their download.

Files are downloaded like datasets (mirrors, resume, digests), read once, and stored as safetensors with the source's
digest in the header; the publisher's file is deleted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.errors import WeightsError
from fcnbench.util import files, paths
from fcnbench.util.archive import ALGORITHMS, Archive
from fcnbench.util.consent import Download, require_consent
from fcnbench.util.digests import digest_file
from fcnbench.util.download import download
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Published:
    """One entry of the catalogue.

    Attributes:
        name: the name that `--weights` takes.
        model: name of the model that the weights are for; empty for a classification net, which fills a trunk.
        archive: file name, URLs and digests.
        licence: SPDX identifier.
        num_classes: number of classes of the score layers.
        label_space: name of the label space of these classes; empty for a classification net.
        train_splits: names of the splits that the weights were trained on.
    """

    name: str
    model: str
    archive: Archive
    licence: str
    num_classes: int
    label_space: str
    train_splits: tuple[str, ...]


@cache
def published() -> dict[str, Published]:
    """Return all published weights by name.

    >>> published()["fcn8s-heavy-pascal"].model
    'fcn8s'
    """
    content = tomllib.loads(read_text(resources("fcnbench.models.weights") / "WEIGHTS.toml"))
    return {
        name: Published(
            name=name,
            model=entry["model"],
            archive=Archive(
                name=name,
                file=entry["file"],
                urls=tuple(entry["urls"]),
                digests={algorithm: entry[algorithm] for algorithm in ALGORITHMS if algorithm in entry},
                size=entry.get("size"),
                terms=entry["licence"],
                citation="Long, Shelhamer, Darrell, Fully Convolutional Networks for Semantic Segmentation",
                approximate_size=entry.get("approximate_size"),
            ),
            licence=entry["licence"],
            num_classes=entry["num_classes"],
            label_space=entry.get("label_space", ""),
            train_splits=tuple(entry["train_splits"]),
        )
        for name, entry in content.items()
    }


def missing_weights(entry: Published) -> list[Download]:
    """Return what must be downloaded to use published weights: their file, or nothing if it is on disk."""
    if _stored_path(entry).is_file() or (paths.weights() / entry.archive.file).is_file():
        return []
    purpose = f"weights of {entry.model}" if entry.model else f"weights {entry.name}"
    instead = f"pass --weights PATH of your own copy of {entry.archive.file}"
    return [Download(entry.archive, paths.weights(), purpose, instead)]


def _stored_path(entry: Published) -> Path:
    """Return the path of the stored safetensors file of published weights."""
    return paths.weights() / f"{entry.name}.safetensors"


def fetch_weights(entry: Published, read: Callable[[Path], dict[str, Tensor]]) -> Path:
    """Return the path of published weights as safetensors; the first time, download and convert them.

    Args:
        entry: the weights.
        read: reads the publisher's file to tensors by name.

    Raises:
        DataMissing: every mirror failed, downloads are forbidden, or the user has not agreed to the terms.
        WeightsError: the file does not contain weights.
        OutputError: the folder is not writable or the disk too small.
    """
    stored, original = _stored_path(entry), paths.weights() / entry.archive.file
    if stored.is_file():
        return stored
    require_consent(missing_weights(entry), accept_terms=False)
    if original.is_file() and (wrong := entry.archive.mismatch_of(original)):
        raise WeightsError(f"{original} is not the published file: {wrong}", f"delete {original}, and run again")
    download(entry.archive, paths.weights(), "--weights")
    with files.locked(paths.weights() / f"{entry.name}.lock"):
        if not stored.is_file():
            store(read(original), stored, {"source": entry.archive.file, "sha256": digest_file(original)})
        original.unlink(missing_ok=True)
    return stored


def store(state: dict[str, Tensor], path: Path, about: dict[str, str]) -> None:
    """Write tensors to a safetensors file atomically.

    Args:
        state: tensors by name.
        path: the file.
        about: metadata for its header.
    """
    from safetensors.torch import save

    files.write_bytes(path, save({name: value.contiguous() for name, value in state.items()}, about))


def read_caffe_state(path: Path) -> dict[str, Tensor]:
    """Return the blobs of a `.caffemodel` as a state dict, with the keys `<layer>.weight` and `<layer>.bias`.

    The frozen scale layers of the at-once net are skipped, after a check of their constants.

    Raises:
        WeightsError: the file is not a `.caffemodel`, or its scales are other constants.
    """
    import torch

    from fcnbench.models.fcn.fcn import AT_ONCE
    from fcnbench.models.weights.caffe import read_caffemodel

    scales = {f"scale_pool{pool}": factor for pool, factor in AT_ONCE.items()}
    state: dict[str, Tensor] = {}
    for layer in read_caffemodel(path):
        if layer.name in scales:
            if not all(
                bool((abs(blob - scales[layer.name]) <= 1e-6 * scales[layer.name]).all()) for blob in layer.blobs
            ):
                raise WeightsError(
                    f"{path}: {layer.name} is not the constant {scales[layer.name]} that the net is defined with",
                    "this net's scales are fixed; register a model of your own for learned ones",
                )
            continue
        for part, blob in zip(("weight", "bias"), layer.blobs, strict=False):
            # Biases have one axis; older files store them with four.
            state[f"{layer.name}.{part}"] = torch.from_numpy(blob.reshape(-1) if part == "bias" else blob)
    return state
