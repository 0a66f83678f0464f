"""Terminals, pipes and disks that break, and command lines that nobody would type on purpose."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fcnbench.cli.main import main
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")

LOUD_RUN = (
    "import sys\nfrom fcnbench.util import console\nconsole.LINE_INTERVAL = 0\nfrom fcnbench.cli.main import main\n"
    "sys.exit(main(['run', '--model', 'oracle-perfect', '--limit', '4', '--json']))\n"
)
"""A run that writes a line of progress for every image, as a long one does."""


def shell(command: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FCNBENCH_HOME": str(tmp_path / "home")}
    return subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "2> >(true)"])
def test_progress_that_nobody_can_read_costs_no_result(stderr: str, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD_RUN)
    done = shell(f"{shlex.quote(sys.executable)} loud.py {stderr}", tmp_path)
    assert done.returncode == 0
    assert Path(tmp_path / json.loads(done.stdout)["record"]).is_file()


def test_the_last_words_of_a_run_that_fails_are_no_part_of_the_json(tmp_path: Path) -> None:
    done = shell(f"{shlex.quote(sys.executable)} -m fcnbench run --model nope --json 2>&-", tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == "UnknownName"


def test_standard_output_that_is_full_or_closed_is_a_sentence(tmp_path: Path) -> None:
    full = shell(f"{shlex.quote(sys.executable)} -m fcnbench list models >/dev/full", tmp_path)
    assert full.returncode == 5
    assert "standard output can't be written: No space left on device" in full.stderr
    closed = shell(f"{shlex.quote(sys.executable)} -m fcnbench list models >&-", tmp_path)
    assert closed.returncode == 0
    for done in (full, closed):
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["report", "--", "-d"], 3, "there is no record at -d"),
        (["verify", "--dry", "--", "-d"], 3, "there is no record below -d"),
        (["verify", ""], 2, "verify needs a path"),
        (["run", "--dataset", ""], 2, "no dataset is called ''"),
        (["run", "--model", ""], 2, "no model is called ''"),
        (["run", "--board", "~nobody-of-this-name/x"], 2, "begins with ~"),
        (["compare", "x" * 5000, "y"], 2, "a path is too long"),
        (["run", "--weights", "random:" + "9" * 5000], 4, "is not a seed"),
        (["run", "--dense", "shift-and-stitch:" + "9" * 5000], 2, "--dense"),
        (["run", "--dense", "shift-and-stitch:0"], 2, "--dense shift-and-stitch:0 is unknown"),
        (["run", "--model", "oracle-constant:99"], 2, "the dataset has the classes 0..7"),
        (["run", "--model", "oracle-constant:x"], 2, "a whole number 0..254 expected"),
        (["run", "--model", "nets.py"], 2, "there is no file nets.py"),
        (["run", "--model", "oracle-perfct"], 2, "did you mean oracle-perfect?"),
        (["run", "--weights", "fcn8s-heavy-pascal"], 4, "not made for fcn8s-pocket"),
        (
            ["run", "--model", "fcn16s", "--dataset", "voc2011val", "--weights", "fcn8s-heavy-pascal"],
            4,
            "--model fcn8s",
        ),
        (["check", "--baseline", "nowhere.csv"], 3, "there is no board at nowhere.csv"),
        (["doctor", "pocket", "--device", "cpu"], 2, "drop DATASET or --device"),
        (["doctor", "--report", "home"], 5, "not a regular file"),
        (["doctor", "--report", ""], 5, "names no file"),
        (["run", "--precision", "fp'33"], 2, "did you mean fp32?"),
        (["list", "modles"], 2, "did you mean models?"),
    ],
)
def test_odd_command_lines_end_with_a_sentence_and_their_code(
    arguments: list[str], code: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir(exist_ok=True)
    assert main([*arguments[:1], "--json", *arguments[1:]]) == code
    captured = capsys.readouterr()
    assert text in captured.err
    assert json.loads(captured.out)["exit_code"] == code


def test_a_board_of_a_part_alone_has_no_rows_and_nothing_is_wrong_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--model", "oracle-perfect", "--limit", "2"]) == 0
    assert main(["board", "verify"]) == 0
    capsys.readouterr()
    for action in ("build", "show", "verify"):
        assert main(["board", action]) == 0
    assert "fcnbench-results/leaderboards/v1/pocket.csv" in capsys.readouterr().out


def test_a_link_is_written_through_and_a_device_is_left_alone(tmp_path: Path) -> None:
    from fcnbench.errors import OutputError
    from fcnbench.util import files

    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        files.write_bytes(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()
