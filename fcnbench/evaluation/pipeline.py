"""The steps of the loop for one image: read, forward, score. The loop runs `read` in a few threads, `score` in another.

A wrong answer of the model, whatever it is, is named with the image that it was found on.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.datasets.store.dataset import Dataset, Sample
from fcnbench.errors import FcnbenchError, ModelError, PredictionError
from fcnbench.evaluation.argmax import start_argmax
from fcnbench.evaluation.argmax_trust import trust_in
from fcnbench.evaluation.device import free_cache, move, out_of_memory
from fcnbench.evaluation.dtypes import check_dtype, checked_dtypes
from fcnbench.evaluation.host_argmax import KnownLabelMap, PendingLabelMap
from fcnbench.evaluation.precision import FP32, Precision
from fcnbench.evaluation.timer import KnownTime, PendingTime, SharedTime, Timer
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.counts import GEO, LABELS, Count, CountSpec, ImageResult, LabelPair, confusion_counts
from fcnbench.models.networks import keep_evaluation_mode, layers_made, networks_in, refuse_training_mode
from fcnbench.models.segmenter import Segmenter, is_oracle, modalities_of, preprocess_on
from fcnbench.models.tensor_ownership import owned, take
from fcnbench.models.torch_state import foreign_code, seed
from fcnbench.records.evaluation import PHASES, ImageCounts, count_image
from fcnbench.records.predictions import PredictionWriter
from fcnbench.util.console import note
from fcnbench.util.process_state import seed_generators

Phases = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class PreparedSample:
    """A decoded sample, what the model prepared of it, and the seconds of both; an oracle prepares nothing."""

    sample: Sample
    prepared: Tensor | None
    decode: float
    prepare: float


@dataclass(frozen=True, eq=False)
class PendingPrediction:
    """A sample and the model's answer to it, which may still be on its way.

    Attributes:
        read: the sample.
        prediction: waits for the predicted label map.
        geo: waits for the second one; None where the model or the task has none.
        logits: of the classes, where something is counted on them; nobody writes into them any more.
        forward: waits for the forward pass, and gives its seconds.
        begun: seconds that scoring has taken already.
    """

    read: PreparedSample
    prediction: PendingLabelMap
    geo: PendingLabelMap | None
    logits: Tensor | None
    forward: PendingTime
    begun: float = 0.0


@dataclass(eq=False)
class Look:
    """What looks at every image.

    Attributes:
        segmenter: the model; its network is moved to the device.
        dataset: the samples.
        device: where the forward pass and the argmax run.
        writer: keeps the predicted label maps; images whose map it lacks are scored again.
        counts: what to count beside the confusion matrices.
        arithmetic: of the forward passes; see `expect`.
        networks: the model's networks.
        phases: seconds that the steps took, an image each, in the order in which images were scored.
    """

    segmenter: Segmenter
    dataset: Dataset
    device: torch.device
    writer: PredictionWriter | None = None
    counts: Sequence[Count] = ()
    phases: Phases = field(default_factory=lambda: {phase: [] for phase in PHASES})
    networks: list[nn.Module] = field(init=False)
    arithmetic: Precision = field(init=False, default=FP32)
    _foreign: threading.Lock = field(default_factory=threading.Lock)
    _looked: bool = False

    def __post_init__(self) -> None:
        self.counts = (*confusion_counts(self.dataset.label_space, self.dataset.geo), *self.counts)
        self.networks = networks_in(self.segmenter)
        keep_evaluation_mode(self.networks)
        move(self.segmenter, self.device)
        if self.device.type != "cpu" and not is_oracle(self.segmenter):
            trust_in(self.device)

    @property
    def specs(self) -> tuple[CountSpec, ...]:
        """What is counted."""
        return tuple(count.spec for count in self.counts)

    @property
    def _keep_logits(self) -> bool:
        return any(count.needs_logits for count in self.counts)

    def expect(self, arithmetic: Precision) -> None:
        """Say what arithmetic the next forward passes run in; the first of them is held against it."""
        self.arithmetic, self._looked = arithmetic, False

    def read(self, places: Sequence[int]) -> list[PreparedSample]:
        """Decode samples and prepare them for the model; for several threads at once.

        Raises:
            DataCorrupt: the store is damaged.
            PredictionError: the model prepared no planes.
            ModelError: its `prepare` failed.
        """
        return [self._read(place) for place in places]

    def _read(self, place: int) -> PreparedSample:
        started = time.perf_counter()
        sample = self.dataset[place]
        decode = time.perf_counter() - started
        if is_oracle(self.segmenter):
            return PreparedSample(sample, None, decode, 0.0)
        # Copies, for a model may write into what it is given, and somebody may keep samples.
        pictures: list[Any] = [np.array(sample.modality(name)) for name in modalities_of(self.segmenter)]
        # Nobody promised that a model's own `prepare` may run twice at the same time.
        with _named(sample), self._foreign, foreign_code("preparing an image"):
            seed_generators(_seed_of(sample))
            started = time.perf_counter()
            box = [preprocess_on(self.segmenter, self.device, *pictures)]
            self._check_input(box[0])
            # Before the next one is prepared, for which the model may use the same memory.
            prepared = owned(box)
            return PreparedSample(sample, prepared, decode, time.perf_counter() - started)

    def forward(self, group: list[PreparedSample]) -> list[PendingPrediction]:
        """The model's answers to samples of one size. Where memory does not suffice, half of them are asked at a time.

        Raises:
            PredictionError: logits of a wrong shape or type.
            ModelError: the model failed.
        """
        if is_oracle(self.segmenter):
            return [self._answered(read) for read in group]
        inputs = [read.prepared for read in group if read.prepared is not None]
        if len({each.shape for each in inputs}) > 1:
            return [answer for read in group for answer in self.forward([read])]
        with _named(*(read.sample for read in group)):
            try:
                return self._asked(group, torch.stack(inputs) if len(inputs) > 1 else inputs[0][None])
            # Devices have classes of their own for it.
            except Exception as error:
                if not out_of_memory(error) or len(group) == 1:
                    raise
        half = (len(group) + 1) // 2
        note(f"out of memory with a batch of {len(group)}: going on with {half}")
        free_cache(self.device)
        return [answer for part in (group[:half], group[half:]) for answer in self.forward(part)]

    def _asked(self, group: list[PreparedSample], batch: Tensor) -> list[PendingPrediction]:
        space, geo_space = self.dataset.label_space, self.dataset.geo
        first = not self._looked
        with self._dtypes(), foreign_code("the forward pass"), layers_made() as made:
            refuse_training_mode(self.networks, "preparing an image")
            seed(_seed_of(group[0].sample), self.device.type)
            timer = Timer(self.device)
            found = self._logits(batch, geo_space is not None)
            forward = SharedTime(timer.stop(), len(group))
            if first or made:  # some networks make layers in the first forward pass, or in that of a new size
                self.networks = networks_in(self.segmenter)
            refuse_training_mode(self.networks, "the forward pass")
        started, size = time.perf_counter(), group[0].sample.label.shape
        self._check_logits(found[0], space, (len(group), *size))
        if geo_space and len(found) > 1:
            self._check_logits(found[1], geo_space, (len(group), *size))
        # The model may write its next logits into the same memory, and `found` holds the only reference from here.
        geo_logits, geo_alone = take(found) if len(found) > 1 else (None, False)
        logits, alone = take(found)
        kept = logits if alone or not self._keep_logits else logits.clone()
        maps = [start_argmax(each, owned=alone) for each in logits]
        geo_maps: list[PendingLabelMap | None] = [None] * len(group)
        if geo_logits is not None:
            geo_maps = [
                start_argmax(each, owned=geo_alone) if read.sample.geo is not None else None
                for read, each in zip(group, geo_logits, strict=True)
            ]
        spent = (time.perf_counter() - started) / len(group)
        return [
            PendingPrediction(read, prediction, geo, each if self._keep_logits else None, forward, spent)
            for read, prediction, geo, each in zip(group, maps, geo_maps, kept, strict=True)
        ]

    @contextmanager
    def _dtypes(self) -> Iterator[None]:
        """Look at the dtypes of the first forward pass."""
        if self._looked:
            yield
            return
        with checked_dtypes(self.arithmetic, self.segmenter):
            yield
        self._looked = True

    def _check_input(self, prepared: Tensor) -> None:
        if not isinstance(prepared, Tensor) or prepared.dim() != 3:
            found = tuple(prepared.shape) if isinstance(prepared, Tensor) else type(prepared).__name__
            raise PredictionError(f"prepare gave {found}, expected a tensor [3, H, W]", "return one sample, unbatched")
        check_dtype(self.arithmetic, prepared, "prepare gives")

    def _check_logits(self, logits: Tensor, space: LabelSpace, size: tuple[int, ...]) -> None:
        """Refuse logits that are not floating point [N, C, H, W] for a size of (N, H, W)."""
        expected = (size[0], space.num_classes, *size[1:])
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise PredictionError(
                f"logits are {found}, expected {expected}: [N, C, H, W] with the {space.num_classes} classes of "
                f"{space.name} at the picture's own size",
                "up-sample the logits inside the model, to the size of its input",
            )
        if not logits.is_floating_point():
            raise PredictionError(f"logits are {logits.dtype}, expected floating point", "return scores, not labels")
        check_dtype(self.arithmetic, logits, "the logits are")

    def _answered(self, read: PreparedSample) -> PendingPrediction:
        """The answer of an oracle, which makes its prediction of the truth."""
        sample, answer = read.sample, getattr(self.segmenter, "predict_from_ground_truth")  # noqa: B009 - oracles only
        with _named(sample):
            started = time.perf_counter()
            # Copies both ways: it may write into what it is given, return that, or use its own array again.
            prediction = np.ascontiguousarray(answer(sample.label.copy())).copy()
            geo = np.ascontiguousarray(answer(sample.geo.copy())).copy() if sample.geo is not None else None
            seconds = time.perf_counter() - started
        return PendingPrediction(
            read, KnownLabelMap(prediction), None if geo is None else KnownLabelMap(geo), None, KnownTime(seconds)
        )

    def _logits(self, batch: Tensor, two: bool) -> list[Tensor]:
        """The model's logits, and behind them those for the second label map, where `two` and the model has it."""
        both = getattr(self.segmenter, "all_logits", None)
        if not two or both is None:
            return [self.segmenter.logits(batch)]
        found = both(batch)
        geo = found.get("geo")
        return [found["out"]] if geo is None else [found["out"], geo]

    def score(self, answered: PendingPrediction) -> ImageCounts:
        """Count a prediction against the ground truth; write it where predictions are saved.

        Raises:
            PredictionError: the logits hold NaN, or predict something else than a class.
            OutputError: the prediction could not be written.
        """
        sample = answered.read.sample
        with _named(sample):
            # Waiting for the device is not part of scoring.
            forward = answered.forward.seconds()
            started = time.perf_counter()
            maps = {LABELS: LabelPair(sample.label, answered.prediction.wait())}
            if sample.geo is not None and answered.geo is not None:
                maps[GEO] = LabelPair(sample.geo, answered.geo.wait())
            scored = count_image(sample.id, ImageResult(maps, answered.logits), self.counts)
            if self.writer is not None:
                self.writer.put(sample.id, {name: pair.prediction for name, pair in maps.items()})
        taken = (answered.read.decode, answered.read.prepare, forward, answered.begun + time.perf_counter() - started)
        for phase, seconds in zip(PHASES, taken, strict=True):
            self.phases[phase].append(seconds)
        return scored


@contextmanager
def _named(*samples: Sample) -> Iterator[None]:
    """Name the images in whatever goes wrong inside the block."""
    ids = ", ".join(sample.id for sample in samples)
    try:
        yield
    except PredictionError as error:
        raise PredictionError(f"on image {ids}: {error.message}", error.hint) from error
    except (FcnbenchError, KeyboardInterrupt):
        raise
    # The model is somebody else's code and may fail in any way, and even exit; its author needs to know the image.
    except BaseException as error:
        height, width = samples[0].label.shape
        hint = "run it on that picture by itself"
        if out_of_memory(error):
            hint = "one picture at a time is too much for this device: choose another with --device, or a --precision"
        raise ModelError(
            f"the model failed on image {ids} ({width}x{height}): {type(error).__name__}: {error}", hint
        ) from error


def _seed_of(sample: Sample) -> int:
    """A seed of the sample alone, so that a model that draws random numbers gives the same in any order."""
    return zlib.crc32(sample.id.encode())
