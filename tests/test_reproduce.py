"""The workflow that scores the published networks again: its own commands, run against a server of this machine.

The commands run in a copy of the checkout whose tables name this server: a split of eight images, and networks that
are narrow. Everything else is what runs on GitHub: download, canonical store, `.caffemodel`, evaluation, board.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.reproduce import METRICS, Comparison, figures, figures_of, rounded
from fcnbench.models.weights.published import published
from tests.conftest import REPOSITORY
from tests.mirrors import ARCHIVE, STRIDES, Mirrored, mirrored

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow's scripts are bash")

JOBS: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/reproduce.yml").read_text())["jobs"]


@dataclass
class Checkout:
    """A copy of the checkout, with a `python` that installs nothing, and `fcnbench` and `gh` first on PATH."""

    mirrored: Mirrored
    root: Path
    home: Path

    def job(self, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a job's scripts as a runner would, one after the other, up to the first that fails."""
        runner = {
            "PATH": f"{self.root.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
            "RUNNER_TEMP": str(self.home),
            "GITHUB_STEP_SUMMARY": str(self.home / "summary.md"),
            **variables,
        }
        environment = {key: value for key, value in os.environ.items() if key != "FCNBENCH_OFFLINE"} | runner
        for step in JOBS[name]["steps"]:
            if "run" in step:
                command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
                done = subprocess.run(
                    command, cwd=self.root, env=environment, capture_output=True, text=True, check=False, timeout=500
                )
                if done.returncode:
                    break
        return done


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    top = tmp_path / "github"
    home = top / "temp"
    home.mkdir(parents=True)
    script(top / "bin/python", f'[ "$1 $2" = "-m pip" ] && exit 0\nexec "{sys.executable}" "$@"')
    script(top / "bin/fcnbench", f'exec "{sys.executable}" -m fcnbench "$@"')
    script(top / "bin/gh", f'printf "%s\\n" "$*" >> "{top}/gh.log"')
    with mirrored(top) as made:
        yield Checkout(made, made.root, home)


def test_the_jobs_compare_propose_and_fail_as_documented(checkout: Checkout, tmp_path: Path) -> None:
    # One test, since each step needs what the one before left, and each starts four processes that import PyTorch.
    _figures_that_are_off_fail_the_job_with_a_table(checkout)
    _figures_that_agree_pass_and_the_page_names_rows_and_digests(checkout)
    _the_proposal_has_rows_and_records_and_nothing_else(checkout, tmp_path)
    _a_failed_download_ends_with_the_code_of_run(checkout, tmp_path)


def _figures_that_are_off_fail_the_job_with_a_table(checkout: Checkout) -> None:
    """The networks of this test do not have the published figures."""
    done = checkout.job("reproduce")
    assert done.returncode == 1, done.stderr
    page = (checkout.home / "summary.md").read_text()
    assert "4 of 4 networks do not agree" in page
    assert re.search(r"\| fcn8s \| fcn8s-heavy-pascal \| .* mean IU is \d+\.\d\d, published 65\.51", page)
    assert re.search(r"\| fcn16s \| .* mean IU is \d+\.\d\d, published 65\.01 or 65\.00", page)


def _figures_that_agree_pass_and_the_page_names_rows_and_digests(checkout: Checkout) -> None:
    """The table now has the figures of these networks."""
    for entry in figures():
        (record,) = (checkout.root / "submissions" / entry.model / "voc2011val").glob("*/record.json")
        scores = json.loads(record.read_text())["scores"]["gt"]
        measured = ", ".join(f"{100 * scores[name]:.4f}" for name in METRICS)
        checkout.mirrored.rewrite(
            "fcnbench/leaderboard/CLAIMS.toml", (rf'("{entry.name}", "wkentaro", )[^\]]+\]', rf"\g<1>{measured}]")
        )
    shutil.rmtree(checkout.root / "submissions")
    done = checkout.job("reproduce")
    assert done.returncode == 0, done.stderr + done.stdout
    page = (checkout.root / "reproduction.md").read_text()
    assert "All 4 networks agree" in page
    assert (checkout.home / "summary.md").read_text().endswith(page)
    for entry in figures():
        digest = hashlib.sha256((checkout.mirrored.served / entry.archive.file).read_bytes()).hexdigest()
        assert f"| {entry.archive.file} | `sha256:{digest}` |" in page
    archive = checkout.mirrored.served / ARCHIVE
    assert f"| {archive.name} | `sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}` |" in page
    assert "Images: voc2012trainval" in page
    rows = re.findall(r"^\| (fcn\S+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| fcn2\\\|data:voc2011val#8", page, re.M)
    assert set(rows) == set(STRIDES)
    with (checkout.root / "leaderboards/v1/voc2011val.csv").open(newline="") as stream:
        assert {row["model"] for row in csv.DictReader(stream) if row["record"]} == set(STRIDES)


def _the_proposal_has_rows_and_records_and_nothing_else(checkout: Checkout, tmp_path: Path) -> None:
    artifact = checkout.home / "reproduction"
    paths = next(step["with"]["path"].split() for step in JOBS["reproduce"]["steps"] if "path" in step.get("with", {}))
    for pattern in paths:
        for found in checkout.root.glob(f"{pattern}/*" if pattern.endswith("**") else pattern):
            if found.is_file():
                target = artifact / found.relative_to(checkout.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, target)
    # What a broken job could put into the artifact beside the results must not reach the repository.
    (artifact / ".github/workflows").mkdir(parents=True)
    (artifact / ".github/workflows/evil.yml").write_text("on: push")
    base = tmp_path / "base"
    (base / "submissions").mkdir(parents=True)
    (base / "leaderboards/v1").mkdir(parents=True)
    (base / "submissions/.keep").touch()
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet", "--bare", str(tmp_path / "hosted.git")], check=True)
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", "base"],
        ["remote", "add", "origin", str(tmp_path / "hosted.git")],
    ):
        subprocess.run([*git, *arguments], cwd=base, check=True)
    here = Checkout(checkout.mirrored, base, checkout.home)
    bins = base.parent / "bin"
    shutil.copytree(checkout.root.parent / "bin", bins)
    done = here.job("propose", BRANCH="reproduction/voc2011val", BASE="main", GH_TOKEN="none")
    assert done.returncode == 0, done.stderr
    show = ["git", "show", "--name-only", "--format=", "reproduction/voc2011val"]
    names = subprocess.run(show, cwd=tmp_path / "hosted.git", capture_output=True, text=True, check=True).stdout.split()
    kinds = {re.sub(r"^submissions/[^/]+/voc2011val/[^/]+/", "", name) for name in names}
    assert kinds == {"record.json", "confusion.npz", "leaderboards/v1/voc2011val.csv"}
    assert "pr create --base main --head reproduction/voc2011val" in (checkout.root.parent / "gh.log").read_text()


def _a_failed_download_ends_with_the_code_of_run(checkout: Checkout, tmp_path: Path) -> None:
    archive = checkout.mirrored.served / ARCHIVE
    archive.rename(tmp_path / archive.name)
    broken = Checkout(checkout.mirrored, checkout.root, tmp_path / "temp")
    broken.home.mkdir()
    done = broken.job("reproduce")
    shutil.move(tmp_path / archive.name, archive)
    assert done.returncode == 3, done.stderr
    assert "`fcnbench run` ended with exit code 3" in (broken.home / "summary.md").read_text()


def test_the_table_has_the_four_figures_of_the_papers_networks() -> None:
    shown = {entry.model: rounded(figures_of(entry)[2])[0] for entry in figures()}
    assert shown == {"fcn8s": "65.51", "fcn16s": "65.01", "fcn32s": "63.63", "fcn8s-atonce": "65.40"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ((0, 0, 0, 0), []),
        ((0.04, -0.04, 0.002, 0.04), []),
        ((0, 0, 0.01, 0), ["mean IU is 65.52, published 65.51"]),
        ((0.06, 0, 0, 0), ["pixel acc. is 91.2812, published 91.2212, +0.0600"]),
        ((0, -0.06, 0, 0), ["mean acc. is 77.5546, published 77.6146, -0.0600"]),
        ((0, 0, 0, 1), ["f.w. IU is 85.5445, published 84.5445, +1.0000"]),
    ],
)
def test_a_figure_agrees_within_its_tolerance_and_mean_iu_to_two_decimals(
    change: tuple[float, ...], wrong: list[str]
) -> None:
    entry = published()["fcn8s-heavy-pascal"]
    found = tuple(figure + by for figure, by in zip(figures_of(entry), change, strict=True))
    assert Comparison(entry, found, None, "", 0).wrong == wrong


def test_a_figure_on_the_edge_of_rounding_may_fall_on_either_side() -> None:
    entry = published()["fcn16s-heavy-pascal"]
    for mean_iu, agrees in ((65.0049, True), (65.0051, True), (65.0151, False), (64.9949, False)):
        found = (figures_of(entry)[0], figures_of(entry)[1], mean_iu, figures_of(entry)[3])
        assert (Comparison(entry, found, None, "", 0).wrong == []) == agrees
