"""Versions of imported packages, by the names that pip knows them under."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import pytest
import yaml

from fcnbench.util.packages import imported_packages, installed_version, modules_of


def test_imported_packages_have_the_versions_that_pip_says() -> None:
    found = imported_packages()
    assert found["numpy"] == version("numpy")
    assert found["pyyaml"] == version("PyYAML")
    assert np.__name__ in sys.modules
    assert yaml.__name__ in sys.modules
    assert "no-such-package" not in found


def test_modules_and_packages_fit_what_importlib_finds() -> None:
    usual = packages_distributions()
    for package in ("numpy", "pillow", "PyYAML", "scikit-image"):
        wanted = {module for module, owners in usual.items() if package in owners and not module.startswith("_")}
        assert wanted <= modules_of(package)


def test_a_package_that_is_not_installed_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_version("no-such-package") == ""
    (tmp_path / "mine-1.5.dist-info").mkdir()
    (tmp_path / "mine-1.5.dist-info" / "METADATA").write_text("Name: mine\nVersion: 1.5\n")
    (tmp_path / "mine-1.5.dist-info" / "RECORD").write_text("theirs.py,,\nmine/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed_version("mine") == "1.5"
    assert modules_of("mine") >= {"mine", "theirs"}
