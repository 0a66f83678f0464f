"""The packages in docs/datasets.md, "Add a dataset", do what the page says, and mistakes of their authors are named."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.codec.images import encode_ppm
from fcnbench.datasets.registry import DATASETS
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.store.source_checks import check_source
from fcnbench.errors import DataCorrupt, DatasetPluginError
from tests.conftest import REPOSITORY, jpeg
from tests.datasets import native

IDS = [f"coin_{index:03d}" for index in range(4)]


def code_block(language: str, file: str) -> str:
    """Return the code block of the page that begins with a comment naming a file."""
    page = (REPOSITORY / "docs/datasets.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n# {re.escape(file)}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return block


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package as pip does: its module, and metadata with its entry points."""
    project = tomllib.loads(code_block("toml", "pyproject.toml"))["project"]
    site = tmp_path / "site-packages"
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["fcnbench.datasets"]
    lines = ["[fcnbench.datasets]", *(f"{name} = {target}" for name, target in points.items()), ""]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (site / "coins.py").write_text(code_block("python", "coins.py"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "coins", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write four images in the layout of the example."""
    content = {"coins/val.txt": "".join(f"{sample_id}\n" for sample_id in IDS).encode()}
    for seed, sample_id in enumerate(IDS):
        content[f"coins/images/{sample_id}.jpg"] = jpeg(12, 16, seed=seed)
        label = np.resize([0, 1, 2, 255, seed % 3], (12, 16)).astype(np.uint8)
        content[f"coins/labels/{sample_id}.png"] = native.png(label)
    return native.write(content, tmp_path / "data")


@pytest.mark.usefixtures("package")
def test_the_dataset_is_listed_built_checked_and_evaluated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "coinsval" in {entry.name for entry in fcnbench.list_datasets()}
    assert main(["fetch", "coinsval", "--from", str(data), "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert (built["complete"], built["total"], built["variant"]) == (True, 4, "coins-v1")
    assert main(["doctor", "coinsval"]) == 0
    assert main(["run", "--model", "oracle-perfect", "--dataset", "coinsval", "--json"]) == 0
    shown = capsys.readouterr().out
    assert fcnbench.load_dataset("coinsval").ids == tuple(IDS)
    assert '"mean_iu": 1.0' in shown


@pytest.mark.usefixtures("package")
def test_a_label_map_with_another_value_is_named(data: Path) -> None:
    (data / f"coins/labels/{IDS[2]}.png").write_bytes(native.png(np.full((12, 16), 3, np.uint8)))
    with pytest.raises(DataCorrupt, match=r"coin_002\.png holds the values 3 \(192 pixels\)"):
        fcnbench.load_dataset("coinsval", data)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("COINSVAL", "the dataset 'coins' of package renamed is called 'coinsval'"),
        ("LAYOUT", "is of type FolderLayout"),
    ],
    ids=["another name", "another type"],
)
def test_an_entry_point_of_another_name_or_type_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    metadata = tmp_path / "other/renamed-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: renamed\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[fcnbench.datasets]\ncoins = coins:{name}\n")
    monkeypatch.syspath_prepend(str(metadata.parent))
    with pytest.raises(DatasetPluginError, match=said):
        fcnbench.load_dataset("coins")
    assert [(each.entry.name, said in each.reason) for each in DATASETS.broken()] == [("coins", True)]


# --- a source that is not files ---------------------------------------------------------------------------------------


@pytest.fixture
def stripes() -> DatasetSpec:
    """Return the generated dataset of the page."""
    names: dict[str, Any] = {}
    exec(code_block("python", "stripes.py"), names)
    spec = names["STRIPES"]
    assert isinstance(spec, DatasetSpec)
    return spec


def reading(spec: DatasetSpec, read: Callable[[str], object]) -> DatasetSpec:
    """Return the dataset with another way to read a sample."""
    source: Any = spec.open_source(spec, ())
    source.read = read
    return replace(spec, open_source=lambda spec, paths: source)


def test_the_generated_dataset_of_the_page_is_built_and_sound(stripes: DatasetSpec) -> None:
    data = fcnbench.load_dataset(stripes)
    assert data.ids == stripes.split.ids
    assert data[0].image.shape == (48, 64, 3)
    assert data[0].label[0, :18].tolist() == [255, *[0] * 7, 255, *[1] * 7, 255, 2]
    assert all(each.sound for each in fcnbench.examine(stripes).findings)


IMAGE = encode_ppm(np.zeros((2, 3, 3), np.uint8))
LABEL = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (NativeSample(IMAGE, LABEL + 4), r"label map of stripes stripes-00 .* holds the values 4 \(6 pixels\)"),
        (
            NativeSample(IMAGE, LABEL.astype(np.int64)),
            r"label of stripes .* is int64 \[2, 3\], expected",
        ),
        (NativeSample(IMAGE, LABEL[None]), r"is uint8 \[1, 2, 3\], expected an array uint8 \[H, W\]"),
        (NativeSample(np.zeros((2, 3, 3), np.uint8), LABEL), "image of stripes .* is of type ndarray"),  # type: ignore[arg-type]
        (NativeSample(IMAGE, LABEL, geo=LABEL.astype(float)), r"geo of stripes .* is float64 \[2, 3\]"),  # type: ignore[arg-type]
        ((IMAGE, LABEL), "is of type tuple, expected a fcnbench.datasets.spec.NativeSample"),
    ],
    ids=["another value", "int64", "three axes", "array for an image", "geo", "tuple"],
)
def test_a_sample_of_another_form_is_named(stripes: DatasetSpec, sample: object, said: str) -> None:
    with pytest.raises(DataCorrupt, match=said):
        fcnbench.load_dataset(reading(stripes, lambda sample_id: sample))


def test_a_source_that_fails_is_named_with_its_error(stripes: DatasetSpec) -> None:
    def read(sample_id: str) -> object:
        raise TypeError("one argument is missing")

    with pytest.raises(DataCorrupt, match="stripes failed on stripes-00: TypeError: one argument is missing"):
        fcnbench.load_dataset(reading(stripes, read))


def test_a_source_without_some_methods_is_refused_with_their_names(stripes: DatasetSpec) -> None:
    public = [name for name in vars(Source) if not name.startswith("_")]
    with pytest.raises(DataCorrupt) as caught:
        check_source(stripes, object())
    assert caught.value.message.endswith(f"lacks {', '.join(public)}")
