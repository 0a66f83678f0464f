"""Packages that one dataset or one method needs: without them everything else works, and the error names the extra."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import pytest

from fcnbench.cli.main import main
from fcnbench.datasets.extras import import_extra
from fcnbench.datasets.families.nyudv2_hdf5 import is_hdf5
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataError
from tests.datasets import native


def test_a_missing_package_is_a_data_error_that_names_the_extra() -> None:
    with pytest.raises(DataError, match="this needs the package no_such_package, which is not installed") as caught:
        import_extra("no_such_package", "some-extra", "this")
    assert "pip install 'fcnbench[some-extra]'" in caught.value.hint
    assert caught.value.exit_code == 3


def test_the_hdf5_file_of_nyudv2_needs_h5py(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "raw.mat"
    native.nyu_raw(path, 1)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main(["fetch", "nyudv2test", "--from", str(path), "--allow-partial"]) == 3
    shown = capsys.readouterr().err
    assert "needs the package h5py, which is not installed" in shown
    assert "pip install 'fcnbench[nyudv2]'" in shown


def test_the_other_source_of_nyudv2_needs_no_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    ids = published_split("nyud-test").ids[:2]
    data = load_dataset("nyudv2test", native.write(native.nyud(ids), tmp_path / "nyud"), allow_partial=True)
    assert data.manifest.variant == "gupta"


def test_a_hugging_face_dataset_needs_the_package_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the package datasets") as caught:
        load_dataset("pocket").to_huggingface()
    assert "fcnbench[huggingface-datasets]" in caught.value.hint


@pytest.mark.parametrize("user_block", [0, 512, 1024, 2048])
def test_hdf5_files_are_recognised_behind_a_user_block(tmp_path: Path, user_block: int) -> None:
    path = tmp_path / "file"
    with h5py.File(path, "w", userblock_size=user_block) as file:
        file["values"] = [1, 2, 3]
    assert is_hdf5(path)
    path.write_bytes(path.read_bytes().replace(b"\x89HDF", b"\x88HDF"))
    assert not is_hdf5(path)
    assert is_hdf5(path) == h5py.is_hdf5(path)
    assert not is_hdf5(tmp_path / "missing")
