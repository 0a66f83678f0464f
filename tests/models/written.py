"""Small models with neighbours for tests, each of which predicts one class everywhere."""

from __future__ import annotations

from pathlib import Path

import torch

import fcnbench
from fcnbench.models.segmenter import Segmenter

BIAS = """
import torch
from torch import nn
{imports}


class Net(nn.Module):
    num_classes = 8

    def forward(self, x):
        {late}
        out = torch.zeros(x.shape[0], 8, *x.shape[2:])
        out[:, {k}] = 1
        return out


def build():
    return Net()
"""


def net(folder: Path, *, imports: str = "", late: str = "pass", k: str = "K", **files: str) -> str:
    """Write a model that always predicts class `k`, and neighbours; `__` in their names stands for a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(BIAS.format(imports=imports, late=late, k=k))
    for name, text in files.items():
        stem = name.removesuffix("____init__")
        path = folder / f"{stem.replace('__', '/')}{'/__init__' * (stem != name)}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{folder / 'net.py'}:build"


def class_of(model: Segmenter) -> int:
    """Return the class that a loaded model predicts."""
    return int(model.logits(torch.zeros(1, 3, 4, 4)).argmax(1)[0, 0, 0])


def predicted_class(name: str) -> int:
    """Return the class that a model predicts."""
    return class_of(fcnbench.load_model(name))


def run_one(model: str, tmp_path: Path) -> tuple[int, set[str]]:
    """Return the class that a model predicts in a run, and the names of its source files."""
    record = fcnbench.run(model, limit=1, board=tmp_path / "board").record
    assert record.code is not None
    return int(record.evaluation.matrices[0].sum(0).argmax()), set(record.code.files)
