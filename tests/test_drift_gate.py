"""The GitHub Action and the example that uses it: their scripts are run, not only read."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml

import fcnbench
from tests.conftest import REPOSITORY

EXAMPLE = REPOSITORY / "examples/drift_gate"
ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text())
(CHECK,) = [step for step in ACTION["runs"]["steps"] if step.get("id") == "check"]


def run_step(tmp_path: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's step as a runner would start it."""
    given = {name: inputs.get(name, str(each.get("default", ""))) for name, each in ACTION["inputs"].items()}
    environment = {name: given[value.split("inputs.")[1].split(" ")[0]] for name, value in CHECK["env"].items()}
    (tmp_path / "temp").mkdir(exist_ok=True)
    runner = {
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_ACTIONS": "true",
    }
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", CHECK["run"]],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | runner | environment,
    )  # fmt: skip


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return fcnbench.run(board=tmp_path / "base lines", limit=2, margins=True).path


def test_the_actions_step_passes_what_is_the_same(baseline: Path, tmp_path: Path) -> None:
    done = run_step(tmp_path, baseline=str(baseline), budget="3", arguments="--device 'cpu'")
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert set(outputs) == set(ACTION["outputs"])
    assert junitparser.JUnitXml.fromfile(outputs["junit"]).failures == 0
    assert Path(outputs["markdown"]).read_text() == (tmp_path / "summary.md").read_text()


def test_the_actions_step_fails_on_drift_and_annotates(baseline: Path, tmp_path: Path) -> None:
    done = run_step(tmp_path, baseline=str(baseline), tolerance="0.001", arguments="--model fcn32s-pocket")
    assert done.returncode == 1
    assert "::error title=" in done.stderr
    assert "drift" in (tmp_path / "summary.md").read_text()


def test_every_input_is_used_and_every_option_exists() -> None:
    text = (REPOSITORY / "action.yml").read_text()
    for name in ACTION["inputs"]:
        assert f"inputs.{name} " in text
    workflow = yaml.safe_load((EXAMPLE / ".github/workflows/drift.yml").read_text())
    (gate,) = [step for step in workflow["jobs"]["drift"]["steps"] if step.get("id") == "gate"]
    assert set(gate["with"]) <= set(ACTION["inputs"])
    for name in ACTION["outputs"]:
        assert f"steps.gate.outputs.{name}" in (EXAMPLE / ".github/workflows/drift.yml").read_text()


def test_the_example_gates_a_repository(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "repository"))
    fcnbench.run(board=folder / "baselines", margins=True, trials=0)
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
