"""The command line: what a person types, sees, and what a script reads."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import main

Make = Callable[..., Path]


def fresh(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fcnbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from fcnbench.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'datasets', 'numpy', 'pyarrow', 'PIL'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "130 interrupted" in result.stdout


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["list", "models"]])
def test_list_imports_no_torch(arguments: list[str]) -> None:
    code = f"import sys; from fcnbench.cli.main import main; main({arguments!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_reading_results_imports_no_torch() -> None:
    code = (
        "import sys, pkgutil, importlib, fcnbench\n"
        "for layer in ('util', 'metrics', 'datasets', 'records', 'comparison', 'leaderboard', 'pages'):\n"
        "    package = importlib.import_module(f'fcnbench.{layer}')\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "fcnbench.load_dataset('pocket')[0]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_run_in_a_terminal_says_everything(tmp_path: Path) -> None:
    result = fresh("run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for text in (
        "fcn8s-pocket on pocket, 64 images", "pixel acc.", "mean acc.", "mean IU", "f.w. IU",
        "signature  fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32",
        "decode", "forward", "images/s",
        "forward at 500x500, batch 1: median", "over 20 trials", "record  ", "board   ",
    ):  # fmt: skip
        assert text in result.stdout
    results = tmp_path / "fcnbench-results"
    assert {path.name for path in tmp_path.iterdir()} == {results.name, "home"}
    assert "fcn8s-pocket" in (results / "leaderboards/v1/pocket.csv").read_text()
    # Every file that was written is named.
    written = {path.relative_to(tmp_path).as_posix() for path in results.rglob("*") if path.is_file()}
    assert {path for path in written if path in result.stdout} == written - {"fcnbench-results/.gitignore"}
    assert str(tmp_path / "home/stores/pocket") in result.stderr


def test_json_is_one_object_with_the_promised_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--limit", "2", "--json", "--board", str(tmp_path)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {
        "model", "dataset", "signature", "images", "partial", "scores", "per_class", "timing", "record",
    } <= content.keys()  # fmt: skip
    assert list(content["scores"]) == ["pixel_acc", "mean_acc", "mean_iu", "fw_iu", "mean_iu_nobg"]
    assert all(0 <= value <= 1 for value in content["scores"].values())
    assert (content["images"], content["partial"], content["board"]) == (2, True, None)
    assert Path(content["record"]).is_file()


def test_what_a_model_prints_stays_out_of_the_json(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from fcnbench.models.fcn.zoo import fcn8s_pocket\nprint('imported')\n"
        "def build(num_classes):\n    print('built')\n    return fcn8s_pocket(num_classes=num_classes)\n"
    )
    result = fresh("run", "--model", "loud.py:build", "--limit", "1", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["images"] == 1
    assert "imported\nbuilt" in result.stderr


def test_partial_results_say_so(make_voc: Make, voc_ids: list[str], tmp_path: Path) -> None:
    result = fresh(
        "run", "--model", "fcn32s", "--weights", "random:0", "--dataset", "voc2011val", "--from",
        str(make_voc(voc_ids)), "--allow-partial", "--limit", "1", "--board", str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "PARTIAL: 1/736 images" in result.stdout
    assert "voc2011val#1/736" in result.stdout
    assert "none: a part of a split enters no board" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "--model", "fcn8"], 2, "did you mean fcn8s"),
        (["run", "--dataset", "pockets"], 2, "did you mean pocket"),
        (["run", "--limit", "0"], 2, "at least one image"),
        (["run", "--trials", "-1"], 2, "is negative"),
        (["run", "--device", "cuda:99"], 2, "--device cuda:99 can't be used here"),
        (["run", "--dataset", "pocket", "--from", "."], 2, "drop --from"),
        (["run", "--model", "fcn8s", "--weights", "random:0", "--dataset", "voc2011val"], 3, "--from PATH"),
        (["run", "--model", "fcn8s"], 4, "fcn8s needs weights, and those published for it are for"),
        (["run", "--dataset", "voc2011val"], 2, "voc2011val needs a model"),
        (["run", "--device", "gpu"], 2, "--device gpu"),
        (["run", "--model", "fcn8s-pocket", "--weights", "nowhere.pth"], 4, "there is no weights file"),
        (["run", "--board", "/dev/null/x"], 5, "cannot write"),
        (["board"], 3, "there is no folder fcnbench-results"),
    ],
)
def test_errors_are_a_sentence_a_next_step_and_a_documented_code(
    arguments: list[str], code: int, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--json"]) == code
    captured = capsys.readouterr()
    assert text in captured.err
    assert "next: " in captured.err
    assert "Traceback" not in captured.err
    content = json.loads(captured.out)
    assert content["exit_code"] == code
    assert content["message"] in captured.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def test_wrong_options_are_wrong_usage() -> None:
    for arguments in (["run", "--nonsense"], ["nonsense"], [], ["run", "--limit", "many"]):
        assert main(arguments) == 2


def test_list_names_models_and_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {"fcn8s-pocket", "fcn8s", "fcn16s", "fcn32s"} <= {entry["name"] for entry in content["models"]}
    assert {"pocket", "voc2011val"} <= {entry["name"] for entry in content["datasets"]}
    assert main(["list", "datasets"]) == 0
    shown = capsys.readouterr().out
    assert "voc2011val" in shown
    assert "fcn8s" not in shown
    assert main(["list", "datasets", "--verbose"]) == 2
    assert "list models --verbose" in capsys.readouterr().err


def plugin(folder: Path, entry_points: str, module: str) -> Path:
    """An installed distribution with entry points, as pip leaves it."""
    information = folder / "some_plugin-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    (folder / "some_plugin.py").write_text(module)
    return folder


def test_a_broken_plugin_is_skipped_named_and_listed_by_doctor(tmp_path: Path) -> None:
    site = plugin(
        tmp_path / "site", "[fcnbench.models]\nbad = some_plugin:build\n", "raise ImportError('no such wheel')"
    )
    path = {"PYTHONPATH": str(site)}
    work = fresh("run", "--limit", "1", "--json", cwd=tmp_path, **path)
    assert work.returncode == 0, work.stderr
    asked = fresh("run", "--model", "bad", cwd=tmp_path, **path)
    assert asked.returncode == 4
    assert "'bad' of package some-plugin 1.0" in asked.stderr
    assert "ImportError: no such wheel" in asked.stderr
    seen = fresh("doctor", **path)
    assert seen.returncode == 1
    assert "BROKEN  model bad: " in seen.stdout


def test_a_registered_dataset_runs(tmp_path: Path) -> None:
    site = plugin(
        tmp_path / "site",
        "[fcnbench.datasets]\ntiny = some_plugin:TINY\npinned = some_plugin:PINNED\nwrong = some_plugin:WRONG\n",
        "from dataclasses import replace\n"
        "from fcnbench.datasets.families.pocket.family import POCKET_VAL\n"
        "from fcnbench.datasets.splits import Split\n"
        "PINNED = replace(POCKET_VAL, name='pinned', split=Split('pocket-val', POCKET_VAL.split.ids[:2]))\n"
        "TINY = replace(PINNED, name='tiny', fingerprint=None)\n"
        "WRONG = 3\n",
    )
    work = fresh("run", "--dataset", "tiny", "--trials", "0", "--json", cwd=tmp_path, PYTHONPATH=str(site))
    assert work.returncode == 0, work.stderr
    assert json.loads(work.stdout)["signature"].startswith("fcn2|data:tiny#2|classes:8|")
    # Two generated images are not the 64 whose fingerprint is pinned.
    other = fresh("run", "--dataset", "pinned", cwd=tmp_path, PYTHONPATH=str(site))
    assert other.returncode == 3
    assert "pinned has the fingerprint" in other.stderr
    wrong = fresh("run", "--dataset", "wrong", cwd=tmp_path, PYTHONPATH=str(site))
    assert wrong.returncode == 3
    assert "is of type int" in wrong.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m fcnbench list; echo code $? >&2"
    result = subprocess.run(["bash", "-c", f"({command}) | head -c 5"], capture_output=True, text=True, check=True)
    assert result.stdout == "model"
    assert result.stderr == "code 0\n"


def test_doctor_finds_this_installation_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["sound"]
    assert {"fcnbench", "home folder", "torch", "pocket"} <= {finding["subject"] for finding in content["findings"]}


def test_board_rebuilds_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fcnbench.run(board=tmp_path, trials=0)
    (tmp_path / "leaderboards/v1/pocket.csv").unlink()
    assert main(["board", "--board", str(tmp_path)]) == 0
    assert "fcn8s-pocket" in capsys.readouterr().out
    assert (tmp_path / "leaderboards/v1/pocket.csv").is_file()


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    # The first run stops at its sixth image until it is interrupted, however slow the machine is.
    slow, going = tmp_path / "slow.py", tmp_path / "going"
    slow.write_text(
        "import itertools, pathlib, time\n"
        "from fcnbench.models.fcn.zoo import fcn8s_pocket\n"
        "def build(num_classes):\n"
        "    model, turns = fcn8s_pocket(num_classes=num_classes), itertools.count()\n"
        "    def wait(*arguments):\n"
        f"        if next(turns) == 5 and not pathlib.Path({str(going)!r}).exists():\n"
        "            time.sleep(600)\n"
        "    model.module.register_forward_pre_hook(wait)\n"
        "    return model\n"
    )
    command = [sys.executable, "-m", "fcnbench", "run", "--model", f"{slow}:build", "--trials", "0", "--json"]
    # A shell that runs the tests in the background makes them ignore Ctrl-C, and what they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    journals = tmp_path / "home/journals"
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size > 1000 for path in journals.glob("*.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert json.loads(output)["error"] == "Interrupted"
    assert "of 64 images" in errors
    assert "Traceback" not in errors
    going.touch()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    content = json.loads(again.stdout)
    assert content["timing"]["resumed"] > 0
    assert content["images"] == 64
    assert content["scores"]["mean_iu"] > 0.8
    assert not list(journals.glob("*.jsonl"))


def test_pocket_scores_of_the_shipped_nets_show_that_skips_help(tmp_path: Path) -> None:
    found = {
        stride: fcnbench.run(f"fcn{stride}s-pocket", board=tmp_path, trials=0).scores["mean_iu"]
        for stride in (32, 16, 8)
    }
    # Table 2 of the paper in small; the figures of the committed board, with room for another processor's rounding.
    assert found == pytest.approx({32: 0.389483, 16: 0.787047, 8: 0.918910}, abs=2e-3)
