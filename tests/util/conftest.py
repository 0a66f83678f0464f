"""Fixtures of the tests of downloads: servers on the loopback, and a folder of archives."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.datasets.server import serving
from tests.util.mirror import Serve


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow the network, which is the loopback alone."""
    monkeypatch.delenv("FCNBENCH_OFFLINE")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers; each call gives an address."""
    with ExitStack() as stack:
        yield lambda behaviour: stack.enter_context(serving(behaviour))
