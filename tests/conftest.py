"""Fixtures of all tests: a home folder per test, and small native datasets."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcnbench
from fcnbench.datasets.splits import published_split
from fcnbench.labelspace import voc_palette
from tests.slow import slow_tests

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores, each with as many threads, wait for each other: twice as slow. Before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENT = frozenset(sys.path)
"""Where packages were installed before any test ran."""

SHARED = REPOSITORY.parent / "shared"
"""Real data beside the checkout, where there is some."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `slow.txt` lists."""
    slow = slow_tests()
    for item in items:
        if item.nodeid.partition("[")[0] in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores, journals and archives of a test live and die with it, and no test fetches unless it says so."""
    monkeypatch.setenv("FCNBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _no_plugins_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide models and datasets of packages that somebody installed; folders that a test adds to `sys.path` are seen."""

    def others(*, group: str) -> list[EntryPoint]:
        return [
            point
            for point in entry_points(group=group)
            if point.dist is None or str(point.dist.locate_file("")) not in ENVIRONMENT
        ]

    monkeypatch.setattr("fcnbench.registry.entry_points", others)


@pytest.fixture
def shared() -> Path:
    """The folder of real data; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder of real data at {SHARED.name}/ beside the checkout")
    return SHARED


def palette_png(label: np.ndarray) -> bytes:
    """A label map as VOC ships it: an 8-bit PNG with the VOC palette."""
    image = Image.fromarray(label.astype(np.uint8))
    image.putpalette([value for colour in voc_palette(256) for value in colour])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def jpeg(height: int, width: int, seed: int = 0) -> bytes:
    """A JPEG image of smooth noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def voc_label(height: int, width: int, seed: int) -> np.ndarray:
    """A label map with background, one object and its void outline."""
    label = np.zeros((height, width), np.uint8)
    label[2:-2, 3:-3] = 255
    label[3:-3, 4:-4] = 1 + seed % 20
    return label


@pytest.fixture
def make_voc(tmp_path: Path) -> Callable[..., Path]:
    """Makes a small VOC folder: `make_voc(ids, root="VOCdevkit/VOC2012", without_images=())`."""

    def make(ids: list[str], root: str = "VOCdevkit/VOC2012", without_images: tuple[str, ...] = ()) -> Path:
        top = tmp_path / "native"
        for folder in ("JPEGImages", "SegmentationClass"):
            (top / root / folder).mkdir(parents=True, exist_ok=True)
        for seed, sample_id in enumerate(ids):
            height, width = 17 + seed % 7, 23 + seed % 5
            (top / root / "SegmentationClass" / f"{sample_id}.png").write_bytes(
                palette_png(voc_label(height, width, seed))
            )
            if sample_id not in without_images:
                (top / root / "JPEGImages" / f"{sample_id}.jpg").write_bytes(jpeg(height, width, seed))
        return top

    return make


@pytest.fixture
def voc_ids() -> list[str]:
    """The first five ids of seg11valid."""
    return list(published_split("seg11valid").ids[:5])


MODELS = ("fcn32s-pocket", "fcn8s-pocket")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / "home"))
        for name in MODELS:
            fcnbench.run(name, board=root, trials=1, margins=True, save_predictions=root / "predictions" / name)
    shutil.rmtree(root / "home")
    return root


@pytest.fixture
def runs(_finished: Path, tmp_path: Path) -> Path:
    """A root of one's own: records of `MODELS` on pocket, their board, and `predictions/<model>`."""
    return Path(shutil.copytree(_finished, tmp_path / "runs"))


def record_of(runs: Path, model: str) -> Path:
    """The folder of a model's record."""
    (path,) = (runs / "submissions" / model / "pocket").glob("2*")
    return path
