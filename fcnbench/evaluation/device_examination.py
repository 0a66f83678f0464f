"""The examination of a device: the built-in dataset's integers, and the argmax of many shapes, against the CPU's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.argmax_cases import ArgmaxCheck, all_cases, run_cases, summarise
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.pocket_check import DATASET, MODEL, check_pocket
from fcnbench.models.load import open_model
from fcnbench.records.device_check import DeviceCheck, store_check
from fcnbench.records.device_report import PocketCheck
from fcnbench.records.environment import Environment
from fcnbench.util.console import track


@dataclass(frozen=True)
class DeviceExamination:
    """The result of `examine`.

    Attributes:
        environment: the machine and the device; its `device_check` goes into later records.
        pocket: the integers of the built-in dataset.
        argmax: the results of the argmax cases.
        path: file in the home folder from which later runs read the result.
    """

    environment: Environment
    pocket: PocketCheck
    argmax: ArgmaxCheck
    path: Path


def examine(device: torch.device) -> DeviceExamination:
    """Examine a device, and store the result for later runs.

    Raises:
        ModelError: a forward pass failed on it.
        OutputError: the result could not be written.
    """
    argmax = summarise(run_cases(device, track(all_cases(), "argmax", "case")))
    data = load_dataset(DATASET)
    pipeline, indices = ImagePipeline(open_model(MODEL).segmenter, data, device), scorable(data)
    with Journal({"examination": str(device)}, pipeline.specs) as journal:
        evaluation = evaluate(pipeline, indices, journal, 0, what=f"{MODEL} on {DATASET}")
        journal.forget()
    pocket = check_pocket(pipeline, indices, evaluation)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    check = DeviceCheck(created, argmax.right, argmax.total, pocket.from_golden)
    path = store_check(describe(device).key, check)
    # Described again, now with the stored check.
    return DeviceExamination(describe(device), pocket, argmax, path)
