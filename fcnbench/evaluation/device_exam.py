"""The check of a device: does it give the integers that it should, and the right label map whatever the shape?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.argmax_trials import Trials, all_trials, outcome, tried
from fcnbench.evaluation.device_report import DATASET, MODEL, Check, check_integers
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import Look
from fcnbench.models.load import open_model
from fcnbench.records.device_check import DeviceCheck, store_check
from fcnbench.records.environment import Environment
from fcnbench.util.console import track


@dataclass(frozen=True)
class DeviceExam:
    """What was found about a device.

    Attributes:
        environment: what it ran on; its `device_check` is what later records say.
        integers: the built-in dataset's integers.
        trials: the trials of its argmax.
        path: the file, in the home folder, that later runs read the outcome from.
    """

    environment: Environment
    integers: Check
    trials: Trials
    path: Path


def examine(device: torch.device) -> DeviceExam:
    """Check a device, and write the outcome down for later runs.

    Raises:
        ModelError: a forward pass failed on it.
        OutputError: the outcome could not be written.
    """
    battery = all_trials()
    trials = outcome(tried(device, track(battery, "argmax", "trial")))
    data = load_dataset(DATASET)
    look, indices = Look(open_model(MODEL).segmenter, data, device), scorable(data)
    with Journal({"examination": str(device)}, look.specs) as journal:
        evaluation = evaluate(look, indices, journal, 0, what=f"{MODEL} on {DATASET}")
        journal.forget()
    integers = check_integers(look, indices, evaluation)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    check = DeviceCheck(created, trials.right, trials.total, integers.from_golden)
    path = store_check(describe(device).key, check)
    return DeviceExam(describe(device), integers, trials, path)
