"""The evaluation loop: threads decode and preprocess ahead, and one thread counts behind the forward pass.

Only the forward pass runs in the caller's thread, so that its device never waits for the other steps. Every image has
its own size.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset
from fcnbench.datasets.store.manifest import Row
from fcnbench.errors import DataMissing, Interrupted
from fcnbench.evaluation.device import peak_memory
from fcnbench.evaluation.distributed import SINGLE_PROCESS, Ranks
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.merge import merge
from fcnbench.evaluation.pipeline import ImagePipeline, PendingPrediction
from fcnbench.evaluation.precision import FP32, Precision
from fcnbench.evaluation.timing import paper_forward_time
from fcnbench.models.torch_state import foreign_code
from fcnbench.records.evaluation import Evaluation, Execution, Timing
from fcnbench.util.console import Bar, note, progress, track
from fcnbench.util.threads import BackgroundWorker, cores, map_ordered

READERS = 4
"""Largest number of threads that decode ahead: one core decodes about a thousand PASCAL VOC images per second."""

_WAITING = 2
"""Predictions that may wait to be scored; each keeps its logits in memory."""

_WINDOW = 16
"""Batches whose images are grouped by size together: more of them make fuller batches, and random reads."""


def scorable(dataset: Dataset, limit: int | None = None, modalities: Sequence[str] = ("rgb",)) -> list[int]:
    """Return the indices of the samples that a model can be scored on: those with its modalities, the first `limit`.

    Raises:
        DataMissing: no sample has them.
    """

    def complete(row: Row) -> bool:
        return all({"rgb": row.image, "depth": row.depth, "hha": row.hha}[name] for name in modalities)

    indices = [index for index, row in enumerate(dataset.manifest.rows) if complete(row)][:limit]
    if not indices:
        raise DataMissing(
            f"the store of {dataset.manifest.dataset} holds no images of the kind that the model takes "
            f"({' + '.join(modalities)})",
            "pass --from a folder or an archive that has them",
        )
    return indices


def evaluate(
    pipeline: ImagePipeline,
    indices: list[int],
    journal: Journal,
    trials: int,
    *,
    precision: Precision = FP32,
    batch: int = 1,
    ranks: Ranks = SINGLE_PROCESS,
    what: str = "score",
) -> Evaluation:
    """Score a model on samples, except those that the journal has already.

    Args:
        pipeline: the model on its device, the samples, and what is counted.
        indices: indices of the samples, in order.
        journal: an entered journal.
        trials: number of forward passes at 500x500 to time afterwards.
        precision: precision of the forward passes.
        batch: number of images of one size in a forward pass.
        ranks: the processes that share the work; each gets the whole result.
        what: title of the progress bar.

    Raises:
        PredictionError: logits of a wrong shape or dtype, or NaN.
        ModelError: the model failed on an image.
        DataCorrupt: the store is damaged.
        Interrupted: the user stopped the run.
        RankLost: another rank of the run failed.
    """
    rows = pipeline.dataset.manifest.rows
    pipeline.expect(precision)
    ids = [rows[index].id for index in indices]
    owners = _owners(pipeline, journal, ids, ranks)
    resumed = int((owners >= 0).sum())
    if resumed:
        note(f"continuing after {resumed} images that an interrupted run scored")
    own_indices = ranks.shard([index for index, owner in zip(indices, owners, strict=True) if owner < 0])
    if ranks.size > 1:
        what += f", process {ranks.rank + 1} of {ranks.size}"
    try:
        with progress(resumed + len(own_indices), what, done=resumed) as bar:
            seconds = _score(pipeline, journal, batches(rows, own_indices, batch), bar)
        resumed_ids = [ids[position] for position in np.flatnonzero(owners == ranks.rank)]
        own = {name: journal.done[name] for name in [*resumed_ids, *(rows[index].id for index in own_indices)]}
        merged = merge(ids, own, pipeline.specs, ranks)
        timing, memory = _gather_timing(pipeline, seconds, trials, ranks)
    except KeyboardInterrupt:
        hint = "run the same command again: it continues from there" if journal.kept else "run the command again"
        scored_here = len(journal.done.keys() & set(ids))
        raise Interrupted(f"stopped after {scored_here} of {len(indices)} images", hint) from None
    path = str(getattr(pipeline.segmenter, "forward_path", "plain"))
    execution = Execution(forward=path, batch=batch, processes=ranks.size, peak_memory=memory)
    return replace(merged, timing=timing, resumed=resumed, execution=execution)


def _score(pipeline: ImagePipeline, journal: Journal, groups: list[list[int]], bar: Bar) -> float:
    """Score groups of images and write them into the journal; return the seconds that this took."""
    started = time.perf_counter()

    def finish(pending: PendingPrediction) -> None:
        journal.add(pipeline.score(pending))
        bar.update()

    with (
        pipeline.precision.applied(pipeline.device),
        closing(map_ordered(pipeline.read, groups, readers())) as ready,
        BackgroundWorker(finish, _WAITING) as scorer,
    ):
        for group in ready:
            for pending in pipeline.forward(group):
                scorer.submit(pending)
    return time.perf_counter() - started


def _gather_timing(pipeline: ImagePipeline, seconds: float, trials: int, ranks: Ranks) -> tuple[Timing, int]:
    """Return the times of all ranks, with those of forward passes at 500x500, and the peak memory of one rank."""
    device = pipeline.device
    phases = ranks.all_gather(pipeline.phases)
    seconds, memory = max(ranks.all_gather(seconds)), max(ranks.all_gather(peak_memory(device)))
    with pipeline.precision.applied(device), foreign_code("the forward pass"):
        paper = paper_forward_time(pipeline.segmenter, device, trials) if trials and ranks.is_rank0 else []
    samples = {phase: [each for part in phases for each in part[phase]] for phase in pipeline.phases}
    return Timing.of_seconds(samples, seconds, paper), memory


def readers() -> int:
    """Return the number of threads that decode ahead: half the cores; the forward pass and scoring need some too."""
    return max(1, min(READERS, cores() // 2))


def batches(rows: Sequence[Row], indices: Sequence[int], batch: int) -> list[list[int]]:
    """Return the indices in groups of at most `batch` images of one size, otherwise in order.

    Args:
        rows: the samples of the dataset.
        indices: indices of some of them.
        batch: largest number of images in a group.
    """
    if batch == 1:
        return [[index] for index in indices]
    groups = []
    window = batch * _WINDOW
    for start in range(0, len(indices), window):
        by_size: dict[tuple[int, int], list[int]] = {}
        for index in indices[start : start + window]:
            by_size.setdefault((rows[index].height, rows[index].width), []).append(index)
        for same in by_size.values():
            groups += [same[first : first + batch] for first in range(0, len(same), batch)]
    return groups


def _owners(pipeline: ImagePipeline, journal: Journal, ids: list[str], ranks: Ranks) -> NDArray[np.int64]:
    """Return for each image the rank whose journal has it, the first of several; -1 where no journal has it."""
    done, writer = journal.done, pipeline.writer
    have = np.zeros((ranks.size, len(ids)), np.int64)
    # The predictions of the interrupted run are decoded again, which takes a while for thousands.
    names = ids if writer is None or not done else track(ids, "check saved predictions", "image")
    have[ranks.rank] = [name in done and (writer is None or writer.holds(name, done[name].digests)) for name in names]
    have = ranks.all_reduce(have)
    return np.where(have.any(axis=0), have.argmax(axis=0), -1)
