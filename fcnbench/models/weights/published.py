"""The catalogue of published weights, and how a name in it becomes a file on disk.

A file is fetched with the data layer's machinery (mirrors, resume, digests), read once, and kept as safetensors
with the source's digest in its header; the publisher's file is not kept.
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
    """Weights that somebody published.

    Attributes:
        name: what `--weights` takes.
        model: name of the model that they are for; empty for a classification net, which fills a trunk.
        archive: file, addresses, digests.
        licence: SPDX identifier.
        num_classes: classes of their score layers.
        label_space: name of the label space that they were trained for; empty for a classification net.
        train_splits: what they were trained on.
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
    """All published weights by name."""
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
    """Return what must be downloaded to have published weights: their file, or nothing."""
    if _kept(entry).is_file() or (paths.weights() / entry.archive.file).is_file():
        return []
    purpose = f"weights of {entry.model}" if entry.model else f"weights {entry.name}"
    instead = f"pass --weights PATH of your own copy of {entry.archive.file}"
    return [Download(entry.archive, paths.weights(), purpose, instead)]


def _kept(entry: Published) -> Path:
    """Where published weights are kept once they were read."""
    return paths.weights() / f"{entry.name}.safetensors"


def fetch_weights(entry: Published, read: Callable[[Path], dict[str, Tensor]]) -> Path:
    """Have published weights on disk as safetensors; downloads and converts them the first time.

    Args:
        entry: the weights.
        read: reads the publisher's file.

    Raises:
        DataMissing: no mirror gave them, the network is forbidden, or the user has not agreed to their terms.
        WeightsError: the file holds no weights.
        OutputError: the folder is not writable or the disk too small.
    """
    kept, original = _kept(entry), paths.weights() / entry.archive.file
    if kept.is_file():
        return kept
    require_consent(missing_weights(entry), accept_terms=False)
    if original.is_file() and (wrong := entry.archive.mismatch_of(original)):
        raise WeightsError(f"{original} is not the published file: {wrong}", f"delete {original}, and run again")
    download(entry.archive, paths.weights(), "--weights")
    with files.locked(paths.weights() / f"{entry.name}.lock"):
        if not kept.is_file():
            keep(read(original), kept, {"source": entry.archive.file, "sha256": digest_file(original)})
        original.unlink(missing_ok=True)
    return kept


def keep(state: dict[str, Tensor], path: Path, about: dict[str, str]) -> None:
    """Write tensors as safetensors, whole or not at all.

    Args:
        state: tensors by name.
        path: the file.
        about: what its header says beside the tensors.
    """
    from safetensors.torch import save

    files.write_bytes(path, save({name: value.contiguous() for name, value in state.items()}, about))


def read_caffe_state(path: Path) -> dict[str, Tensor]:
    """The blobs of a `.caffemodel` as a state dict: `<layer>.weight` and `<layer>.bias`.

    Frozen scale layers of the at-once net must hold the constants that the net is defined with, and are left out.

    Raises:
        WeightsError: no `.caffemodel`, or constants that differ.
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
            # Biases and the like have one axis; older files write them with four.
            state[f"{layer.name}.{part}"] = torch.from_numpy(blob.reshape(-1) if part == "bias" else blob)
    return state
