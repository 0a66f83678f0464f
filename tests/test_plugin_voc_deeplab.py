"""The example plugin, really installed, on real images where there are some."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "plugin_voc_deeplab"
WEIGHTS = "weights/deeplabv3_mnv2_dm05_voc21_float.npz"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin as pip installs it."""
    top = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, top / "source", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(top / "site"), str(top / "source")], check=True)
    return top / "site"


def fcnbench(site: Path, cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fcnbench", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_gives_the_known_figures_on_the_120_real_images(site: Path, shared: Path, tmp_path: Path) -> None:
    result = fcnbench(
        site, tmp_path, "run", "--model", "voc-deeplab", "--weights", str(shared / WEIGHTS), "--dataset", "voc2011val",
        "--from", str(shared / "data"), "--allow-partial", "--trials", "0", "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert (content["images"], content["total"], content["partial"], content["board"]) == (120, 736, True, None)
    assert content["signature"] == "fcn2|data:voc2011val#120/736|classes:21|ignore:255|mean:gt|infer:native|prec:fp32"
    known = {"pixel_acc": 0.94553, "mean_acc": 0.72880, "mean_iu": 0.64041, "fw_iu": 0.90261}
    assert {name: content["scores"][name] for name in known} == pytest.approx(known, abs=1e-4)
    record = json.loads((tmp_path / content["record"]).read_text())
    assert record["scores"]["union"]["mean_iu"] == pytest.approx(0.60039, abs=1e-4)
    assert record["model"]["provider"] == "fcnbench-voc-deeplab"


def test_the_path_may_come_from_the_environment(site: Path, shared: Path, tmp_path: Path) -> None:
    result = fcnbench(
        site, tmp_path, "run", "--model", "voc-deeplab", "--dataset", "voc2011val", "--from", str(shared / "data"),
        "--allow-partial", "--limit", "1", "--json", VOC_DEEPLAB_WEIGHTS=str(shared / WEIGHTS),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 1


def test_it_is_listed_with_its_package(site: Path, tmp_path: Path) -> None:
    listed = json.loads(fcnbench(site, tmp_path, "list", "models", "--json").stdout)["models"]
    (found,) = [entry for entry in listed if entry["name"] == "voc-deeplab"]
    assert found["provider"] == "fcnbench-voc-deeplab"


def test_missing_weights_say_what_to_pass(site: Path, tmp_path: Path) -> None:
    result = fcnbench(site, tmp_path, "doctor", "voc2011val", "--model", "voc-deeplab")
    assert result.returncode == 4
    assert "pass --weights FILE.npz, or set VOC_DEEPLAB_WEIGHTS" in result.stderr


def test_another_label_space_is_refused(site: Path, tmp_path: Path) -> None:
    result = fcnbench(site, tmp_path, "run", "--model", "voc-deeplab", "--weights", "x.npz")
    assert result.returncode == 4
    assert "predicts the 21 classes of PASCAL VOC, and the dataset has 8" in result.stderr


def test_files_with_other_arrays_are_refused(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    from voc_deeplab import build

    from fcnbench.errors import WeightsError

    np.savez(tmp_path / "short.npz", **{"conv00.weight": np.zeros((16, 3, 3, 3), np.float32)})
    np.savez(tmp_path / "shape.npz", **{"conv00.weight": np.zeros((16, 3, 1, 1), np.float32)})
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04 and nothing more")
    for name in ("short.npz", "shape.npz", "single.npy", "junk.npz", "nowhere.npz"):
        with pytest.raises(WeightsError, match=f"{name} does not hold the weights"):
            build(str(tmp_path / name))


FLIP_BUDGET = 200
"""Pixels of 20 million that may change class between PyTorch and onnxruntime; 6 were seen."""


@pytest.mark.filterwarnings("ignore")  # what the exporter deprecates in itself is its own affair
def torch_release() -> tuple[int, ...]:
    """PyTorch's version as two numbers."""
    return tuple(int(part) for part in version("torch").split(".")[:2])


def test_its_onnx_export_gives_the_same_label_maps(site: Path, shared: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    if torch_release() < (2, 7):
        pytest.skip("PyTorch 2.6 can't export this net for images of any size")
    export = (
        "import sys, torch, voc_deeplab\n"
        "side = torch.export.Dim.DYNAMIC\n"  # with bounds, PyTorch 2.7 can't export this net
        "net = voc_deeplab.build(weights=sys.argv[1]).module.eval()\n"
        "torch.onnx.export(net, (torch.zeros(1, 3, 375, 500),), sys.argv[2], dynamo=True, external_data=False,\n"
        "                  dynamic_shapes=({2: side, 3: side},))\n"
    )
    path, weights = tmp_path / "net.onnx", shared / WEIGHTS
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-W", "ignore", "-c", export, str(weights), str(path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    model = onnx.load(path)
    for key in ("mean", "std"):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, "0.5,0.5,0.5"
    onnx.save(model, path)
    data = ("--dataset", "voc2011val", "--from", str(shared / "data"), "--allow-partial", "--trials", "0", "--json")
    matrices = []
    for chosen in (("voc-deeplab", "--weights", str(weights)), (f"onnx:{path}",)):
        result = fcnbench(site, tmp_path, "run", "--model", *chosen, *data)
        assert result.returncode == 0, result.stderr
        record = tmp_path / json.loads(result.stdout)["record"]
        matrices.append(np.load(record.with_name("confusion.npz"))["confusion"])
    flipped = int(abs(matrices[0] - matrices[1]).sum()) // 2
    assert flipped <= FLIP_BUDGET, f"{flipped} of {matrices[0].sum()} pixels changed class"
