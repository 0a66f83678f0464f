"""The steps of the loop for one image: decode and preprocess, forward pass, count.

The loop runs `read` in a few threads, `forward` in the caller's and `score` in another. An error of the model names the
image that it occurred on.
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
from fcnbench.evaluation.timer import KnownTime, PendingTime, Timer
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.counts import GEO, LABELS, Count, CountSpec, ImageResult, LabelPair, confusion_counts
from fcnbench.models.networks import keep_evaluation_mode, layers_made, networks_in, refuse_training_mode
from fcnbench.models.segmenter import Segmenter, is_oracle, logits_of_heads, modalities_of, preprocess_on
from fcnbench.models.tensor_ownership import owned, take
from fcnbench.models.torch_state import foreign_code, seed
from fcnbench.records.evaluation import PHASES, ImageCounts, count_image
from fcnbench.records.predictions import PredictionWriter
from fcnbench.util.console import note
from fcnbench.util.process_state import seed_generators

Phases = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class PreparedSample:
    """A decoded sample and its model input.

    Attributes:
        sample: the sample.
        tensor: the model's input, [planes, H, W]; None for an oracle.
        decode: seconds that decoding took.
        prepare: seconds that preprocessing took.
    """

    sample: Sample
    tensor: Tensor | None
    decode: float
    prepare: float


@dataclass(frozen=True, eq=False)
class PendingPrediction:
    """A sample whose predicted label maps may still be computed by the device.

    Attributes:
        prepared: the sample.
        prediction: the predicted label map, once it is there.
        geo: the predicted second label map; None where the model or the dataset has none.
        logits: logits [C, H, W] where something is counted on them; no later forward pass writes into them.
        forward: the time of the forward pass, once it is done.
        scoring: seconds that were spent on scoring already.
    """

    prepared: PreparedSample
    prediction: PendingLabelMap
    geo: PendingLabelMap | None
    logits: Tensor | None
    forward: PendingTime
    scoring: float = 0.0


@dataclass(eq=False)
class ImagePipeline:
    """Runs one image after the other through decoding, preprocessing, the forward pass and counting.

    Attributes:
        segmenter: the model; its network is moved to the device.
        dataset: the samples.
        device: where the forward pass and the argmax run.
        writer: writes the predicted label maps; images whose map it does not have are scored again.
        counts: what is counted; the confusion matrices are added to what is given.
        precision: precision of the forward passes; see `expect`.
        networks: the model's networks.
        phases: seconds of each step per image, in the order in which images were scored.
    """

    segmenter: Segmenter
    dataset: Dataset
    device: torch.device
    writer: PredictionWriter | None = None
    counts: Sequence[Count] = ()
    phases: Phases = field(default_factory=lambda: {phase: [] for phase in PHASES})
    networks: list[nn.Module] = field(init=False)
    precision: Precision = field(init=False, default=FP32)
    _preparing: threading.Lock = field(default_factory=threading.Lock)
    _dtypes_checked: bool = False

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

    def expect(self, precision: Precision) -> None:
        """Set the precision of the next forward passes; the first of them is checked for it."""
        self.precision, self._dtypes_checked = precision, False

    def read(self, indices: Sequence[int]) -> list[PreparedSample]:
        """Decode samples and preprocess them for the model; may run in several threads at once.

        Raises:
            DataCorrupt: the store is damaged.
            PredictionError: `prepare` did not return a tensor [planes, H, W].
            ModelError: `prepare` failed.
        """
        return [self._read(index) for index in indices]

    def _read(self, index: int) -> PreparedSample:
        started = time.perf_counter()
        sample = self.dataset[index]
        decode = time.perf_counter() - started
        if is_oracle(self.segmenter):
            return PreparedSample(sample, None, decode, 0.0)
        # Copies: a model may write into its input, and samples may be kept by others.
        images: list[Any] = [np.array(sample.modality(name)) for name in modalities_of(self.segmenter)]
        # A model's `prepare` need not be thread-safe.
        with _named(sample), self._preparing, foreign_code("preparing an image"):
            seed_generators(_seed_of(sample))
            started = time.perf_counter()
            held = [preprocess_on(self.segmenter, self.device, *images)]
            self._check_input(held[0])
            # Copied now if need be: the model may use the same memory for its next input.
            tensor = owned(held)
            return PreparedSample(sample, tensor, decode, time.perf_counter() - started)

    def forward(self, group: list[PreparedSample]) -> list[PendingPrediction]:
        """Run the forward pass of samples of one size; where memory does not suffice, of half of them at a time.

        Raises:
            PredictionError: logits of a wrong shape or type.
            ModelError: the model failed.
        """
        if is_oracle(self.segmenter):
            return [self._predict_from_ground_truth(prepared) for prepared in group]
        inputs = [prepared.tensor for prepared in group if prepared.tensor is not None]
        if len({each.shape for each in inputs}) > 1:
            return [pending for prepared in group for pending in self.forward([prepared])]
        with _named(*(prepared.sample for prepared in group)):
            try:
                return self._run_batch(group, torch.stack(inputs) if len(inputs) > 1 else inputs[0][None])
            # Every kind of device has its own class of error for memory.
            except Exception as error:
                if not out_of_memory(error) or len(group) == 1:
                    raise
        half = (len(group) + 1) // 2
        note(f"out of memory with a batch of {len(group)}: going on with {half}")
        free_cache(self.device)
        return [pending for part in (group[:half], group[half:]) for pending in self.forward(part)]

    def _run_batch(self, group: list[PreparedSample], batch: Tensor) -> list[PendingPrediction]:
        space, geo_space = self.dataset.label_space, self.dataset.geo
        first = not self._dtypes_checked
        with self._dtypes(), foreign_code("the forward pass"), layers_made() as made:
            refuse_training_mode(self.networks, "preparing an image")
            seed(_seed_of(group[0].sample), self.device.type)
            timer = Timer(self.device)
            found = logits_of_heads(self.segmenter, batch, geo=geo_space is not None)
            forward = timer.stop(len(group))
            if first or made:  # some networks make layers in the first forward pass, or in that of a new size
                self.networks = networks_in(self.segmenter)
            refuse_training_mode(self.networks, "the forward pass")
        started, size = time.perf_counter(), group[0].sample.label.shape
        self._check_logits(found[0], space, (len(group), *size))
        if geo_space and len(found) > 1:
            self._check_logits(found[1], geo_space, (len(group), *size))
        # The model may write its next logits into the same memory; from here on `found` holds the only reference.
        geo_logits, geo_alone = take(found) if len(found) > 1 else (None, False)
        logits, alone = take(found)
        kept = logits if alone or not self._keep_logits else logits.clone()
        maps = [start_argmax(each, owned=alone) for each in logits]
        geo_maps: list[PendingLabelMap | None] = [None] * len(group)
        if geo_logits is not None:
            geo_maps = [
                start_argmax(each, owned=geo_alone) if prepared.sample.geo is not None else None
                for prepared, each in zip(group, geo_logits, strict=True)
            ]
        spent = (time.perf_counter() - started) / len(group)
        return [
            PendingPrediction(prepared, prediction, geo, each if self._keep_logits else None, forward, spent)
            for prepared, prediction, geo, each in zip(group, maps, geo_maps, kept, strict=True)
        ]

    @contextmanager
    def _dtypes(self) -> Iterator[None]:
        """Check the dtypes that occur in the first forward pass."""
        if self._dtypes_checked:
            yield
            return
        with checked_dtypes(self.precision, self.segmenter):
            yield
        self._dtypes_checked = True

    def _check_input(self, prepared: Tensor) -> None:
        """Refuse an input that is not a tensor [planes, H, W], or of a lower precision."""
        if not isinstance(prepared, Tensor) or prepared.dim() != 3:
            found = tuple(prepared.shape) if isinstance(prepared, Tensor) else type(prepared).__name__
            raise PredictionError(f"prepare gave {found}, expected a tensor [3, H, W]", "return one sample, unbatched")
        check_dtype(self.precision, prepared, "prepare gives")

    def _check_logits(self, logits: Tensor, space: LabelSpace, size: tuple[int, ...]) -> None:
        """Refuse logits that are not floating point [N, C, H, W] for a size of (N, H, W)."""
        expected = (size[0], space.num_classes, *size[1:])
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise PredictionError(
                f"logits are {found}, expected {expected}: [N, C, H, W] with the {space.num_classes} classes of "
                f"{space.name} at the size of the image",
                "up-sample the logits inside the model, to the size of its input",
            )
        if not logits.is_floating_point():
            raise PredictionError(f"logits are {logits.dtype}, expected floating point", "return scores, not labels")
        check_dtype(self.precision, logits, "the logits are")

    def _predict_from_ground_truth(self, prepared: PreparedSample) -> PendingPrediction:
        """Return the prediction of an oracle, which makes it from the ground truth."""
        sample = prepared.sample
        predict = getattr(self.segmenter, "predict_from_ground_truth")  # noqa: B009 - oracles only
        with _named(sample):
            started = time.perf_counter()
            # Copies both ways: it may write into its input, return it, or reuse an array of its own.
            prediction = np.ascontiguousarray(predict(sample.label.copy())).copy()
            geo = np.ascontiguousarray(predict(sample.geo.copy())).copy() if sample.geo is not None else None
            seconds = time.perf_counter() - started
        return PendingPrediction(
            prepared, KnownLabelMap(prediction), None if geo is None else KnownLabelMap(geo), None, KnownTime(seconds)
        )

    def score(self, pending: PendingPrediction) -> ImageCounts:
        """Count a prediction against the ground truth; write it where predictions are saved.

        Raises:
            PredictionError: the logits hold NaN, or predict something else than a class.
            OutputError: the prediction could not be written.
        """
        sample = pending.prepared.sample
        with _named(sample):
            # Waiting for the device is not part of scoring.
            forward = pending.forward.seconds()
            started = time.perf_counter()
            maps = {LABELS: LabelPair(sample.label, pending.prediction.wait())}
            if sample.geo is not None and pending.geo is not None:
                maps[GEO] = LabelPair(sample.geo, pending.geo.wait())
            scored = count_image(sample.id, ImageResult(maps, pending.logits), self.counts)
            if self.writer is not None:
                self.writer.put(sample.id, {name: pair.prediction for name, pair in maps.items()})
        seconds = (
            pending.prepared.decode,
            pending.prepared.prepare,
            forward,
            pending.scoring + time.perf_counter() - started,
        )
        for phase, taken in zip(PHASES, seconds, strict=True):
            self.phases[phase].append(taken)
        return scored


@contextmanager
def _named(*samples: Sample) -> Iterator[None]:
    """Name the images in every error inside the block."""
    ids = ", ".join(sample.id for sample in samples)
    try:
        yield
    except PredictionError as error:
        raise PredictionError(f"on image {ids}: {error.message}", error.hint) from error
    except (FcnbenchError, KeyboardInterrupt):
        raise
    # A model is third-party code: it may raise anything, and even exit; its author needs to know the image.
    except BaseException as error:
        height, width = samples[0].label.shape
        hint = "run it on that image by itself"
        if out_of_memory(error):
            hint = "one image at a time is too much for this device: choose another with --device, or a --precision"
        raise ModelError(
            f"the model failed on image {ids} ({width}x{height}): {type(error).__name__}: {error}", hint
        ) from error


def _seed_of(sample: Sample) -> int:
    """Return a seed that depends on the sample alone, so that random numbers in a model do not depend on the order."""
    return zlib.crc32(sample.id.encode())
