"""What is written: names of files, keys of records, arrays, columns, integers, and signatures."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from PIL import Image

import fcnbench
from tests.freeze.masks import dumped, tree
from tests.freeze.session import Session

_EXACT = ("perfect", "constant", "coarse", "nearest", "fine", "part", "signature", "stored", "leaking")
"""Runs without a network: every pixel is the same on every machine."""


def format_files(session: Session, runs: dict[str, str]) -> dict[str, str]:
    """Return the golden files of what was written."""
    written = sorted({session.text(path.as_posix()) for path in Path().rglob("*") if path.is_file()})
    names = [name for name in written if not name.endswith((".lock", ".png", ".ppm"))]
    return {
        "formats/files.txt": "".join(f"{name}\n" for name in names),
        "formats/SCHEMA.md": Path("exact/leaderboards/SCHEMA.md").read_text(encoding="utf-8"),
        "formats/columns.json": dumped(_columns()),
        "formats/arrays.json": dumped({word: _arrays(Path(runs[word])) for word in ("whole", "stored", "perfect")}),
        "formats/keys.json": dumped(_keys(runs)),
        "integers/runs.json": dumped({word: integers(Path(runs[word])) for word in _EXACT}),
        "integers/pocket.json": dumped(_pocket()),
        "integers/signatures.json": dumped(_signatures(runs)),
    }


def _columns() -> dict[str, Any]:
    """Return the columns of boards and stores."""
    found: dict[str, Any] = {}
    for name, pattern in (("board", "exact/leaderboards/v1/*.csv"), ("speed", "b/leaderboards/v1/speed/*.csv")):
        (path,) = Path().glob(pattern)
        with path.open(newline="", encoding="utf-8") as stream:
            found[name] = next(csv.reader(stream))
    for name, pattern in (("store", "home/stores/pocket/*/data.parquet"), ("hf", "pocket-hf/data.parquet")):
        (path,) = Path().glob(pattern)
        found[name] = [f"{field.name}: {field.type}" for field in pyarrow.parquet.read_schema(path)]
    return found


def _arrays(record: Path) -> dict[str, str]:
    """Return dtype and shape of the arrays beside a record."""
    with np.load(record.with_name("confusion.npz")) as found:
        arrays = {name: found[name] for name in sorted(found.files)}
    return {
        name: f"{'str' if array.dtype.kind == 'U' else array.dtype}{list(array.shape)}"
        for name, array in arrays.items()
    }


def _keys(runs: dict[str, str]) -> dict[str, Any]:
    """Return the keys of every JSON file that fcnbench writes, with the types of the values."""
    places = {
        "record of a network": Path(runs["whole"]),
        "record of an oracle": Path(runs["perfect"]),
        "record of predictions": Path(runs["stored"]),
        "speed": _one("b/submissions/*/speed/*/speed.json"),
        "submission": _one("public/submissions/oracle-downsample-16/pocket/*/submission.json"),
        "verification": _one("public/submissions/oracle-downsample-16/pocket/*/verification.json"),
        "sweep cell": _one("swept/sweeps/*/oracle-perfect-*.json"),
        "sweep cell that failed": _one("swept/sweeps/*/fcn9s-*.json"),
        "manifest": _one("home/stores/pocket/*/manifest.json"),
        "croissant": Path("pocket-croissant/croissant.json"),
        "device check": _one("home/devices/*.json"),
    }
    return {name: _shortened(tree(json.loads(path.read_text(encoding="utf-8")))) for name, path in places.items()}


def _one(pattern: str) -> Path:
    return sorted(Path().glob(pattern))[0]


def _shortened(keys: Any) -> Any:
    """Return a tree of keys with those of images, clocks and packages left out but one."""
    if isinstance(keys, list):
        return [_shortened(each) for each in keys]
    if not isinstance(keys, dict):
        return keys
    # Which packages a process has imported differs from one environment to the next.
    left_out = {name for name in keys if name.startswith(("val-", "package "))} - {"val-0000", "package numpy"}
    found = {name: _shortened(each) for name, each in keys.items() if name not in left_out}
    return found | {name: "str by name" for name in ("clocks", "packages") if name in found}


def integers(record: Path) -> dict[str, Any]:
    """Return what a record's matrices come to: digests, and a few integers."""
    with np.load(record.with_name("confusion.npz")) as found:
        arrays = {name: found[name] for name in found.files}
    content = json.loads(record.read_text(encoding="utf-8"))
    total = arrays["confusion"].sum(axis=0)
    return {
        "signature": content["signature"],
        "images": len(arrays["ids"]),
        "ids": _digest("\n".join(map(str, arrays["ids"])).encode()),
        "pixels": int(total.sum()),
        "right": int(np.trace(total)),
        "total": _digest(total.astype("<i8").tobytes()),
        "diagonal": np.diagonal(total).tolist(),
        "per_image": _digest(arrays["confusion"].astype("<i8").tobytes()),
        "trimap": _digest(arrays["trimap"].astype("<i8").tobytes()) if "trimap" in arrays else None,
        "predictions": content["predictions"]["digest"],
        "labels": content["data"]["labels"],
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pocket() -> dict[str, Any]:
    """Return digests of pocket's label maps and images, in order, and of what was saved and exported."""
    samples = list(fcnbench.load_dataset("pocket"))
    labels, images = hashlib.sha256(), hashlib.sha256()
    for sample in samples:
        labels.update(sample.label.tobytes())
        images.update(np.ascontiguousarray(sample.image).tobytes())
    return {
        "images": len(samples),
        "ids": [samples[0].id, samples[-1].id],
        "label maps": labels.hexdigest(),
        "pixels": images.hexdigest(),
        "saved by oracle-downsample:32": _pixels("p/coarse"),
        "saved by oracle-downsample:16": _pixels("p/fine"),
        "label maps exported for VOC": _pixels("pocket-voc/VOCdevkit/VOC2012/SegmentationClass"),
        "images exported for VOC": _pixels("pocket-voc/VOCdevkit/VOC2012/JPEGImages"),
    }


def _pixels(folder: str) -> dict[str, Any]:
    """Return a digest of the pixels of all images below a folder, in the order of their names."""
    found, paths = hashlib.sha256(), sorted(path for path in Path(folder).rglob("*") if path.is_file())
    for path in paths:
        with Image.open(path) as image:
            found.update(f"{path.name} {image.mode} {image.size}".encode() + np.asarray(image).tobytes())
    return {"files": len(paths), "first": paths[0].as_posix(), "digest": found.hexdigest()}


def _signatures(runs: dict[str, str]) -> dict[str, Any]:
    """Return short and long signatures of runs, and of protocols that are written down here."""
    shown = {}
    for word, path in runs.items():
        shown[f"run {word}"] = json.loads(Path(path).read_text(encoding="utf-8"))["signature"]
    digest = "sha256:" + "0123456789abcdef" * 4
    voc = fcnbench.Protocol(
        dataset="voc2011val", images=736, total=736, split=digest, variant="v1", labelling="", modality="rgb",
        label_space="voc21", geo="", classes=21, ignore=255, mean="gt", infer="native", precision="fp32",
    )  # fmt: skip
    changes: dict[str, dict[str, Any]] = {
        "voc": {},
        "a part": {"images": 10},
        "union": {"mean": "union"},
        "stored predictions": {"modality": "files", "infer": "unknown", "precision": "unknown"},
        "an oracle": {"modality": "truth"},
        "bf16, compiled": {"precision": "bf16+compile"},
        "nyud": {"dataset": "nyudv2test", "images": 654, "total": 654, "classes": 40, "modality": "rgb+hha"},
        "siftflow": {"dataset": "siftflowtest", "images": 200, "total": 200, "classes": 33, "geo": "siftflow3"},
        "sbd labels": {"labelling": "sbd"},
    }
    protocols = {name: dataclasses.replace(voc, **change) for name, change in changes.items()}
    for name, protocol in protocols.items():
        shown[name] = {"short": protocol.signature(), "long": protocol.signature(long=True)}
    departures = {
        name: [*protocol.departures(voc.signature()), *protocol.departures(voc.signature(long=True))]
        for name, protocol in protocols.items()
    }
    return {"signatures": shown, "departures from voc": departures}
