"""The record of a run: what was scored, with what, on what, and the integers that came out.

Everything else in `record.json` follows from these; nobody has to believe it. `records/files.py` writes and reads
the folder, `records/json.py` says how the JSON looks.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.leakage import Leakage
from fcnbench.metrics.bootstrap import intervals
from fcnbench.metrics.scores import Scores, scores
from fcnbench.protocol import MeanOver, Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.types import Digest, Text
from fcnbench.util.digests import digest_lines, short


@dataclass(frozen=True)
class ModelFacts:
    """The model of a run.

    Attributes:
        name: registered name, or `file.py:factory`; what the user calls the maker of stored predictions.
        provider: distribution or file of its factory; `predictions` where only those were there.
        version: version of the distribution, or start of the file's digest.
        weights: what `--weights` said, without folders; None when the model brought its own.
        weights_digest: digest of all parameters and buffers; None where the model shows none.
        preprocessing: what its `prepare` does, in a word.
        labels: the dataset's class names, and the model's that stand for them; None where both have the same.
    """

    name: Text
    provider: str
    version: str
    weights: str | None
    weights_digest: Digest | None
    preprocessing: str
    labels: dict[str, list[str]] | None


@dataclass(frozen=True)
class CodeFacts:
    """The user's own source files that took part in a run: a model's file or package, and what it imports beside it.

    Attributes:
        digest: digest of all of them.
        files: digest of each by its name from the model's folder; `elsewhere:` before modules outside of it.
        revision: git revision of the repository that holds the model; empty where none does.
        dirty: whether files of it were changed since that revision.
    """

    digest: Digest
    files: dict[str, Digest]
    revision: str
    dirty: bool


@dataclass(frozen=True)
class DataFacts:
    """The data of a run.

    Attributes:
        fingerprint: digest of all images and label maps of the dataset's store.
        labels: digest of its label maps alone.
        provenance: what stands behind the pixels: archives known by a published digest, or `unverified`.
    """

    fingerprint: Digest
    labels: Digest
    provenance: str


@dataclass(frozen=True, eq=False)
class Record:
    """A run and its result.

    Attributes:
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        model: the model.
        protocol: what was scored, and how.
        data: the data.
        leakage: what the model declares of its training, and which evaluated images are among that.
        classes: class names in index order.
        geo_classes: class names of the second label map; none where there is none.
        evaluation: integers, digests and times.
        environment: what it ran on.
        code: the user's own source files; None where fcnbench's alone took part.
    """

    run: str
    created: str
    fcnbench: str
    model: ModelFacts
    protocol: Protocol
    data: DataFacts
    leakage: Leakage
    classes: tuple[str, ...]
    geo_classes: tuple[str, ...]
    evaluation: Evaluation
    environment: Environment
    code: CodeFacts | None = None

    def __repr__(self) -> str:
        return f"<Record {self.run} of {self.model.name} on {self.protocol.dataset}, {self.protocol.count} images>"

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix of all scored images, int64 [C, C], rows = truth, columns = prediction."""
        total: NDArray[np.int64] = self.evaluation.matrices.sum(axis=0)
        return total

    @property
    def background(self) -> int | None:
        """Index of the class `background`; None where there is none, or nothing else."""
        return self.classes.index("background") if "background" in self.classes and len(self.classes) > 1 else None

    def scores(self, mean: MeanOver | None = None) -> Scores:
        """Return the four metrics, with the mean over the protocol's classes or over others."""
        return scores(self.confusion, mean or self.protocol.mean)

    def all_scores(self, mean: MeanOver | None = None) -> dict[str, float]:
        """Return the four metrics by name, and what the dataset adds to them.

        `mean_iu_nobg` is the mean IU without the class `background`; `geo_pixel_acc` the pixel accuracy of the second
        label maps. Either is left out where it has no pixel to be of.
        """
        found = self.scores(mean)
        result = found.as_dict()
        if self.background is not None and not np.isnan(without := found.mean_iu_without(self.background)):
            result["mean_iu_nobg"] = without
        if self.evaluation.geo is not None:
            geo = self.evaluation.geo.sum(axis=0)
            # In a part of a dataset all its pixels may be ignored; the other scores are kept.
            if geo.any():
                result["geo_pixel_acc"] = scores(geo).pixel_acc
        return result

    def intervals(self, mean: MeanOver | None = None) -> dict[str, tuple[float, float]]:
        """Return 95% intervals of the same metrics: percentiles over 10,000 draws of the images, always of one seed."""
        mean = mean or self.protocol.mean
        if mean not in self._intervals:
            found = intervals(self.evaluation.matrices, mean, self.background)
            if self.evaluation.geo is not None:
                found["geo_pixel_acc"] = intervals(self.evaluation.geo)["pixel_acc"]
            self._intervals[mean] = {name: found[name] for name in self.all_scores(mean)}
        return dict(self._intervals[mean])

    @cached_property
    def _intervals(self) -> dict[MeanOver, dict[str, tuple[float, float]]]:
        """Intervals that were computed before: half a second for a split of 736 images."""
        return {}

    @property
    def ranked(self) -> bool:
        """Whether the run may enter a board: a whole split, none of it trained on."""
        return not self.protocol.partial and self.leakage.clear

    @property
    def predictions(self) -> str:
        """Digest of all predicted label maps: equal digests mean equal pixels."""
        rows = zip(self.evaluation.ids, *self.evaluation.digests.values(), strict=True)
        return digest_lines(" ".join(row) for row in rows)

    def folder(self, root: Path) -> Path:
        """Where the record lives below the root of boards and submissions."""
        return root / "submissions" / folder_name(self.model.name) / folder_name(self.protocol.dataset) / self.run


def new_run() -> tuple[str, str]:
    """A name for a run, and its time: sortable, and unique among processes that run in the same second."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}", now.isoformat(timespec="seconds")


_LONGEST = 100
"""Letters of a folder's name; file systems allow 255 bytes."""


def folder_name(name: str) -> str:
    """Return a name as a folder: all but ASCII letters, digits, dot, underscore and hyphen becomes a hyphen.

    Names that lose letters in that way, and long ones, end in a digest of the whole: no two of them share a folder.

    >>> folder_name("hf:org/name")
    'hf-org-name'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    if len(plain) > _LONGEST or any(letter.isalnum() and not letter.isascii() for letter in name):
        plain = f"{plain[:_LONGEST]}-{short(digest_lines([name]))}".lstrip("-")
    return plain or "unnamed"
