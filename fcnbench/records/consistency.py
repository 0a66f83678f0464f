"""Consistency of a record's file: whether its parts are of the same images, classes and label maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from fcnbench.metrics.counts import CONFUSION, GEO, GEO_CONFUSION, LABELS, CountSpec
from fcnbench.records.evaluation import PHASES
from fcnbench.records.json import specs_of
from fcnbench.records.location import MATRICES_NAME
from fcnbench.records.schema import RecordFile


def check_consistent(file: RecordFile) -> None:
    """Check that the parts of a record's file are of the same images, classes and label maps.

    Raises:
        ValueError: they are not; the sentence says which.
    """
    for fault in _faults(file):
        raise ValueError(fault)


def _faults(file: RecordFile) -> Iterator[str]:
    maps, protocol = file.predictions.maps, file.protocol
    if MATRICES_NAME not in file.files or CONFUSION not in file.counts or LABELS not in maps:
        yield "it names no matrices or no predictions"
    if any(len(found) != protocol.images for found in maps.values()):
        yield "the number of images does not fit"
    if protocol.classes != len(file.per_class):
        yield "the number of classes does not fit"
    if other := [name for name in maps if name not in (LABELS, GEO) or maps[name].keys() != maps[LABELS].keys()]:
        yield f"the predictions of {other[0]} are not those of the images"
    if not re.fullmatch("sha256:[0-9a-f]{64}", protocol.split):
        yield "the split has no digest"
    if bool(protocol.geo) != bool(file.geo_classes):
        yield "the second label space and its classes do not fit"
    if GEO in maps and GEO_CONFUSION not in file.counts:
        yield "the predictions of the second label maps have no matrices"
    yield from _faults_of_counts(file)
    yield from _faults_of_times(file)


def _faults_of_counts(file: RecordFile) -> Iterator[str]:
    """Yield what is wrong with the descriptions of the counts: a matrix is that of the label space that it names."""
    protocol, geo = file.protocol, len(file.geo_classes)
    matrices = {CONFUSION: (LABELS, protocol.label_space, protocol.classes), GEO_CONFUSION: (GEO, protocol.geo, geo)}
    for name, spec in specs_of(file).items():
        if name in matrices:
            label_maps, space, classes = matrices[name]
            if spec != CountSpec(name, (classes, classes), label_maps=label_maps, label_space=space):
                yield f"the count {name} is not of the label space {space!r} and its {classes} classes"
        if spec.label_maps not in ("", LABELS, GEO):
            yield f"the count {name} is of label maps {spec.label_maps!r} that are not known"
        for axis, values in spec.axes.items():
            if any(low >= high for low, high in pairwise(values)):
                yield f"the values of {axis} of the count {name} do not ascend"


def _faults_of_times(file: RecordFile) -> Iterator[str]:
    """Yield what is wrong with the times: every phase has one time per image."""
    timing = file.timing
    phases = {name: taken for name, taken in timing.samples.items() if name != "forward_500"}
    if unknown := phases.keys() - {*PHASES}:
        yield f"the times are of unknown phases: {', '.join(sorted(unknown))}"
    if len({len(taken) for taken in phases.values()} | {timing.images}) > 1:
        yield "the phases have times of different numbers of images"
