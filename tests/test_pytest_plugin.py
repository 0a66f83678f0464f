"""The pytest plugin, in pytest: a fixture that passes, fails with the verdict, and imports nothing before."""

from pathlib import Path

import pytest

import fcnbench

pytest_plugins = ["pytester"]


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return fcnbench.run(board=tmp_path, limit=2).path


def test_the_fixture_gates(pytester: pytest.Pytester, baseline: Path) -> None:
    pytester.makepyfile(
        f"""
        def test_same(fcnbench_check):
            assert fcnbench_check({str(baseline)!r}).passed

        def test_other(fcnbench_check):
            fcnbench_check({str(baseline)!r}, model="fcn32s-pocket", tolerance=0.001)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*fcn32s-pocket on pocket: drift: at least*", "*mean_iu moved by -*"])
    assert "Traceback" not in result.stdout.str()


def test_the_plugin_is_registered_and_light(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_heavy(request):
            assert request.config.pluginmanager.hasplugin("fcnbench")
            assert not {"torch", "pandas", "numpy", "pyarrow"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    assert "fcnbench_check" in pytester.runpytest_subprocess("--fixtures").stdout.str()
