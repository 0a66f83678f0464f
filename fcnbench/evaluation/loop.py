"""The evaluation loop: decode, prepare, forward, argmax, count. Batch 1, every picture at its own size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.datasets.manifest import Row
from fcnbench.datasets.store import Dataset, Sample, digest_label
from fcnbench.errors import DataMissing, FcnbenchError, Interrupted, ModelError, PredictionError
from fcnbench.evaluation.device import full_precision, move
from fcnbench.evaluation.journal import Journal, Scored
from fcnbench.evaluation.predictions import PredictionWriter
from fcnbench.evaluation.prefetch import Read, prefetched
from fcnbench.evaluation.result import MARGINS, PHASES, Evaluation, Timing
from fcnbench.evaluation.timing import Stopwatch, paper_forward_time
from fcnbench.ground.console import note, progress
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.argmax import argmax_map, nan_logits
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.models.segmenter import Segmenter, answers_from_truth, modalities_of


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
    segmenter: Segmenter,
    dataset: Dataset,
    places: list[int],
    device: torch.device,
    journal: Journal,
    trials: int,
    *,
    writer: PredictionWriter | None = None,
    margins: bool = False,
) -> Evaluation:
    """Score a segmenter on the samples at `places`, except those that the journal has already.

    Args:
        segmenter: the model; its network is moved to the device.
        dataset: the samples.
        places: which of them, in order.
        device: where the forward pass and the argmax run.
        journal: an entered journal.
        trials: how many forward passes at 500x500 to time afterwards.
        writer: keeps the predicted label maps; images whose map it lacks are scored again.
        margins: whether to count near ties.

    Raises:
        PredictionError: logits of a wrong shape or dtype, or NaN.
        ModelError: the model failed on some picture.
        DataCorrupt: the store is damaged.
        Interrupted: the user stopped the run.
    """
    rows = dataset.manifest.rows
    wanted = [rows[place].id for place in places]
    done = journal.done
    if writer is not None:
        done = {name: scored for name, scored in done.items() if writer.holds(name, scored.prediction)}
    todo = [place for place in places if rows[place].id not in done]
    look = _Look(segmenter, dataset, device, writer, margins)
    phases: dict[str, list[float]] = {phase: [] for phase in PHASES}
    move(segmenter, device)
    resumed = len(places) - len(todo)
    if resumed:
        note(f"going on from {resumed} images that an interrupted run scored")
    started = time.perf_counter()
    try:
        with (
            full_precision(),
            torch.inference_mode(),
            progress(len(places), "score", done=resumed) as bar,
            prefetched(dataset, todo) as samples,
        ):
            for read in samples:
                journal.add(_score(look, read, phases))
                bar.update()
            seconds = time.perf_counter() - started
        with full_precision():
            paper = paper_forward_time(segmenter, device, trials) if trials else []
    except KeyboardInterrupt:
        hint = "run the same command again: it goes on from there" if journal.kept else "run the command again"
        scored = len(journal.done.keys() & set(wanted))
        raise Interrupted(f"stopped after {scored} of {len(places)} images", hint) from None
    return Evaluation(
        ids=tuple(wanted),
        matrices=np.stack([journal.done[sample_id].matrix for sample_id in wanted]),
        predictions=tuple(journal.done[sample_id].prediction for sample_id in wanted),
        geo=_stacked([journal.done[sample_id].geo for sample_id in wanted]),
        margins=_stacked([journal.done[sample_id].margins for sample_id in wanted]),
        timing=Timing.of_seconds(phases, seconds, paper),
        resumed=resumed,
    )


def _stacked(matrices: list[NDArray[np.int64] | None]) -> NDArray[np.int64] | None:
    """All matrices in one array; None where some image has none."""
    found = [matrix for matrix in matrices if matrix is not None]
    return np.stack(found) if len(found) == len(matrices) else None


@dataclass(frozen=True, eq=False)
class _Look:
    """What looks at every image: the model, the truth's data set, the device, and what to keep beside the counts."""

    segmenter: Segmenter
    dataset: Dataset
    device: torch.device
    writer: PredictionWriter | None
    margins: bool


def _score(look: _Look, read: Read, phases: dict[str, list[float]]) -> Scored:
    """One image through the phases of the loop."""
    sample, space, geo_space, segmenter = read.sample, look.dataset.label_space, look.dataset.geo, look.segmenter
    stopwatch = Stopwatch(look.device)
    try:
        if answers_from_truth(segmenter):
            return _answered(look, read, phases)
        started = time.perf_counter()
        pictures = [sample.modality(name) for name in modalities_of(segmenter)]
        prepare: Callable[..., Tensor] = segmenter.prepare  # takes as many pictures as the model has modalities
        batch = _checked_input(prepare(*pictures))[None].to(look.device)
        prepared = time.perf_counter()

        stop = stopwatch.start()
        logits, geo_logits = _answers(segmenter, batch, geo_space is not None)
        forward = stop()

        forwarded = time.perf_counter()
        checked = _checked_logits(logits, space, sample.label.shape)
        prediction, geo_prediction = label_map(checked), None
        if geo_space and geo_logits is not None and sample.geo is not None:
            geo_prediction = label_map(_checked_logits(geo_logits, geo_space, sample.geo.shape))
        margins = near_ties(checked, sample.label, space.ignore) if look.margins else None
        scored = _counted(look, sample, prediction, geo_prediction, margins)
        ended = time.perf_counter()
    except PredictionError as error:
        raise PredictionError(f"on image {sample.id}: {error.message}", error.hint) from error
    except FcnbenchError:
        raise
    # The model is somebody else's code and may fail in any way, and even exit; its author needs to know the image.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model failed on image {sample.id} ({sample.label.shape[1]}x{sample.label.shape[0]}): "
            f"{type(error).__name__}: {error}",
            "run it on that picture by itself",
        ) from error
    _took(phases, (read.seconds, prepared - started, forward, ended - forwarded))
    return scored


def _answered(look: _Look, read: Read, phases: dict[str, list[float]]) -> Scored:
    """One image of an oracle, which makes its prediction of the truth."""
    sample, answer = read.sample, getattr(look.segmenter, "answer")  # noqa: B009 - no segmenter need have it
    started = time.perf_counter()
    prediction = np.ascontiguousarray(answer(sample.label))
    geo_prediction = np.ascontiguousarray(answer(sample.geo)) if sample.geo is not None else None
    forwarded = time.perf_counter()
    scored = _counted(look, sample, prediction, geo_prediction, None)
    _took(phases, (read.seconds, 0.0, forwarded - started, time.perf_counter() - forwarded))
    return scored


def _counted(
    look: _Look,
    sample: Sample,
    prediction: NDArray[np.uint8],
    geo_prediction: NDArray[np.uint8] | None,
    margins: NDArray[np.int64] | None,
) -> Scored:
    """A prediction against the truth; written down where that is wanted."""
    space, geo_space = look.dataset.label_space, look.dataset.geo
    matrix, geo = confusion_matrix(sample.label, prediction, space.num_classes, space.ignore), None
    if geo_space and sample.geo is not None and geo_prediction is not None:
        geo = confusion_matrix(sample.geo, geo_prediction, geo_space.num_classes, geo_space.ignore)
    if look.writer is not None:
        look.writer.put(sample.id, prediction, geo_prediction)
    return Scored(sample.id, matrix, digest_label(prediction), geo, margins)


def _took(phases: dict[str, list[float]], times: tuple[float, ...]) -> None:
    for phase, seconds in zip(PHASES, times, strict=True):
        phases[phase].append(seconds)


def _answers(segmenter: Segmenter, batch: Tensor, two: bool) -> tuple[Tensor, Tensor | None]:
    """The model's logits, and those for the second label map where one is scored and the model has them."""
    both = getattr(segmenter, "all_logits", None)
    if not two or both is None:
        return segmenter.logits(batch), None
    found = both(batch)
    return found["out"], found.get("geo")


def label_map(logits: Tensor) -> NDArray[np.uint8]:
    """The class of the largest logit per pixel, found where the logits are; only the labels come to the host.

    Args:
        logits: floating point [C, H, W], on any device.

    Returns:
        uint8 [H, W]; the lowest class on a tie.

    Raises:
        PredictionError: some logit is NaN.
    """
    if logits.device.type == "cpu" and logits.dtype == torch.float32:
        return argmax_map(logits.numpy())
    largest, labels = logits.max(dim=0)
    labels = labels.to(torch.uint8)
    if bool(largest.isnan().any()):
        raise nan_logits()
    return labels.cpu().numpy()


def near_ties(logits: Tensor, truth: NDArray[np.uint8], ignore: int) -> NDArray[np.int64]:
    """How many scored pixels have their two largest logits closer than each of `MARGINS`, int64 [4].

    Args:
        logits: floating point [C, H, W], on any device.
        truth: uint8 [H, W].
        ignore: truth value of the pixels that are not scored.
    """
    if len(logits) == 1:
        return np.zeros(len(MARGINS), np.int64)
    first, second = logits.float().topk(2, dim=0).values
    gaps = (first - second)[torch.from_numpy(truth != ignore).to(logits.device)]
    return np.array([int((gaps < margin).sum()) for margin in MARGINS], np.int64)


def _checked_input(prepared: Tensor) -> Tensor:
    if not isinstance(prepared, Tensor) or prepared.dim() != 3:
        found = tuple(prepared.shape) if isinstance(prepared, Tensor) else type(prepared).__name__
        raise PredictionError(f"prepare gave {found}, expected a tensor [3, H, W]", "return one sample, unbatched")
    return prepared


def _checked_logits(logits: Tensor, space: LabelSpace, size: tuple[int, ...]) -> Tensor:
    expected = (1, space.num_classes, *size)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise PredictionError(
            f"logits are {found}, expected {expected}: [1, C, H, W] with the {space.num_classes} classes of "
            f"{space.name} at the picture's own size",
            "up-sample the logits inside the model, to the size of its input",
        )
    if not logits.is_floating_point():
        raise PredictionError(f"logits are {logits.dtype}, expected floating point", "return scores, not labels")
    return logits[0]
