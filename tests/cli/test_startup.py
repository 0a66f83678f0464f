"""Mistakes are found before anything heavy is imported; help, versions and suggestions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.startup import MISTAKES
from fcnbench.cli.main import main
from tests.conftest import REPOSITORY

SPECIFICATION_NEEDED = (
    "run --dataset voc2011val",
    "run --model fcn8s",
    "run --weights nowhere.pth",
    "run --device gpu",
)
"""Mistakes that depend on a dataset's classes: finding them takes numpy, and still not torch."""


def run_alone(probe: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, in a folder that is also its home."""
    return subprocess.run(
        [sys.executable, "-c", probe], cwd=folder, capture_output=True, text=True, check=False,
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY), "FCNBENCH_HOME": str(folder / "home")},
    )  # fmt: skip


def test_a_mistake_is_found_without_torch_and_mostly_without_numpy(tmp_path: Path) -> None:
    probe = (
        "import sys\n"
        "from benchmarks.startup import MISTAKES\n"
        "from fcnbench.cli.main import main\n"
        f"late = {SPECIFICATION_NEEDED!r}\n"
        "for line in sorted(MISTAKES, key=lambda line: line in late):\n"
        "    heavy = {'torch', 'pandas', 'datasets', 'scipy', 'requests'} | (set() if line in late else {'numpy'})\n"
        "    code = main(line.split())\n"
        "    assert code in (2, 3, 4), (line, code)\n"
        "    assert not heavy & set(sys.modules), (line, heavy & set(sys.modules))\n"
    )
    done = run_alone(probe, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("next: ") == len(MISTAKES)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_import_the_compiler(tmp_path: Path) -> None:
    probe = (
        "import sys\n"
        "from fcnbench.cli.main import main\n"
        "assert main(['run', '--limit', '1', '--trials', '1', '--certify', '--margins']) == 0\n"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)\n"
    )
    done = run_alone(probe, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("runn", "did you mean run?"),
        ("scor", "did you mean score?"),
        ("xyzzy", "choose one of run, score"),
        ("run --wieghts x", "did you mean --weights?"),
        ("run --weight x", "did you mean --weights?"),
        ("run --no-fsat", "did you mean --no-fast?"),
        ("run --presicion=fp32", "did you mean --precision?"),
        ("run --qqq", "`fcnbench run --help` shows what there is"),
        ("run extra", "fcnbench run does not take 'extra'"),
        ("run --precision fp31", "'fp31' is not a value of --precision\n  next: did you mean fp32?"),
        ("run --limit many", "invalid int value: 'many'"),
        ("run --model", "expected one argument"),
        ("board bild", "did you mean build?"),
        ("list modles", "did you mean models?"),
        ("help rnu", "did you mean run?"),
        ("run --model torchvison:fcn_resnet50", "did you mean torchvision:fcn_resnet50?"),
        ("run --weights fcn8s-heavy-pascl", "did you mean fcn8s-heavy-pascal?"),
        ("", "fcnbench needs a command"),
    ],
)
def test_what_was_probably_meant_is_named(line: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) in (2, 4)
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["run --mod fcn8s-pocket", "run --lim 2", "check --base x", "score --pred x", "--vers"]
)
def test_options_are_not_abbreviated(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert "no option" in capsys.readouterr().err


def test_wrong_usage_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--wieghts", "x", "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["exit_code"], said["next"]) == ("UsageError", 2, "did you mean --weights?")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-V"], "fcnbench 0."),
        (["--version"], "fcnbench 0."),
        (["help"], "exit codes:"),
        (["help", "run"], "--save-predictions"),
        (["run", "--help"], "--save-predictions"),
        (["help", "help"], "show this help"),
    ],
)
def test_help_and_version(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert text in capsys.readouterr().out
