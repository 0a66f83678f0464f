"""Settings: the command line, then the environment, then `pyproject.toml`, then the default; mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.cli.main import main, parse
from fcnbench.cli.settings import settings_of
from fcnbench.errors import UsageError
from fcnbench.options import COMMANDS


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def project(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / "pyproject.toml"
    path.write_text(text)
    return path


def values(command: str, **environment: str) -> dict[str, Any]:
    return {setting.option.name: setting.value for setting in settings_of(command, environment)}


def test_the_command_line_comes_before_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(["run"]).device == "auto"
    project('[tool.fcnbench]\ndevice = "cuda:7"\n')
    assert parse(["run"]).device == "cuda:7"
    project('[tool.fcnbench]\ndevice = "cuda:7"\n[tool.fcnbench.run]\ndevice = "cuda:2"\n')
    assert (parse(["run"]).device, parse(["bench", "--model", "x"]).device) == ("cuda:2", "cuda:7")
    monkeypatch.setenv("FCNBENCH_RUN_DEVICE", "cuda:1")
    assert (parse(["run"]).device, parse(["bench", "--model", "x"]).device) == ("cuda:1", "cuda:7")
    said = parse(["run", "--device", "cpu"])
    assert (said.device, said.settings) == ("cpu", [])
    (setting,) = parse(["run"]).settings
    assert setting.describe() == "device = cuda:1 (FCNBENCH_RUN_DEVICE)"


def test_the_nearest_file_is_read_and_its_paths_start_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[tool.fcnbench]\nboard = "boards"\n[tool.fcnbench.run]\nmodel = "nets.py:build"\nweights = "random:0"\n'
    project(text, tmp_path)
    assert values("run") == {
        "board": str(tmp_path / "boards"),
        "model": str(tmp_path / "nets.py:build"),
        "weights": "random:0",
    }
    monkeypatch.chdir(tmp_path)
    assert values("run") == {"board": "boards", "model": "nets.py:build", "weights": "random:0"}
    monkeypatch.chdir(tmp_path / "work")
    project("[project]\nname = 'fcnbench-user'\n")
    assert values("run") == {}


def test_a_model_in_a_file_and_a_run_start_at_the_files_folder(tmp_path: Path) -> None:
    project('[tool.fcnbench.run]\nmodel = "onnx:nets/a.onnx"\n[tool.fcnbench.check]\nbaseline = "runs/one"\n', tmp_path)
    assert values("run") == {"model": f"onnx:{tmp_path / 'nets/a.onnx'}"}
    assert values("check") == {"baseline": str(tmp_path / "runs/one")}
    project('[tool.fcnbench.run]\nmodel = "hf:org/name"\n', tmp_path)
    assert values("run") == {"model": "hf:org/name"}


def test_an_older_variable_comes_before_the_file_and_after_the_commands_own(monkeypatch: pytest.MonkeyPatch) -> None:
    project('[tool.fcnbench.run]\nboard = "file"\n')
    assert values("run") == {"board": "file"}
    assert values("run", FCNBENCH_BOARD="old") == {}  # what files the record reads the variable
    assert values("run", FCNBENCH_BOARD="old", FCNBENCH_RUN_BOARD="own") == {"board": "own"}


def test_values_of_every_kind_are_read() -> None:
    found = values(
        "run", FCNBENCH_RUN_LIMIT="3", FCNBENCH_RUN_MARGINS="yes", FCNBENCH_RUN_FAST="off", FCNBENCH_RUN_COMPILE="1",
        FCNBENCH_RUN_FROM="a.zip", FCNBENCH_RUN_PRECISION="bf16", FCNBENCH_RUN_DEVICE="",
    )  # fmt: skip
    assert found == {
        "limit": 3, "margins": True, "fast": False, "compiled": True, "from_": "a.zip", "precision": "bf16",
    }  # fmt: skip
    assert values("check", FCNBENCH_CHECK_TOLERANCE="1e-3") == {"tolerance": 0.001}
    assert values("score", FCNBENCH_SCORE_TRAIN_SPLIT="a,b") == {"train_splits": ("a", "b")}
    assert values("verify", FCNBENCH_VERIFY_DRY="1") == {"write": False}
    project('[tool.fcnbench.score]\ntrain-split = ["a"]\nallow-partial = true\n')
    assert values("score") == {"train_splits": ("a",), "allow_partial": True}


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("[tool.fcnbench.run]\nlimits = 3", "limits in [tool.fcnbench.run] of ", "did you mean limit?"),
        ("[tool.fcnbench.run]\nlimit = '3'", "limit in [tool.fcnbench.run] of ", "write a whole number"),
        ("[tool.fcnbench.run]\nlimit = true", "is True, expected a whole number", "write a whole number"),
        ("[tool.fcnbench.run]\nmargins = 1", "is 1, expected true or false", "write true or false"),
        ("[tool.fcnbench.run]\nprecision = 'fp61'", "expected one of fp32, tf32", "did you mean fp16?"),
        ("[tool.fcnbench.run]\njson = true", "json in [tool.fcnbench.run] of ", "known: "),
        ("[tool.fcnbench.run]\naccept_terms = true", "a file can't accept terms", "--accept-terms"),
        ("[tool.fcnbench]\ndevise = 'cpu'", "devise in [tool.fcnbench] of ", "did you mean device?"),
        ("[tool.fcnbench]\nlimit = 3", "limit in [tool.fcnbench] of ", ""),
        ("[tool.fcnbench]\ndevice = 3", "is 3, expected text", "write text"),
        ("[tool.fcnbench.runn]\nlimit = 3", "is not the table of a command", "did you mean [tool.fcnbench.run]?"),
        ("[tool.fcnbench.verify]\nrerun = true", "verify takes no settings from a file", "command line"),
        ("[tool]\nfcnbench = 3", "is 3, expected a table", "write [tool.fcnbench]"),
        ("[tool.fcnbench\n", "can't be read", "correct the file"),
    ],
)
def test_a_mistake_in_the_file_names_file_option_and_what_was_expected(
    text: str, says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project(text)
    with pytest.raises(UsageError) as caught:
        settings_of("run", {})
    assert says in caught.value.message
    assert str(path) in caught.value.message
    assert hint in caught.value.hint
    assert main(["run"]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "says", "hint"),
    [
        ("FCNBENCH_RUN_DEVISE", "cpu", "FCNBENCH_RUN_DEVISE is unknown", "did you mean FCNBENCH_RUN_DEVICE?"),
        ("FCNBENCH_RUN_XYZZY", "1", "FCNBENCH_RUN_XYZZY is unknown", "known: "),
        ("FCNBENCH_RUNN_DEVICE", "cpu", "FCNBENCH_RUNN_DEVICE is unknown", "did you mean FCNBENCH_RUN_DEVICE?"),
        ("FCNBENCH_OFLINE", "1", "FCNBENCH_OFLINE is unknown", "did you mean FCNBENCH_OFFLINE?"),
        ("FCNBENCH_RUN_LIMIT", "many", "FCNBENCH_RUN_LIMIT is 'many', expected a whole number", "whole number"),
        ("FCNBENCH_RUN_MARGINS", "perhaps", "expected true or false", "true or false"),
        ("FCNBENCH_RUN_JSON", "1", "FCNBENCH_RUN_JSON is unknown", ""),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    name: str, value: str, says: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of("run", {name: value})
    assert says in caught.value.message
    assert hint in caught.value.hint
    monkeypatch.setenv(name, value)
    assert main(["run"]) == 2
    assert says in capsys.readouterr().err


def test_a_value_out_of_range_is_refused_like_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FCNBENCH_RUN_LIMIT", "0")
    assert main(["run"]) == 2
    assert "FCNBENCH_RUN_LIMIT = 0: at least one image must be scored" in capsys.readouterr().err


def test_other_variables_are_left_alone() -> None:
    others = {"HOME": "x", "PATIENCE": "3", "CHECK_BUDGET": "x", "MY_OWN_THING": "1"}
    assert values("run", **{f"FCNBENCH_{name}": value for name, value in others.items()}) == {}
    assert values("run", FCNBENCH_BOARD_DATASET="pocket") == {}
    assert values("board", FCNBENCH_BOARD_DATASET="pocket") == {"dataset": "pocket"}


def test_a_required_option_may_be_a_setting_and_a_flag_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    project('[tool.fcnbench.check]\nbaseline = "record.json"\n[tool.fcnbench.run]\nmargins = true\n')
    assert parse(["check"]).baseline == "record.json"
    assert parse(["run"]).margins
    assert not parse(["run", "--no-margins"]).margins
    monkeypatch.setenv("FCNBENCH_VERIFY_DRY", "1")
    assert not parse(["verify", "x"]).write
    assert parse(["verify", "x", "--no-dry"]).write
    project("")
    with pytest.raises(UsageError, match="--baseline"):
        parse(["check"])
    with pytest.raises(UsageError, match="no option --no-margins"):
        parse(["run", "--no-margins"])


@pytest.mark.parametrize(
    ("variable", "call"),
    [
        ("FCNBENCH_COMPARE_LENS", ["compare", "a", "b"]),
        ("FCNBENCH_RUN_SWEEP", ["run", "--limit", "1"]),
        ("FCNBENCH_RUN_DRY_RUN", ["run"]),
        ("FCNBENCH_CHECK_RECORD", ["check", "--baseline", "a"]),
        ("FCNBENCH_SCORE_RECORD", ["score", "--predictions", "a"]),
    ],
)
def test_what_one_call_works_on_is_no_setting(variable: str, call: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UsageError, match=f"the environment variable {variable} is unknown"):
        parse(call)


@pytest.mark.parametrize("beside", [["--trimap"], ["--dataset", "pocket"], ["--classes"]])
def test_a_record_is_recomputed_without_other_options(
    beside: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["score", "--record", "nowhere", *beside]) == 2
    assert f"--record recomputes a record, without {beside[0]}" in capsys.readouterr().err
    # A setting is for the calls that use it.
    monkeypatch.setenv("FCNBENCH_SCORE_TRIMAP", "1")
    assert main(["score", "--record", "nowhere"]) == 3


def test_help_reads_no_setting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    project("[tool.fcnbench\n")
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "(default: auto)" in capsys.readouterr().out


def test_the_python_functions_read_no_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project("[tool.fcnbench.run]\nlimit = 3\n")
    monkeypatch.setenv("FCNBENCH_RUN_LIMIT", "2")
    assert fcnbench.run(limit=1, trials=0, board=tmp_path).record.protocol.count == "1/64"
    assert fcnbench.plan().dataset == "pocket"


def test_a_run_names_its_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FCNBENCH_RUN_LIMIT", "1")
    project("[tool.fcnbench.run]\ntrials = 0\n")
    assert main(["run", "--board", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "PARTIAL: 1/64 images" in captured.out
    for setting in ("trials = 0 (pyproject.toml, tool.fcnbench.run.trials)", "limit = 1 (FCNBENCH_RUN_LIMIT)"):
        assert setting in captured.err


def test_a_sweep_says_which_settings_it_does_not_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.toml").write_text('models = ["fcn8s-pocket"]\ndatasets = ["pocket"]\n[options]\nlimit = 1\n')
    monkeypatch.setenv("FCNBENCH_RUN_LIMIT", "2")
    assert main(["run", "--sweep", "s.toml", "--board", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "1/64" in captured.out
    assert "a sweep does not use limit = 2 (FCNBENCH_RUN_LIMIT): put it into the file" in captured.err


def test_doctor_lists_settings_and_mistakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project("[tool.fcnbench.run]\nlimit = 3\n")
    monkeypatch.setenv("FCNBENCH_BENCH_TRIALS", "many")
    assert main(["doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    found = {finding["subject"]: finding for finding in findings}
    assert found["settings of run"]["text"] == "limit = 3 (pyproject.toml, tool.fcnbench.run.limit)"
    assert not found["settings of bench"]["sound"]
    assert "FCNBENCH_BENCH_TRIALS" in found["settings of bench"]["text"]
    assert {name for name in found if name.startswith("settings")} == {"settings of run", "settings of bench"}
    assert {finding["text"] for finding in findings if finding["subject"] == "environment"} == {
        f"FCNBENCH_HOME = {tmp_path / 'home'}", "FCNBENCH_OFFLINE = 1",
    }  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_options_and_names(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="shtab is not installed: it comes with the extra completion")
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", shell])
    assert caught.value.code == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, "--save-predictions", "fcn8s-pocket", "voc2011val"):
        assert word in script, word
    assert "single-stream throughput" in script
    if shell == "bash":
        assert "_print_completion_choices=(bash zsh tcsh)" in script


def test_completion_of_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--print-completion"], ["--print-completion", "fish"], ["--print-completion=fish"]):
        assert main(arguments) == 2
        assert "bash, zsh, tcsh" in capsys.readouterr().err


def test_completion_without_shtab_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 2
    assert "fcnbench[completion]" in capsys.readouterr().err
