"""How a record looks as JSON: `record-v1.schema.json` describes it, this writes it and reads it back.

Scores, intervals, per-class table and timing statistics are worked out anew from the facts whenever a record is written
or checked; only the facts are read back.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from fcnbench.datasets.leakage import Leakage
from fcnbench.metrics.bootstrap import DRAWS, LEVEL, SEED
from fcnbench.metrics.trimap import WIDTHS, trimap_curves
from fcnbench.protocol import Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import (
    MARGINS,
    NO_TIMING,
    PAPER_SIDE,
    Evaluation,
    Execution,
    ReproducibilityCheck,
    Summary,
    Timing,
)
from fcnbench.records.model import POLICIES, CodeFacts, DataFacts, ModelFacts, Record

VERSION = 1
FORMAT = f"fcnbench.record/{VERSION}"
"""Format of a record."""


def content_of(record: Record) -> dict[str, Any]:
    """A record as JSON values, but for the digests of the files beside it."""
    protocol, evaluation = record.protocol, record.evaluation
    content: dict[str, Any] = {
        "format": FORMAT,
        "run": record.run,
        "created": record.created,
        "fcnbench": record.fcnbench,
        "signature": {"short": protocol.signature(), "long": protocol.signature(long=True)},
        "protocol": asdict(protocol),
        "model": asdict(record.model),
        "training": _listed(asdict(record.leakage)),
        "data": asdict(record.data),
        "geo_classes": list(record.geo_classes),
        "scores": {policy: record.all_scores(policy) for policy in POLICIES},
        "intervals": {
            "method": "percentile bootstrap over images",
            "level": LEVEL,
            "draws": DRAWS,
            "seed": SEED,
            **{policy: {name: list(ends) for name, ends in record.intervals(policy).items()} for policy in POLICIES},
        },
        "per_class": per_class(record),
        "predictions": {
            "digest": record.predictions,
            "images": dict(zip(evaluation.ids, evaluation.predictions, strict=True)),
        },
        "timing": _timing(evaluation),
        "environment": record.environment.content,
    }
    if record.code is not None:
        content["code"] = asdict(record.code)
    if evaluation.margins is not None:
        content["margins"] = {"below": list(MARGINS), "pixels": evaluation.margins.sum(axis=0).tolist()}
    if evaluation.execution is not None:
        content["execution"] = asdict(evaluation.execution)
    if evaluation.certificate is not None:
        content["certificate"] = asdict(evaluation.certificate)
    if evaluation.trimap is not None:
        content["trimap"] = {"widths": list(WIDTHS), **trimap_curves(evaluation.trimap)}
    return content


def record_of(content: dict[str, Any], arrays: dict[str, Any]) -> Record:
    """The record of a JSON that fits the schema, and of the arrays beside it.

    Raises:
        KeyError, TypeError, ValueError: they do not make a record after all.
    """
    timing = content["timing"]
    samples = dict(timing["samples"])
    paper = tuple(samples.pop("forward_500"))
    images = content["predictions"]["images"]
    phases = {phase: tuple(taken) for phase, taken in samples.items()}
    return Record(
        run=content["run"],
        created=content["created"],
        fcnbench=content["fcnbench"],
        model=ModelFacts(**content["model"]),
        protocol=Protocol(**content["protocol"]),
        data=DataFacts(**content["data"]),
        leakage=Leakage(**{name: _tupled(value) for name, value in content["training"].items()}),
        classes=tuple(each["name"] for each in content["per_class"]),
        geo_classes=tuple(content["geo_classes"]),
        evaluation=Evaluation(
            ids=tuple(images),
            matrices=arrays["per_image"],
            predictions=tuple(images.values()),
            geo=arrays.get("geo_per_image"),
            margins=arrays.get("margins"),
            trimap=arrays.get("trimap"),
            certificate=ReproducibilityCheck(**content["certificate"]) if "certificate" in content else None,
            timing=Timing(phases, timing["seconds"], paper) if phases else NO_TIMING,
            resumed=timing["resumed"],
            execution=Execution(**content["execution"]) if "execution" in content else None,
        ),
        environment=Environment.of(content["environment"]),
        code=CodeFacts(**content["code"]) if "code" in content else None,
    )


def arrays_of(record: Record) -> dict[str, Any]:
    """The arrays that lie beside a record."""
    evaluation = record.evaluation
    arrays: dict[str, Any] = {
        "total": record.confusion,
        "per_image": evaluation.matrices,
        "ids": np.array(evaluation.ids),
    }
    if evaluation.geo is not None:
        arrays |= {"geo_total": evaluation.geo.sum(axis=0), "geo_per_image": evaluation.geo}
    if evaluation.margins is not None:
        arrays["margins"] = evaluation.margins
    if evaluation.trimap is not None:
        arrays["trimap"] = evaluation.trimap
    return arrays


def summary(record: Record) -> dict[str, Any]:
    """What `--json` prints: the result without environment and raw samples."""
    policy, execution, certificate = record.protocol.absent, record.evaluation.execution, record.evaluation.certificate
    return {
        "model": record.model.name,
        "dataset": record.protocol.dataset,
        "signature": record.protocol.signature(),
        "images": record.protocol.images,
        "total": record.protocol.total,
        "partial": record.protocol.partial,
        "leakage": _listed(asdict(record.leakage)),
        "scores": record.all_scores(),
        "intervals": {name: list(ends) for name, ends in record.intervals(policy).items()},
        "per_class": per_class(record),
        "timing": {key: value for key, value in _timing(record.evaluation).items() if key != "samples"},
        "execution": asdict(execution) if execution else None,
        "certificate": asdict(certificate) if certificate else None,
        "run": record.run,
    }


def per_class(record: Record) -> list[dict[str, Any]]:
    """Accuracy, IU and pixels of every class."""
    found = record.scores()
    return [
        {
            "index": index,
            "name": name,
            "acc": _or_none(found.class_acc[index]),
            "iu": _or_none(found.class_iu[index]),
            "true_pixels": int(found.true_pixels[index]),
            "predicted_pixels": int(found.predicted_pixels[index]),
        }
        for index, name in enumerate(record.classes)
    ]


def _timing(evaluation: Evaluation) -> dict[str, Any]:
    timing = evaluation.timing
    return {
        "unit": "ms",
        "images": timing.images,
        "resumed": evaluation.resumed,
        "seconds": timing.seconds,
        "images_per_second": timing.images_per_second,
        "phases": {phase: asdict(Summary.of(taken)) for phase, taken in timing.phases.items() if taken},
        "forward_500": {
            "height": PAPER_SIDE,
            "width": PAPER_SIDE,
            "batch": 1,
            "trials": len(timing.paper),
            **asdict(Summary.of(timing.paper)),
        }
        if timing.paper
        else None,
        "samples": {
            **{phase: list(taken) for phase, taken in timing.phases.items()},
            "forward_500": list(timing.paper),
        },
    }


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    """Tuples as the lists that JSON makes of them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _or_none(value: float) -> float | None:
    """JSON has no NaN: a class without the quantity has none."""
    return None if np.isnan(value) else float(value)
