"""A pytest plugin: the fixture `fcnbench_check`, for those who gate in their own tests.

    def test_my_model_has_not_drifted(fcnbench_check):
        fcnbench_check("baselines/my-model/record.json", tolerance=0.001)

pytest loads it wherever fcnbench is installed; it imports nothing until the fixture is called.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fcnbench.api.check import Check


@pytest.fixture
def fcnbench_check() -> Callable[..., Check]:
    """Judge a model against its baseline; takes what `fcnbench.check` takes, and fails the test on drift."""

    def gate(baseline: str | Path, **options: Any) -> Check:
        from fcnbench.api.check import check
        from fcnbench.comparison.drift_report import text

        __tracebackhide__ = True
        found = check(baseline, **options)
        if not found.passed:
            pytest.fail("\n".join(text(verdict) for verdict in found.verdicts if not verdict.passed), pytrace=False)
        return found

    return gate
