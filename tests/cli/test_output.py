"""`--json` is one JSON object, whatever prints: Python, C libraries, child processes, exit handlers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcnbench.cli.main import main
from fcnbench.cli.output import print_json, reserved_for_json
from tests.conftest import REPOSITORY

NET = """
import atexit, ctypes, os, subprocess, sys
import torch

c = ctypes.CDLL(None)
atexit.register(lambda: print("at exit"))
print("import")


class Net:
    num_classes = 8

    def prepare(self, image):
        print("prepare")
        return torch.from_numpy(image.copy()).permute(2, 0, 1).float()

    def logits(self, batch):
        c.printf(b"held by C\\n")
        c.puts(b"held by C too")
        os.write(1, b"descriptor\\n")
        subprocess.run([sys.executable, "-c", "print('child')"])
        sys.__stdout__ and sys.__stdout__.write("original stream\\n")
        sys.stdout and print("python", flush=True)
        sys.stdout = open(os.devnull, "w")
        return torch.zeros(len(batch), 8, *batch.shape[2:])


def build():
    return Net()


def fails():
    print("before the error")
    raise ValueError("no")
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    """A model that prints in every way, to every place."""
    (tmp_path / "net.py").write_text(NET)
    return "net.py"


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run fcnbench in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FCNBENCH_HOME": str(tmp_path / "home")}
    line = [sys.executable, "-m", "fcnbench", *arguments]
    return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has another C library")
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--model", "net.py:build", "--limit", "1", "--json"),
        ("bench", "--model", "net.py:build", "--trials", "1", "--seconds", "0", "--json"),
        ("doctor", "--model", "net.py:build", "--json"),
        ("run", "--model", "net.py:fails", "--json"),
    ],
)
def test_standard_output_is_one_object(net: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = command(tmp_path, *arguments)
    assert done.stdout.count("\n") == 1
    content = json.loads(done.stdout)
    if "net.py:fails" in arguments:
        assert (done.returncode, content["exit_code"]) == (4, 4)
        assert "before the error" in done.stderr
    else:
        assert done.returncode == 0
        for text in ("held by C", "descriptor", "child", "python", "at exit", "original stream"):
            assert text in done.stderr


def test_help_is_an_object_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["run", "--json", "--help"])
    assert not stopped.value.code
    assert json.loads(capfd.readouterr().out)["text"].startswith("usage: fcnbench run")


@pytest.mark.parametrize("line", ["--help --json", "help --json", "--version --json"])
def test_json_where_there_is_none_is_refused_by_an_object(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    assert json.loads(capfd.readouterr().out)["exit_code"] == 2


@pytest.mark.parametrize("how", ["sys.stdout.close()", "os.close(1)", "sys.stdout = None"])
@pytest.mark.parametrize("json_too", [True, False])
def test_a_model_that_closes_standard_output_takes_no_result_along(how: str, json_too: bool, tmp_path: Path) -> None:
    text = f"import os, sys\nfrom torch import nn\n\n\ndef build():\n    {how}\n    return nn.Conv2d(3, 8, 1)\n"
    (tmp_path / "net.py").write_text(text)
    done = command(tmp_path, "run", "--model", "net.py:build", "--limit", "1", *["--json"] * json_too)
    assert "Traceback" not in done.stderr
    if json_too:
        assert "pixel_acc" in json.loads(done.stdout)["scores"]
        assert done.returncode == 0
    elif how != "os.close(1)":
        assert "pixel" in done.stdout
        assert done.returncode == 0


@pytest.mark.parametrize("kind", ["GeneratorExit()", "type('Own', (BaseException,), {})()", "SystemExit(0)"])
def test_whatever_a_factory_raises_is_reported_under_its_name(kind: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(f"def build():\n    raise {kind}\n")
    done = command(tmp_path, "run", "--model", "net.py:build", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (4, "ModelError")
    assert "Traceback" not in done.stderr


def test_an_unexpected_error_is_an_object_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ArithmeticError("a fault")

    monkeypatch.setattr("fcnbench.api.doctor.doctor", fail)
    assert main(["doctor", "--json"]) == 5
    caught = capsys.readouterr()
    content = json.loads(caught.out)
    assert content["exit_code"] == 5
    assert "unexpected ArithmeticError: a fault" in content["message"]
    assert "Traceback" in caught.err


def test_standard_output_is_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with reserved_for_json(for_good=False):
        os.write(1, b"library\n")
        print("model")  # noqa: T201 - what a model may do
        print_json({"a": 1})
    print("after", flush=True)  # noqa: T201
    os.write(1, b"later\n")
    caught = capfd.readouterr()
    assert caught.out == '{"a": 1}\nafter\nlater\n'
    assert caught.err == "library\nmodel\n"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no shell redirections here")
def test_closed_standard_output_is_no_file_of_the_run(net: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FCNBENCH_HOME": str(tmp_path / "home")}
    line = f"{sys.executable} -m fcnbench run --model net.py:build --limit 1 --board board >&-"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    for path in (tmp_path / "board").rglob("*.json"):
        assert "descriptor" not in path.read_text()
