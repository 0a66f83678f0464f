"""`doctor`: is this installation sound? Explains, never repairs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import DatasetLike, ModelLike, given_dataset
from fcnbench.api.plan import check_device, check_model, plan_model
from fcnbench.datasets.registry import DATASETS
from fcnbench.errors import DataCorrupt, FcnbenchError
from fcnbench.options import DEFAULT_DATASET
from fcnbench.util import files, paths
from fcnbench.util.check_result import CheckResult
from fcnbench.util.consent import accepting, require_consent
from fcnbench.util.console import listed, progress
from fcnbench.util.digests import short
from fcnbench.util.version import __version__

if TYPE_CHECKING:
    from fcnbench.datasets.store.check import StoreReport
    from fcnbench.evaluation.device_examination import DeviceExamination


def doctor() -> list[CheckResult]:
    """Check versions, home folder, device, plugins, stores and the built-in dataset; faults are returned, not raised.

    >>> import fcnbench
    >>> fcnbench.doctor()[0].subject
    'fcnbench'
    """
    findings = [CheckResult("fcnbench", True, f"{__version__}, Python {platform.python_version()}, {sys.platform}")]
    findings.append(_tried("home folder", _home))
    findings.append(_tried("torch", _torch))
    findings.append(_tried("torchvision", _torchvision))
    findings.append(_tried("decoders", _decoders))
    findings.append(_tried("pocket", _pocket))
    return findings + _plugins() + _stores()


def examine(dataset: DatasetLike) -> StoreReport:
    """Check everything in a dataset's store; the same as `fcnbench doctor DATASET`.

    Args:
        dataset: name of the dataset, its specification, or what `fcnbench.load_dataset` returned.

    Raises:
        UsageError: no dataset has this name.
        DataMissing: it has no store yet.

    >>> import fcnbench
    >>> fcnbench.examine(fcnbench.load_dataset("pocket")).findings[0].sound
    True
    """
    spec = given_dataset(dataset).spec
    from fcnbench.datasets.store.check import check_store

    return check_store(spec)


def examine_model(
    model: ModelLike,
    dataset: DatasetLike = DEFAULT_DATASET,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    accept_terms: bool = False,
) -> list[CheckResult]:
    """Test a model on random images; the same as `fcnbench doctor --model`.

    Args:
        model: registered name, `path/to/file.py:factory`, or `scheme:argument`; or a `torch.nn.Module`, an object with
            `prepare` and `logits`, or a factory of either.
        dataset: the dataset whose classes the model should predict; its samples are not read.
        weights: passed to the model's factory.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        accept_terms: agree to the terms of published weights that have to be downloaded; remembered.

    Raises:
        UsageError: a name is unknown.
        ModelError: the model or its weights are unusable.

    >>> import fcnbench
    >>> all(finding.sound for finding in fcnbench.examine_model("fcn8s-pocket"))
    True
    """
    if isinstance(dataset, str):
        DATASETS.find(dataset)
    check_model(model, weights)
    space = given_dataset(dataset).spec.label_space
    chosen, downloads = plan_model(model, weights, space.num_classes, space.name)
    check_device(device, model if isinstance(model, str) else "")
    require_consent(downloads, accept_terms)
    from fcnbench.evaluation.device import choose_device, move
    from fcnbench.models.check import check_segmenter
    from fcnbench.models.load import open_model
    from fcnbench.models.objects import kept_as_it_was
    from fcnbench.models.torch_state import protected

    on = choose_device(device)
    findings = []
    with protected(), kept_as_it_was(model):
        with accepting(accept_terms):
            loaded = open_model(model, chosen, space.num_classes, classes=space.classes)
        move(loaded.segmenter, on)
        with progress(None, f"examine {loaded.name}", "check") as bar:
            for finding in check_segmenter(loaded, space.num_classes, on):
                findings.append(finding)
                bar.update()
    return findings


def examine_device(device: str = "auto") -> DeviceExamination:
    """Check a device, and store the result for the records of later runs; the same as `fcnbench doctor --device`.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...

    Raises:
        UsageError: no such device here.
        ModelError: a forward pass failed on it.
        OutputError: the result could not be written.

    >>> import fcnbench
    >>> fcnbench.examine_device("cpu").environment.device
    'cpu'
    """
    check_device(device)
    files.check_writable(paths.home())
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.device_examination import examine as examine_on

    return examine_on(choose_device(device))


def findings_of_exam(exam: DeviceExamination) -> list[CheckResult]:
    """Return what the check of a device found, one line per subject."""
    from fcnbench.api.device_report import device_finding, integers_finding

    trials = exam.argmax
    text = f"{trials.right} of {trials.total} cases give numpy's label map"
    if trials.wrong:
        text += f"; wrong: {listed([case.describe() for case in trials.wrong])}"
    if trials.refused:
        first, why = trials.refused[0]
        text += f"; {len(trials.refused)} can't be done here, such as {first.describe()}: {why}"
    argmax = CheckResult("argmax", not trials.wrong, text)
    return [device_finding(exam.environment), integers_finding(exam.pocket), argmax]


def _tried(subject: str, look: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(subject, True, look())
    # A broken installation may fail in any way; the doctor's job is to say so.
    except Exception as error:  # noqa: BLE001
        text = error.message if isinstance(error, FcnbenchError) else f"{type(error).__name__}: {error}"
        return CheckResult(subject, False, text)


def _home() -> str:
    files.check_writable(paths.home())
    return f"{paths.home()} (move it with {paths.HOME_VARIABLE})"


def _torch() -> str:
    import torch

    from fcnbench.evaluation.device import accelerators

    found = listed(accelerators()) or "none"
    return f"{torch.__version__}, {torch.get_num_threads()} CPU threads, accelerators: {found}"


def _torchvision() -> str:
    from importlib.metadata import version

    from fcnbench.models.adapters.torchvision import import_models

    import_models()
    return version("torchvision")


def _decoders() -> str:
    from fcnbench.datasets.codec.fingerprint import USUAL, decoder_fingerprint

    found = decoder_fingerprint()
    same = (
        "the usual pixels" if found == USUAL else "other pixels than most machines: scores may move in the last digits"
    )
    return f"{short(found)}, {same}"


def _pocket() -> str:
    from fcnbench.datasets.families.pocket.family import POCKET_VAL, VAL_FINGERPRINT, VAL_IMAGES, open_pocket
    from fcnbench.datasets.store.build import fingerprint

    found = fingerprint(POCKET_VAL, open_pocket(POCKET_VAL, ()))
    if found != VAL_FINGERPRINT:
        raise DataCorrupt(f"drawn with the fingerprint {found}, expected {VAL_FINGERPRINT}: please report it")
    return f"{VAL_IMAGES} images drawn, pixels as they should be"


def _plugins() -> list[CheckResult]:
    from fcnbench.datasets.registry import DATASETS
    from fcnbench.models.registry import MODELS

    findings = []
    for registry in (MODELS, DATASETS):
        broken = registry.broken()
        names = {(fault.entry.name, fault.entry.provider) for fault in broken}
        findings += [
            CheckResult(f"{registry.kind} {fault.entry.name}", False, f"{fault.reason} (from {fault.entry.provider})")
            for fault in broken
        ]
        findings += [
            CheckResult(f"{registry.kind} {entry.name}", True, f"{entry.target} of {entry.provider} {entry.version}")
            for entry in registry.entries().values()
            if entry.provider != "fcnbench" and (entry.name, entry.provider) not in names
        ]
    return findings


def _stores() -> list[CheckResult]:
    from fcnbench.datasets.load import find_stores
    from fcnbench.datasets.registry import DATASETS, find_dataset

    findings = []
    for name, entry in DATASETS.entries().items():
        if entry.provider != "fcnbench":
            continue
        for store in find_stores(find_dataset(name), paths.stores() / name):
            manifest = store.manifest
            extent = "whole" if manifest.complete else "a part"
            held = f"{manifest.images} of {manifest.total} images, {len(manifest.rows)} label maps"
            text = f"{extent}: {held}, {store.folder}"
            findings.append(CheckResult(f"store of {name}", True, text))
    return findings
