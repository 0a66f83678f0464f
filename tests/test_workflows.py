"""The workflows: pinned, without rights that they do not need, and only with commands, files and jobs that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from fcnbench.cli.main import build_parser
from tests.conftest import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
EXAMPLE = REPOSITORY / "examples/drift_gate/.github/workflows/drift.yml"
WITH_USES = [*WORKFLOWS, REPOSITORY / "action.yml", EXAMPLE]
PAGE = (REPOSITORY / "docs/workflows.md").read_text()

WRITERS = {
    ("submissions.yml", "comment"): {"pull-requests"},
    ("reproduce.yml", "propose"): {"contents", "pull-requests"},
    ("pages.yml", "publish"): {"pages", "id-token"},
    ("release.yml", "publish"): {"id-token"},
}
"""Every job that may write anything."""


def loaded(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return loaded(path)["jobs"]


def scripts(path: Path) -> list[str]:
    return [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WITH_USES, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(), re.M)
    assert used
    for each in used:
        own = path == EXAMPLE and each.startswith("fcnbench/fcnbench@")
        assert own or each.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_one_version_of_an_action_is_one_commit() -> None:
    pins: dict[str, str] = {}
    for path in WITH_USES:
        for name, commit, version in re.findall(r"uses: (\S+)@([0-9a-f]{40}) # (\S+)", path.read_text()):
            assert pins.setdefault(f"{name} {version}", commit) == commit
            assert sum(key.startswith(f"{name} ") for key in pins) == 1, f"two versions of {name}"


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.name)
def test_rights_are_given_to_jobs_and_only_those_that_are_known(path: Path) -> None:
    content = loaded(path)
    assert content["permissions"] == {}
    assert "concurrency" in content
    for name, job in content["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 360
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        assert writes == WRITERS.get((path.name, name), set())
        assert all(level in ("read", "write") for level in job["permissions"].values())


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.name)
def test_checkouts_keep_no_credentials(path: Path) -> None:
    for job in jobs(path).values():
        for step in job["steps"]:
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_scripts_hold_no_expression(path: Path) -> None:
    # An expression is pasted into a script before it runs: a title or a branch name would be code.
    for script in scripts(path):
        assert "${{" not in script


def test_what_is_proposed_is_read_only_by_the_base_branchs_code() -> None:
    verify = jobs(REPOSITORY / ".github/workflows/submissions.yml")["verify"]
    steps = [step.get("run") or step["uses"].split("@")[0] for step in verify["steps"]]
    theirs = next(i for i, step in enumerate(verify["steps"]) if step.get("with", {}).get("path") == "proposed")
    assert not [step for step in steps[theirs + 1 :] if re.search(r"\bpip\b|\bpython\b|\bcd\b|bash|source", step)]
    lines = [line for step in steps[theirs + 1 :] for line in step.splitlines() if "proposed" in line]
    assert lines
    assert all(line.strip().startswith(("fcnbench verify ", "fcnbench board verify ")) for line in lines)


def test_commands_of_workflows_exist() -> None:
    commands = build_parser().commands
    found = set()
    for path in WORKFLOWS:
        for script in scripts(path):
            for name, rest in re.findall(r"(?:^|/|\n\s*)fcnbench ([a-z]+)([^\n|&>]*)", script):
                assert name in commands, (path.name, name)
                found.add(name)
                options = commands[name].format_help()
                for option in re.findall(r"--[a-z-]+", rest):
                    assert option in options, (path.name, name, option)
            for module in re.findall(r"python -m (benchmarks\.\w+)", script):
                assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()
            for rest in re.findall(r"benchmarks\.reproduce([^\n|]*)", script):
                for option in re.findall(r"--\w+", rest):
                    assert f'"{option}"' in (REPOSITORY / "benchmarks/reproduce.py").read_text()
    assert found == {"board", "doctor", "list", "run", "verify"}
    named = re.findall(r"`(?:fcnbench )([a-z]+)|^    fcnbench ([a-z]+)", PAGE, re.M)
    assert {first or second for first, second in named} <= set(commands)


def test_files_that_workflows_name_exist() -> None:
    assert (REPOSITORY / ".ci/run").is_file()
    for line in (REPOSITORY / "tests/quick.txt").read_text().splitlines():
        assert (REPOSITORY / line).exists(), line
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in WORKFLOWS:
        for script in scripts(path):
            for extra in re.findall(r"pip install (?:-e )?\"\.\[(\w+)\]\"", script):
                assert extra in extras


def test_the_page_names_every_workflow_job_and_right() -> None:
    for path in WORKFLOWS:
        (row,) = re.findall(rf"^\| \[{path.name}\].*$", PAGE, re.M)
        assert re.search(rf"^\| {path.name} \| .*not run yet", PAGE, re.M)
        for name, job in jobs(path).items():
            assert len(jobs(path)) == 1 or f"`{name}`" in row
            for right, level in job["permissions"].items():
                assert f"`{right}: {level}`" in row
    assert set(re.findall(r"workflows/(\w+\.yml)\)", PAGE)) == {path.name for path in WORKFLOWS}


def run_job(name: str, job: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a job's `fcnbench` scripts as a runner would, up to the first that fails; nothing is installed."""
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin/fcnbench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fcnbench "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    scripts = [step["run"] for step in jobs(REPOSITORY / ".github/workflows" / name)[job]["steps"] if "run" in step]
    for script in scripts:
        if "pip install" not in script:
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
            done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                break
    return done


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's scripts are bash")
def test_sound_submissions_pass_and_a_better_number_fails_with_its_reason(tmp_path: Path) -> None:
    for folder in ("submissions", "leaderboards"):
        shutil.copytree(REPOSITORY / folder, tmp_path / "proposed" / folder)
    done = run_job("submissions.yml", "verify", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "every board is what the records give" in (tmp_path / "verdict.md").read_text()
    (record,) = (tmp_path / "proposed/submissions/fcn8s-pocket/pocket").glob("*/record.json")
    better = record.read_text().replace('"mean_iu": 0.9189', '"mean_iu": 0.9289')
    assert better != record.read_text()
    record.write_text(better)
    done = run_job("submissions.yml", "verify", tmp_path)
    assert done.returncode == 1
    assert re.search(r"record \|.*mean_iu", (tmp_path / "verdict.md").read_text())
    assert (tmp_path / "summary.md").read_text().endswith((tmp_path / "verdict.md").read_text())


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's scripts are bash")
def test_the_site_is_written_where_the_workflow_takes_it_from(tmp_path: Path) -> None:
    for folder in ("submissions", "leaderboards"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    done = run_job("pages.yml", "build", tmp_path)
    assert done.returncode == 0, done.stderr
    (upload,) = [step for step in jobs(REPOSITORY / ".github/workflows/pages.yml")["build"]["steps"] if "with" in step][
        2:
    ]
    assert (tmp_path / upload["with"]["path"] / "index.html").is_file()


def test_zizmor_finds_nothing() -> None:
    beside = Path(sys.executable).with_name("zizmor")
    zizmor = str(beside) if beside.is_file() else shutil.which("zizmor")
    if zizmor is None:
        pytest.skip("zizmor is not installed: it comes with the extra test")
    command = [zizmor, "--offline", "--no-progress", ".", str(EXAMPLE)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_citation_names_both_papers_and_this_version() -> None:
    from fcnbench import __version__

    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    dois = {paper["doi"] for paper in citation["references"]}
    assert dois == {"10.1109/CVPR.2015.7298965", "10.1109/TPAMI.2016.2572683"}
