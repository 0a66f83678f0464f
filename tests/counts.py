"""Counts of made-up images, for tests of the journal, of merging and of records."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fcnbench.metrics.counts import CONFUSION, GEO, GEO_CONFUSION, LABELS, CountSpec
from fcnbench.records.evaluation import Counted, Evaluation, ImageCounts


def specs(classes: int, geo: int = 0) -> list[CountSpec]:
    """Return the specs of confusion matrices of so many classes, and of second label maps where there are some."""
    first = CountSpec(CONFUSION, (classes, classes), label_maps=LABELS, label_space="some")
    second = CountSpec(GEO_CONFUSION, (geo, geo), label_maps=GEO, label_space="other") if geo else None
    return [first] if second is None else [first, second]


def counted(name: str, matrix: NDArray[np.int64], digest: str, geo: NDArray[np.int64] | None = None) -> ImageCounts:
    """Return the counts of an image with this confusion matrix, and a second one where there is one."""
    second = {} if geo is None else {GEO_CONFUSION: geo}
    return ImageCounts(name, {CONFUSION: matrix, **second}, {LABELS: digest})


def evaluation(ids: Sequence[str], matrices: NDArray[np.int64], digests: Sequence[str]) -> Evaluation:
    """Return an evaluation with these confusion matrices."""
    spec = specs(matrices.shape[-1])[0]
    return Evaluation(tuple(ids), {CONFUSION: Counted(spec, matrices)}, {LABELS: tuple(digests)})


def changed(found: Evaluation, matrices: NDArray[np.int64], digests: Sequence[str] | None = None) -> Evaluation:
    """Return the same evaluation with other confusion matrices, and maybe other predictions."""
    counts = {**found.counts, CONFUSION: Counted(found.counts[CONFUSION].spec, matrices)}
    given = {LABELS: tuple(found.digests[LABELS][: len(matrices)] if digests is None else digests)}
    return replace(found, counts=counts, digests=given)
