"""Sweeps: every cell once, failures written down and not fatal, and the same command goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fcnbench
from fcnbench.api.sweep import FOLDER, Outcome
from fcnbench.api.sweep_file import Cell, Sweep
from fcnbench.cli.main import main
from fcnbench.datasets.splits import published_split
from fcnbench.errors import UsageError
from tests.conftest import REPOSITORY
from tests.datasets import native
from tests.kills import finish, kills_at_every_write

SEEDED = """
from fcnbench.models.fcn.zoo import fcn8s_pocket
{factories}
"""

PRECISIONS_TOO = """
models = ["fcn32s-pocket", "fcn8s-pocket"]
datasets = ["pocket"]
precisions = ["fp32", "bf16"]
[options]
limit = 3
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def records(board: Path) -> list[Path]:
    return sorted((board / "submissions").rglob("record.json"))


def test_every_cell_is_run_once_and_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "small.toml", PRECISIONS_TOO)
    done = fcnbench.sweep(file, board=tmp_path)
    assert [(outcome.cell.model, outcome.cell.precision) for outcome in done.outcomes] == [
        *(("fcn32s-pocket", precision) for precision in ("fp32", "bf16")),
        *(("fcn8s-pocket", precision) for precision in ("fp32", "bf16")),
    ]
    assert done.outcomes[0].cell.name == "fcn32s-pocket on pocket in fp32"
    assert done.failed == ()
    made = records(tmp_path)
    assert len(made) == 4
    for outcome in done.outcomes:
        record = done.record(outcome)
        assert record is not None
        assert (record.model.name, record.protocol.precision) == (outcome.cell.model, outcome.cell.precision)
        assert record.protocol.count == "3/64"
    again = fcnbench.sweep(file, board=tmp_path).outcomes
    assert [each.record for each in again] == [each.record for each in done.outcomes]
    assert [each.taken_over for each in again] == [True] * 4
    assert not any(each.taken_over for each in done.outcomes)
    assert records(tmp_path) == made
    (tmp_path / done.outcomes[1].record).unlink()
    fcnbench.sweep(file, board=tmp_path)
    assert len(records(tmp_path)) == 4
    assert main(["run", "--sweep", str(file), "--board", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "4 of 4 cells have a record" in printed
    assert printed.count("3/64") == 4


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff\x00", b"[" * 100_000, b'{"record": 3}', b'{"record": "a", "created": "", "identity": 3}'],
)
def test_outcomes_that_can_not_be_read_are_run_again(tmp_path: Path, content: bytes) -> None:
    file = write(tmp_path / "one.toml", 'models = ["fcn8s-pocket"]\ndatasets = ["pocket"]\n[options]\nlimit = 1\n')
    fcnbench.sweep(file, board=tmp_path)
    (path,) = (tmp_path / "sweeps").rglob("*.json")
    whole = json.loads(path.read_bytes())
    path.write_bytes(content)
    (outcome,) = fcnbench.sweep(file, board=tmp_path).outcomes
    assert (outcome.taken_over, outcome.error) == (False, None)
    for facts in ({"package ": "1"}, {"source a\0b": "1"}, {"package x": 3}, 3):
        path.write_text(json.dumps({**whole, "identity": {**whole["identity"], "facts": facts}}))
        (outcome,) = fcnbench.sweep(file, board=tmp_path).outcomes
        assert (outcome.taken_over, outcome.error) == (False, None)


def test_what_fails_is_written_down_tried_again_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write(tmp_path / "broken.py", "def build():\n    raise RuntimeError('no luck')\n")
    text = (
        f'models = ["{broken}:build", "no-such-model", "fcn32s-pocket"]\ndatasets = ["pocket"]\n[options]\nlimit = 2\n'
    )
    file = write(tmp_path / "mixed.toml", text)
    assert main(["run", "--sweep", str(file), "--board", str(tmp_path)]) == 4
    printed = capsys.readouterr().out
    assert "FAILED: ModelError: the factory of broken.py:build failed: RuntimeError: no luck" in printed
    assert "FAILED: UnknownName" in printed
    assert "1 of 3 cells have a record" in printed
    outcomes = [json.loads(path.read_text()) for path in (tmp_path / FOLDER / "mixed").glob("*.json")]
    assert sorted(outcome["error"]["exit_code"] for outcome in outcomes if outcome["error"]) == [2, 4]
    broken.write_text("from fcnbench.models.fcn.zoo import fcn32s_pocket as build\n")
    assert main(["run", "--sweep", str(file), "--board", str(tmp_path), "--json"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert content["failed"] == 1
    assert [cell["scores"] is None for cell in content["cells"]] == [False, True, False]
    assert len(records(tmp_path)) == 2


def test_ten_models_on_four_data_sets_are_one_command(tmp_path: Path, make_voc: object, voc_ids: list[str]) -> None:
    names = [f"net{seed}" for seed in range(8)]
    factory = "def net{seed}(num_classes):\n    return fcn8s_pocket('random:{seed}', num_classes)"
    code = SEEDED.format(factories="\n".join(factory.format(seed=seed) for seed in range(8)))
    nets = write(tmp_path / "nets.py", code)
    models = [*(f"{nets}:{name}" for name in names), "oracle-perfect", "oracle-constant:0"]
    sources = {
        "voc2011val": str(make_voc(voc_ids)),
        "siftflowtest": str(
            native.zipped(native.siftflow(list(published_split("siftflow-test").ids[:3])), tmp_path / "sift.zip")
        ),
        "nyudv2test": str(native.write(native.nyud(list(published_split("nyud-test").ids[:2])), tmp_path / "nyud")),
    }
    datasets = ["pocket", *sources]
    lines = [
        f"models = {json.dumps(models)}",
        f"datasets = {json.dumps(datasets)}",
        "[options]\nlimit = 2\nallow_partial = true",
        "[from]",
        *(f"{name} = {json.dumps(source)}" for name, source in sources.items()),
    ]
    done = fcnbench.sweep(write(tmp_path / "story.toml", "\n".join(lines)), board=tmp_path)
    assert len(done.outcomes) == 40
    assert [outcome.error for outcome in done.failed] == []
    assert len(records(tmp_path)) == 40


TWO_CELLS = """
models = ["oracle-perfect", "oracle-constant:0"]
datasets = ["pocket"]
[options]
limit = 1
"""


def sweep_here(folder: Path) -> None:
    """Run a sweep of two cells."""
    fcnbench.sweep(folder / "killed.toml", board=folder)


def test_a_sweep_killed_at_any_write_of_an_outcome_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tmp_path / "start"
    monkeypatch.setenv("FCNBENCH_HOME", str(start / "home"))
    fcnbench.load_dataset("pocket")
    write(start / "killed.toml", TWO_CELLS)
    found = []
    for killed in kills_at_every_write(sweep_here, start, below=(FOLDER,)):
        outcomes, first = list(killed.folder.glob(f"{FOLDER}/killed/*.json")), records(killed.folder)
        found.append((len(outcomes), len(first)))
        assert all((killed.folder / json.loads(path.read_text())["record"]).is_file() for path in outcomes)
        finish(sweep_here, killed.folder)
        again = records(killed.folder)
        assert set(first) <= set(again)
        # A cell whose outcome is there has its record already; where the kill came between the two, it gets another.
        assert len(again) == len(first) + 2 - len(outcomes)
        assert len(list(killed.folder.glob(f"{FOLDER}/killed/*.json"))) == 2
    assert found == sorted(found)
    assert set(found) >= {(0, 1), (1, 1), (1, 2), (2, 2)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = [", "can't be read"),
        ("models = []\ndatasets = ['pocket']", "names no models"),
        ("models = 'fcn8s'\ndatasets = ['pocket']", "models is 'fcn8s'"),
        ("models = ['a', 'a']\ndatasets = ['pocket']", "holds a name twice"),
        ("model = ['a']\ndatasets = ['pocket']", "did you mean models"),
        ("models = ['a']\ndatasets = ['pocket']\nprecisions = ['fp8']", "precisions: fp8 is unknown"),
        ("models = ['a']\ndatasets = ['pocket']\n[options]\nlimits = 3", "did you mean limit"),
        ("models = ['a']\ndatasets = ['pocket']\n[options]\nlimit = 'three'", "options.limit is 'three'"),
        ("models = ['a']\ndatasets = ['pocket']\n[options]\nlimit = true", "options.limit is True"),
        ("models = ['a']\ndatasets = ['pocket']\n[weights]\nb = 'x'", "weights.b is unknown"),
        ("models = ['a']\ndatasets = ['pocket']\n[weights]\na = 3", "holds something else than text"),
        ("models = ['a']\ndatasets = ['pocket']\nfrom = 'here'", "from is 'here'"),
        (f"models = ['a']\ndatasets = ['pocket']\n[options]\nlimit = {'9' * 5000}", "can't be read"),
    ],
)
def test_a_file_that_asks_for_nonsense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        fcnbench.read_sweep(write(tmp_path / "s.toml", text))
    assert said in str(caught.value)
    with pytest.raises(UsageError, match="can't be read"):
        fcnbench.read_sweep(tmp_path / "nowhere.toml")


def test_options_of_a_single_run_do_not_go_with_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "s.toml", PRECISIONS_TOO)
    for option in (["--limit", "3"], ["--model", "fcn8s"], ["--no-fast"], ["--from", "x"], ["--save-predictions", "y"]):
        assert main(["run", "--sweep", str(file), *option]) == 2
        said = f"--sweep FILE says what is run, and {option[0].replace('--no-', '--')} does too"
        assert said in capsys.readouterr().err


def test_a_cell_is_another_one_where_anything_is_otherwise() -> None:
    cell = Cell("a:b", "pocket", "fp32")
    others = [
        Cell("a-b", "pocket", "fp32"),
        Cell("a:b", "pocket", "bf16"),
        Cell("a:b", "pocket", "fp32", "random:1"),
        Cell("a:b", "pocket", "fp32", None, "/data"),
        Cell("a:b", "pocket", "fp32", options={"limit": 3}),
    ]
    assert len({cell.file, *(other.file for other in others)}) == 6
    assert cell.file == Cell("a:b", "pocket", "fp32").file


def test_one_cell_can_be_run_anywhere(tmp_path: Path) -> None:
    cell = Cell("fcn32s-pocket", "pocket", "fp32", options={"limit": 2})
    outcome = fcnbench.run_cell(Sweep("one", (cell,)), cell, board=tmp_path)
    assert isinstance(outcome, Outcome)
    assert (tmp_path / str(outcome.record)).is_file()
    again = fcnbench.run_cell(Sweep("one", (cell,)), cell, board=tmp_path)
    assert (again.record, again.created, again.taken_over) == (outcome.record, outcome.created, True)


@pytest.mark.parametrize(
    ("script", "needs", "options"),
    [("slurm_sweep.py", "submitit", ["--cluster", "local"]), ("ray_sweep.py", "ray", [])],
)
def test_the_recipes_for_clusters_work_on_this_machine(
    tmp_path: Path, script: str, needs: str, options: list[str]
) -> None:
    pytest.importorskip(needs, reason=f"{needs} is not installed")
    file = write(tmp_path / "cluster.toml", PRECISIONS_TOO)
    command = [sys.executable, str(REPOSITORY / "examples/clusters" / script), str(file), "--board", str(tmp_path)]
    done = subprocess.run(
        [*command, "--cpus", "1", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 of 4 cells have a record" in done.stdout
    assert len(records(tmp_path)) == 4
