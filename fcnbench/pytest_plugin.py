"""A pytest plugin: the fixture `fcnbench_check`, a drift check in a project's own tests.

    def test_my_model_has_not_drifted(fcnbench_check):
        fcnbench_check("baselines/my-model/record.json", tolerance=0.001)

pytest loads it wherever fcnbench is installed; it imports nothing until the fixture is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fcnbench.api.check import Check
    from fcnbench.api.inputs import RecordLike


@pytest.fixture
def fcnbench_check() -> Callable[..., Check]:
    """Return a function like `fcnbench.check` that fails the test on drift."""

    def gate(baseline: RecordLike, **options: Any) -> Check:
        from fcnbench.api.check import check
        from fcnbench.comparison.drift_report import text

        __tracebackhide__ = True
        result = check(baseline, **options)
        if not result.passed:
            pytest.fail("\n".join(text(verdict) for verdict in result.verdicts if not verdict.passed), pytrace=False)
        return result

    return gate
