"""`doctor`: is this installation sound? Explains, never repairs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

from fcnbench.errors import FcnbenchError
from fcnbench.ground import files, paths
from fcnbench.ground.version import __version__


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at.
        sound: whether it is as it should be.
        text: what was found.
    """

    subject: str
    sound: bool
    text: str


def doctor() -> list[Finding]:
    """Look at versions, home folder, device, plugins, stores and the built-in data set; never raises for a finding."""
    findings = [Finding("fcnbench", True, f"{__version__}, Python {platform.python_version()}, {sys.platform}")]
    findings.append(_tried("home folder", _home))
    findings.append(_tried("torch", _torch))
    findings.append(_tried("pocket", _pocket))
    return findings + _plugins() + _stores()


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    # A broken installation may fail in any way; the doctor's job is to say so.
    except Exception as error:  # noqa: BLE001
        text = error.message if isinstance(error, FcnbenchError) else f"{type(error).__name__}: {error}"
        return Finding(subject, False, text)


def _home() -> str:
    files.check_writable(paths.home())
    return f"{paths.home()} (move it with {paths.HOME_VARIABLE})"


def _torch() -> str:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{torch.__version__}, {torch.get_num_threads()} CPU threads, CUDA: {', '.join(names) or 'none'}"


def _pocket() -> str:
    from fcnbench.datasets.pocket.family import POCKET_VAL, open_pocket

    source = open_pocket(POCKET_VAL, None)
    for sample_id in POCKET_VAL.split.ids:
        source.read(sample_id)
    return f"{len(POCKET_VAL.split.ids)} images drawn, pixels as they should be"


def _plugins() -> list[Finding]:
    from fcnbench.datasets.catalogue import DATASETS
    from fcnbench.models.registered import MODELS

    findings = []
    for registry in (MODELS, DATASETS):
        broken = registry.broken()
        names = {(fault.entry.name, fault.entry.provider) for fault in broken}
        findings += [
            Finding(f"{registry.kind} {fault.entry.name}", False, f"{fault.reason} (from {fault.entry.provider})")
            for fault in broken
        ]
        findings += [
            Finding(f"{registry.kind} {entry.name}", True, f"{entry.target} of {entry.provider} {entry.version}")
            for entry in registry.entries().values()
            if entry.provider != "fcnbench" and (entry.name, entry.provider) not in names
        ]
    return findings


def _stores() -> list[Finding]:
    from fcnbench.datasets.catalogue import DATASETS, find_dataset
    from fcnbench.datasets.load import stores_of

    findings = []
    for name, entry in DATASETS.entries().items():
        if entry.provider != "fcnbench":
            continue
        for store in stores_of(find_dataset(name), paths.stores() / name):
            manifest = store.manifest
            images = sum(row.image is not None for row in manifest.rows)
            extent = "whole" if manifest.complete else "a part"
            text = f"{extent}: {images} of {manifest.total} pictures, {len(manifest.rows)} label maps, {store.folder}"
            findings.append(Finding(f"store of {name}", True, text))
    return findings
