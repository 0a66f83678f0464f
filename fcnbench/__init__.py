"""fcnbench: semantic segmentation scores in the protocol of the FCN papers, which can be explained and recomputed.

    import fcnbench

    result = fcnbench.run("fcn8s-pocket", "pocket")
    result.scores["mean_iu"]

Each name is imported when it is first used, so `import fcnbench` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fcnbench.util.version import __version__

_PUBLIC = {
    "FcnbenchError": "fcnbench.errors",
    "LabelSpace": "fcnbench.labelspace",
    "ModuleSegmenter": "fcnbench.models.segmenter",
    "Protocol": "fcnbench.protocol",
    "Segmenter": "fcnbench.models.segmenter",
    "bench": "fcnbench.api.bench",
    "board": "fcnbench.api.board",
    "board_pages": "fcnbench.api.board",
    "check": "fcnbench.api.check",
    "compare": "fcnbench.api.compare",
    "confusion_matrix": "fcnbench.metrics.confusion",
    "device_report": "fcnbench.api.device_report",
    "doctor": "fcnbench.api.doctor",
    "examine": "fcnbench.api.doctor",
    "examine_device": "fcnbench.api.doctor",
    "examine_model": "fcnbench.api.doctor",
    "export": "fcnbench.api.export",
    "fetch": "fcnbench.api.fetch",
    "lens": "fcnbench.api.compare",
    "list_datasets": "fcnbench.api.listing",
    "list_models": "fcnbench.api.listing",
    "load_dataset": "fcnbench.datasets.load",
    "load_model": "fcnbench.models.load",
    "plan": "fcnbench.api.plan",
    "read_board": "fcnbench.leaderboard.board",
    "report": "fcnbench.api.report",
    "read_sweep": "fcnbench.api.sweep_file",
    "run": "fcnbench.api.run",
    "run_cell": "fcnbench.api.sweep",
    "score": "fcnbench.api.score",
    "scores": "fcnbench.metrics.scores",
    "submit": "fcnbench.api.submit",
    "sweep": "fcnbench.api.sweep",
    "verify": "fcnbench.api.submit",
    "verify_boards": "fcnbench.api.board",
}
"""Public name to the module that defines it."""

__all__ = [
    "FcnbenchError",
    "LabelSpace",
    "ModuleSegmenter",
    "Protocol",
    "Segmenter",
    "__version__",
    "bench",
    "board",
    "board_pages",
    "check",
    "compare",
    "confusion_matrix",
    "device_report",
    "doctor",
    "examine",
    "examine_device",
    "examine_model",
    "export",
    "fetch",
    "lens",
    "list_datasets",
    "list_models",
    "load_dataset",
    "load_model",
    "plan",
    "read_board",
    "read_sweep",
    "report",
    "run",
    "run_cell",
    "score",
    "scores",
    "submit",
    "sweep",
    "verify",
    "verify_boards",
]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fcnbench' has no attribute {name!r}")
    value: object = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from fcnbench.api.bench import bench
    from fcnbench.api.board import board, board_pages, verify_boards
    from fcnbench.api.check import check
    from fcnbench.api.compare import compare, lens
    from fcnbench.api.device_report import device_report
    from fcnbench.api.doctor import doctor, examine, examine_device, examine_model
    from fcnbench.api.export import export
    from fcnbench.api.fetch import fetch
    from fcnbench.api.listing import list_datasets, list_models
    from fcnbench.api.plan import plan
    from fcnbench.api.report import report
    from fcnbench.api.run import run
    from fcnbench.api.score import score
    from fcnbench.api.submit import submit, verify
    from fcnbench.api.sweep import run_cell, sweep
    from fcnbench.api.sweep_file import read_sweep
    from fcnbench.datasets.load import load_dataset
    from fcnbench.errors import FcnbenchError
    from fcnbench.labelspace import LabelSpace
    from fcnbench.leaderboard.board import read_board
    from fcnbench.metrics.confusion import confusion_matrix
    from fcnbench.metrics.scores import scores
    from fcnbench.models.load import load_model
    from fcnbench.models.segmenter import ModuleSegmenter, Segmenter
    from fcnbench.protocol import Protocol
