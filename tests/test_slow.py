"""The marker `slow`: its list names tests that exist, and is made from the log of a run."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY
from tests.slow import listed, slow_tests

LOG = """
============================= slowest durations ==============================
  12.10s call     tests/a/test_b.py::test_c[a test-1]
5.01s call     tests/a/test_a.py::test_a
30.00s setup    tests/a/test_a.py::test_b
3.99s call     tests/a/test_b.py::test_d
2.01s call     tests/a/test_b.py::test_e[1]
2.01s call     tests/a/test_b.py::test_e[2]
6.00s call     tests/a/test_b.py::test_c[other]
"""


def test_listed_tests_exist() -> None:
    for test in slow_tests():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (REPOSITORY / path).read_text(encoding="utf-8"), test


def test_the_list_is_made_from_the_durations_of_a_run() -> None:
    assert listed(LOG) == [
        "tests/a/test_a.py::test_a", "tests/a/test_b.py::test_c", "tests/a/test_b.py::test_e",
    ]  # fmt: skip


def test_listed_tests_are_marked(request: pytest.FixtureRequest) -> None:
    marked = {item.nodeid.partition("[")[0] for item in request.session.items if item.get_closest_marker("slow")}
    chosen = {item.nodeid.partition("[")[0] for item in request.session.items}
    assert marked == slow_tests() & chosen
