"""Commands on a second device, in separate processes: a device is registered once per process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import backend_registration

from fcnbench.datasets.splits import published_split
from tests.conftest import REPOSITORY, jpeg, palette_png, voc_label

PYTHON_BACKENDS = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")

NET = """
import os
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    num_classes = CLASSES

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, CLASSES, 1)]
        self.layers = nn.Sequential(*layers)
        random = np.random.default_rng(0)
        for value in self.parameters():
            # Integers: every order of summation gives the same sums.
            value.data = torch.from_numpy(random.integers(-3, 4, value.shape).astype(np.float32))
        self.seen = 0

    def prepare(self, image):
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))

    def forward(self, batch):
        self.seen += 1
        if self.seen == int(os.environ.get("INTERRUPT", 0)):
            raise KeyboardInterrupt
        return self.layers(batch)

def build():
    return Net()
"""


def voc(folder: Path, images: int, size: tuple[int, int] = (40, 50)) -> Path:
    """Write a VOC folder whose images have one size."""
    root = folder / "VOCdevkit/VOC2012"
    for name in ("JPEGImages", "SegmentationClass"):
        (root / name).mkdir(parents=True)
    for seed, sample_id in enumerate(published_split("seg11valid").ids[:images]):
        (root / "SegmentationClass" / f"{sample_id}.png").write_bytes(palette_png(voc_label(*size, seed)))
        (root / "JPEGImages" / f"{sample_id}.jpg").write_bytes(jpeg(*size, seed))
    return folder


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(Path(self.json["record"]).read_text())
        return content

    @property
    def matrices(self) -> np.ndarray:
        with np.load(Path(self.json["record"]).with_name("confusion.npz")) as arrays:
            return arrays["confusion"]


Second = Callable[..., list[Done]]


@pytest.fixture(params=["second", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here"))])  # fmt: skip
def device(request: pytest.FixtureRequest) -> str:
    """The devices of the tests: the one in Python, and a GPU where there is one."""
    if request.param == "second" and not PYTHON_BACKENDS:
        pytest.skip(f"PyTorch {torch.__version__} has no devices in Python")
    return str(request.param)


@pytest.fixture
def fcn(tmp_path: Path) -> Second:
    """Return a function that runs commands in one process: `fcn([...], second="later=0.01", INTERRUPT="3")`."""

    def run(*commands: list[str], second: str | None = "", **variables: str) -> list[Done]:
        if second is not None and not PYTHON_BACKENDS:
            pytest.skip(f"PyTorch {torch.__version__} has no devices in Python")
        folders = {"PYTHONPATH": str(REPOSITORY), "FCNBENCH_BOARD": str(tmp_path / "board")}
        environment = {**os.environ, **folders, **variables}
        if second is not None:
            environment["SECOND"] = second
        done = subprocess.run(
            [sys.executable, "-m", "tests.devices.child", json.dumps(commands)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [Done(*each) for each in json.loads(done.stdout)]

    return run


@pytest.fixture
def net(tmp_path: Path) -> Callable[[int], str]:
    """Write a network of three convolutions with integer weights; return its name for `--model`."""

    def write(classes: int = 8) -> str:
        path = tmp_path / f"net{classes}.py"
        path.write_text(NET.replace("CLASSES", str(classes)))
        return f"{path}:build"

    return write
