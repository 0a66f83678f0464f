"""The evaluation loop: decode and prepare ahead, forward, argmax and count behind. Every picture at its own size.

The forward pass alone runs in the caller's thread, one after the other, so that its device never waits for the rest.
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
from fcnbench.evaluation.pipeline import Look, PendingPrediction
from fcnbench.evaluation.precision import FP32, Precision
from fcnbench.evaluation.timing import paper_forward_time
from fcnbench.models.torch_state import foreign_code
from fcnbench.records.evaluation import Evaluation, Execution, Timing
from fcnbench.util.console import note, progress, track
from fcnbench.util.threads import BackgroundWorker, cores, map_ordered

READERS = 4
"""Threads that decode ahead at most: one core decodes about a thousand PASCAL VOC pictures a second."""

_WAITING = 2
"""Answers that may wait for their scoring; each holds its logits."""

_WINDOW = 16
"""Batches whose images are sorted by size together: more make fuller batches, and reading less orderly."""


def scorable(dataset: Dataset, limit: int | None = None, modalities: Sequence[str] = ("rgb",)) -> list[int]:
    """Places of the samples that a model can be scored on: those with its pictures, the first `limit` of them.

    Raises:
        DataMissing: there is none.
    """

    def complete(row: Row) -> bool:
        return all({"rgb": row.image, "depth": row.depth, "hha": row.hha}[name] for name in modalities)

    places = [place for place, row in enumerate(dataset.manifest.rows) if complete(row)][:limit]
    if not places:
        raise DataMissing(
            f"the store of {dataset.manifest.dataset} holds no pictures of the kind that the model takes "
            f"({' + '.join(modalities)})",
            "pass --from a folder or an archive that has them",
        )
    return places


def evaluate(
    look: Look,
    places: list[int],
    journal: Journal,
    trials: int,
    *,
    arithmetic: Precision = FP32,
    batch: int = 1,
    world: Ranks = SINGLE_PROCESS,
    what: str = "score",
) -> Evaluation:
    """Score a model on the samples at `places`, except those that the journal has already.

    Args:
        look: the model, on its device, the samples, and what to keep beside the counts.
        places: which of the samples, in order.
        journal: an entered journal.
        trials: how many forward passes at 500x500 to time afterwards.
        arithmetic: of the forward passes.
        batch: pictures of one size that go through the network together.
        world: the processes that share the work; every one gets the whole result.
        what: what is done, for a person who waits.

    Raises:
        PredictionError: logits of a wrong shape or dtype, or NaN.
        ModelError: the model failed on some picture.
        DataCorrupt: the store is damaged.
        Interrupted: the user stopped the run.
        RankLost: another process of the run is gone.
    """
    rows, device = look.dataset.manifest.rows, look.device
    look.expect(arithmetic)
    wanted = [rows[place].id for place in places]
    owners = _owners(look, journal, wanted, world)
    resumed = int((owners >= 0).sum())
    if resumed:
        note(f"going on from {resumed} images that an interrupted run scored")
    mine = world.shard([place for place, owner in zip(places, owners, strict=True) if owner < 0])
    groups = batches(rows, mine, batch)
    if world.size > 1:
        what += f", process {world.rank + 1} of {world.size}"
    started = time.perf_counter()

    def finish(answered: PendingPrediction) -> None:
        journal.add(look.score(answered))
        bar.update()

    try:
        with (
            arithmetic.applied(device),
            closing(map_ordered(look.read, groups, readers())) as ready,
            progress(resumed + len(mine), what, done=resumed) as bar,
            BackgroundWorker(finish, _WAITING) as scorer,
        ):
            for group in ready:
                for answered in look.forward(group):
                    scorer.submit(answered)
        seconds = time.perf_counter() - started
        own = {wanted[index] for index in np.flatnonzero(owners == world.rank)} | {rows[place].id for place in mine}
        scored = merge(wanted, {name: journal.done[name] for name in own}, look.specs, world)
        phases = world.all_gather(look.phases)
        seconds, memory = max(world.all_gather(seconds)), max(world.all_gather(peak_memory(device)))
        with arithmetic.applied(device), foreign_code("the forward pass"):
            paper = paper_forward_time(look.segmenter, device, trials) if trials and world.is_rank0 else []
    except KeyboardInterrupt:
        hint = "run the same command again: it goes on from there" if journal.kept else "run the command again"
        scored_here = len(journal.done.keys() & set(wanted))
        raise Interrupted(f"stopped after {scored_here} of {len(places)} images", hint) from None
    taken = {phase: [each for part in phases for each in part[phase]] for phase in look.phases}
    return replace(
        scored,
        timing=Timing.of_seconds(taken, seconds, paper),
        resumed=resumed,
        execution=Execution(
            forward=str(getattr(look.segmenter, "forward_path", "plain")),
            batch=batch,
            processes=world.size,
            peak_memory=memory,
        ),
    )


def readers() -> int:
    """How many threads decode ahead: half the cores, for the forward pass and the scoring need some too."""
    return max(1, min(READERS, cores() // 2))


def batches(rows: Sequence[Row], places: Sequence[int], batch: int) -> list[list[int]]:
    """The places in groups of at most `batch` images of one size; in order, but for the images put together.

    Args:
        rows: the samples of the data set.
        places: which of them.
        batch: images in a group at most.
    """
    if batch == 1:
        return [[place] for place in places]
    groups = []
    window = batch * _WINDOW
    for start in range(0, len(places), window):
        by_size: dict[tuple[int, int], list[int]] = {}
        for place in places[start : start + window]:
            by_size.setdefault((rows[place].height, rows[place].width), []).append(place)
        for same in by_size.values():
            groups += [same[first : first + batch] for first in range(0, len(same), batch)]
    return groups


def _owners(look: Look, journal: Journal, wanted: list[str], world: Ranks) -> NDArray[np.int64]:
    """Which process's journal has each image, the first where several have it; -1 where none has."""
    done, writer = journal.done, look.writer
    have = np.zeros((world.size, len(wanted)), np.int64)
    # An earlier run's predictions are decoded once more, which takes a while for thousands.
    names = wanted if writer is None or not done else track(wanted, "look at saved predictions", "image")
    have[world.rank] = [name in done and (writer is None or writer.holds(name, done[name].digests)) for name in names]
    have = world.all_reduce(have)
    return np.where(have.any(axis=0), have.argmax(axis=0), -1)
