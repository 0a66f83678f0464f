"""The record of a run: `record.json` and `confusion.npz` in a folder of their own.

Everything in the JSON follows from the integers in the `.npz` and from facts about the run; nobody has to believe it.
"""

from __future__ import annotations

import io
import json
import re
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.guard import Leakage
from fcnbench.errors import ResultsError
from fcnbench.evaluation.environment import Environment
from fcnbench.evaluation.loop import Evaluation
from fcnbench.evaluation.timing import PAPER_SIDE, Summary
from fcnbench.ground import files
from fcnbench.ground.digests import digest_bytes, digest_lines
from fcnbench.metrics.scores import Scores, scores
from fcnbench.protocol import AbsentPolicy, Protocol

FORMAT = "fcnbench.record/1"
"""Format of a record."""

RECORD_NAME = "record.json"
MATRICES_NAME = "confusion.npz"
POLICIES: tuple[AbsentPolicy, ...] = ("present", "reference")


@dataclass(frozen=True)
class ModelFacts:
    """The model of a run.

    Attributes:
        name: registered name, or `file.py:factory`.
        provider: distribution or file of its factory.
        version: version of the distribution, or start of the file's digest.
        weights: what `--weights` said, without folders; None when the model brought its own.
        weights_digest: digest of all parameters and buffers; None where the model shows none.
        preprocessing: what its `prepare` does, in a word.
        labels: the data set's class names, and the model's that stand for them; None where both have the same.
    """

    name: str
    provider: str
    version: str
    weights: str | None
    weights_digest: str | None
    preprocessing: str
    labels: dict[str, list[str]] | None


@dataclass(frozen=True, eq=False)
class Record:
    """A run and its result.

    Attributes:
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        model: the model.
        protocol: what was scored, and how.
        fingerprint: digest of all pictures and label maps of the data set's store.
        provenance: what stands behind the pixels: archives known by a published digest, or `unverified`.
        leakage: what the model declares of its training, and which evaluated images are among that.
        classes: class names in index order.
        geo_classes: class names of the second label map; none where there is none.
        evaluation: integers, digests and times.
        environment: what it ran on.
    """

    run: str
    created: str
    fcnbench: str
    model: ModelFacts
    protocol: Protocol
    fingerprint: str
    provenance: str
    leakage: Leakage
    classes: tuple[str, ...]
    geo_classes: tuple[str, ...]
    evaluation: Evaluation
    environment: Environment

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix of all scored images, int64 [C, C], rows = truth, columns = prediction."""
        total: NDArray[np.int64] = self.evaluation.matrices.sum(axis=0)
        return total

    def scores(self, absent: AbsentPolicy | None = None) -> Scores:
        """The four metrics under the protocol's absent-class policy, or under another."""
        return scores(self.confusion, absent or self.protocol.absent)

    def all_scores(self, absent: AbsentPolicy | None = None) -> dict[str, float]:
        """The four metrics by name, and what the task adds to them.

        `mean_iu_nobg` is the mean IU without the class `background`; `geo_pixel_acc` the pixel accuracy of the second
        label map.
        """
        found = self.scores(absent)
        result = found.as_dict()
        if "background" in self.classes and not np.isnan(
            without := found.mean_iu_without(self.classes.index("background"))
        ):
            result["mean_iu_nobg"] = without
        if self.evaluation.geo is not None:
            result["geo_pixel_acc"] = scores(self.evaluation.geo.sum(axis=0)).pixel_acc
        return result

    @property
    def ranked(self) -> bool:
        """Whether the run may enter a board: a whole split, none of it trained on."""
        return not self.protocol.partial and self.leakage.clear

    @property
    def predictions(self) -> str:
        """Digest of all predicted label maps: equal digests mean equal pixels."""
        pairs = zip(self.evaluation.ids, self.evaluation.predictions, strict=True)
        return digest_lines(f"{sample_id} {digest}" for sample_id, digest in pairs)

    def summary(self) -> dict[str, Any]:
        """What `run --json` prints: the result without environment and raw samples."""
        content = self._content()
        return {
            "model": self.model.name,
            "dataset": self.protocol.dataset,
            "signature": self.protocol.signature(),
            "images": self.protocol.images,
            "total": self.protocol.total,
            "partial": self.protocol.partial,
            "leakage": content["training"],
            "scores": content["scores"][self.protocol.absent],
            "per_class": content["per_class"],
            "timing": {key: value for key, value in content["timing"].items() if key != "samples"},
            "run": self.run,
        }

    def folder(self, root: Path) -> Path:
        """Where the record lives below the root of boards and submissions."""
        return root / "submissions" / folder_name(self.model.name) / folder_name(self.protocol.dataset) / self.run

    def save(self, root: Path) -> Path:
        """Write record and matrices, both or none; returns the path of the record.

        Raises:
            OutputError: they could not be written.
        """
        target = self.folder(root)
        matrices = self._matrices()
        content = self._content()
        content["files"] = {MATRICES_NAME: digest_bytes(matrices)}
        with files.scratch_folder(target.parent) as scratch:
            files.write_bytes(scratch / MATRICES_NAME, matrices)
            files.write_json(scratch / RECORD_NAME, content)
            files.publish_folder(scratch, target)
        return target / RECORD_NAME

    def _matrices(self) -> bytes:
        stream = io.BytesIO()
        arrays: dict[str, Any] = {
            "total": self.confusion,
            "per_image": self.evaluation.matrices,
            "ids": np.array(self.evaluation.ids),
        }
        if self.evaluation.geo is not None:
            arrays |= {"geo_total": self.evaluation.geo.sum(axis=0), "geo_per_image": self.evaluation.geo}
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()

    def _content(self) -> dict[str, Any]:
        protocol = self.protocol
        return {
            "format": FORMAT,
            "run": self.run,
            "created": self.created,
            "fcnbench": self.fcnbench,
            "signature": {"short": protocol.signature(), "long": protocol.signature(long=True)},
            "protocol": asdict(protocol),
            "model": asdict(self.model),
            "training": asdict(self.leakage),
            "data": {"fingerprint": self.fingerprint, "provenance": self.provenance},
            "scores": {policy: self.all_scores(policy) for policy in POLICIES},
            "per_class": self._per_class(),
            "predictions": {
                "digest": self.predictions,
                "images": dict(zip(self.evaluation.ids, self.evaluation.predictions, strict=True)),
            },
            "timing": self._timing(),
            "environment": asdict(self.environment),
        }

    def _per_class(self) -> list[dict[str, Any]]:
        found = self.scores()
        return [
            {
                "index": index,
                "name": name,
                "acc": _or_none(found.class_acc[index]),
                "iu": _or_none(found.class_iu[index]),
                "true_pixels": int(found.true_pixels[index]),
                "predicted_pixels": int(found.predicted_pixels[index]),
            }
            for index, name in enumerate(self.classes)
        ]

    def _timing(self) -> dict[str, Any]:
        timing = self.evaluation.timing
        measured = len(timing.phases["forward"])
        return {
            "unit": "ms",
            "images": measured,
            "resumed": self.evaluation.resumed,
            "seconds": round(timing.seconds, 6),
            "images_per_second": timing.images_per_second,
            "phases": {phase: _rounded(Summary.of(seconds)) for phase, seconds in timing.phases.items() if measured},
            "forward_500": {
                "height": PAPER_SIDE,
                "width": PAPER_SIDE,
                "batch": 1,
                "trials": len(timing.paper),
                **_rounded(Summary.of(timing.paper)),
            }
            if timing.paper
            else None,
            "samples": {
                **{phase: _milliseconds(seconds) for phase, seconds in timing.phases.items()},
                "forward_500": _milliseconds(timing.paper),
            },
        }


@dataclass(frozen=True)
class Row:
    """What a board needs of a record, read back from its JSON.

    Attributes:
        path: path of the record, relative to the root of boards and submissions, forward slashes.
        content: the record's JSON.
    """

    path: str
    content: dict[str, Any]


def read_row(path: Path, root: Path) -> Row:
    """Read a record's JSON for a board.

    Raises:
        ResultsError: not readable, of another format, or fields are missing.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        protocol = Protocol(**content["protocol"])
        if protocol.signature() != content["signature"]["short"]:
            raise ValueError("signature and protocol do not fit")
        ModelFacts(**content["model"])
        Leakage(**content["training"])
        if set(content["environment"]) != {field.name for field in fields(Environment)}:
            raise ValueError("the environment lacks fields or has unknown ones")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultsError(
            f"the record {path} is unusable: {type(error).__name__}: {error}", "restore it, or remove its folder"
        ) from error
    return Row(path.relative_to(root).as_posix(), content)


def new_run() -> tuple[str, str]:
    """A name for a run, and its time: sortable, and unique among processes that run in the same second."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", now.isoformat(timespec="seconds")


def folder_name(name: str) -> str:
    """A name as a folder: everything but letters, digits, dot, underscore and hyphen becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"


def _or_none(value: float) -> float | None:
    """JSON has no NaN: a class without the quantity has none."""
    return None if np.isnan(value) else float(value)


def _rounded(summary: Summary) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(summary).items()}


def _milliseconds(seconds: list[float]) -> list[float]:
    return [round(value * 1e3, 4) for value in seconds]
