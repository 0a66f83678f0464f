"""Doctests run in a folder of their own, with a home folder of their own and without a network."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _doctests_have_their_own_folder(request: pytest.FixtureRequest) -> None:
    """Keep stores, journals and results of a doctest in a temporary folder."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    folder, monkeypatch = request.getfixturevalue("tmp_path"), request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("FCNBENCH_HOME", str(folder / "home"))
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    monkeypatch.setenv("FCNBENCH_BOARD", str(folder / "results"))
    monkeypatch.chdir(folder)
