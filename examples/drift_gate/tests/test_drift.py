"""The drift gate as a test; the fixture `fcnbench_check` comes with fcnbench."""

from pathlib import Path

BASELINES = Path(__file__).parents[1] / "baselines"


def test_the_model_has_not_drifted(fcnbench_check):
    fcnbench_check(BASELINES / "leaderboards/v1/pocket.csv", budget=50, tolerance=0.001)
