"""The package in docs/datasets.md, "Add a dataset", does what the page says."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataCorrupt
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
