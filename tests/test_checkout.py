"""Any checkout: the line ends of Windows, mixed ones, or byte order marks change nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fcnbench
from fcnbench.api.sweep_file import read_sweep
from fcnbench.cli.main import main
from fcnbench.datasets.splits import ListedSplit
from fcnbench.records.files import RECORD_NAME
from tests.conftest import MODELS, REPOSITORY, record_of

BINARY = (".png", ".jpg", ".npz", ".safetensors", ".parquet", ".pyc", ".mat")
MARK = b"\xef\xbb\xbf"


def crlf(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def mixed(content: bytes) -> bytes:
    """Every other line ends as on Windows."""
    return b"".join(line.replace(b"\n", b"\r\n" if i % 2 else b"\n") for i, line in enumerate(content.splitlines(True)))


def marked(content: bytes) -> bytes:
    return MARK + crlf(content)


WAYS = [crlf, mixed, marked]


def convert(folder: Path, way: Callable[[bytes], bytes]) -> Path:
    """Change all text below a folder; a mark at the beginning is nothing that Python's own files get."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in BINARY:
            content = path.read_bytes()
            assert b"\r" not in content, path
            path.write_bytes((crlf if way is marked and path.suffix == ".py" else way)(content))
    return folder


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.__name__)
def checkout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, the boards and the submissions as another checkout has them."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("fcnbench", "leaderboards", "submissions"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return convert(root, request.param)


def python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Python with the checkout's own fcnbench."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["list"], ["doctor"], ["board", "verify", "--board", "."]], ids=" ".join)
def test_the_commands_pass(checkout: Path, arguments: list[str]) -> None:
    done = python(checkout, "-m", "fcnbench", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == b""


READ = """
import json
from dataclasses import asdict
import fcnbench
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.registry import DATASETS
from fcnbench.datasets.families.nyudv2_hdf5 import map_of_894
from fcnbench.datasets.families.pascal_context import names_of_459
from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.datasets.splits import disjoint_by_definition, published_names, published_split
from fcnbench.util.digests import digest_lines
from fcnbench.models.weights.published import published
from fcnbench.pages.render import render
from fcnbench.leaderboard.claims import claims
from fcnbench.leaderboard.columns import schema_page
from fcnbench.records.files import schema

print(json.dumps({
    "splits": {name: published_split(name).digest for name in sorted(published_names())},
    "disjoint": {name: sorted(disjoint_by_definition(name)) for name in sorted(published_names())},
    "datasets": {name: [find_dataset(name).title, find_dataset(name).split.name] for name in DATASETS.entries()},
    "archives": {name: repr(archive) for name, archive in known_archives().items()},
    "weights": {name: repr(entry) for name, entry in published().items()},
    "claims": [asdict(claim) for claim in claims()],
    "894": map_of_894().tolist(),
    "459": names_of_459(),
    "schema": schema(),
    "columns": schema_page(),
    "page": render("index.html.j2", boards=[], models=[]),
}))
"""


@pytest.fixture(scope="module")
def usual() -> object:
    """What the package's own files say here."""
    return json.loads(python(REPOSITORY, "-c", READ).stdout)


def test_every_file_of_the_package_says_the_same(checkout: Path, usual: object) -> None:
    done = python(checkout, "-c", READ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == usual
    assert "\r" not in json.dumps(found)


@pytest.mark.parametrize("way", WAYS)
def test_what_users_commit_is_taken_as_it_is(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: Callable[[bytes], bytes]
) -> None:
    board = runs / "leaderboards/v1/pocket.csv"
    fcnbench.verify(runs / "submissions")
    fcnbench.board(runs)
    before = board.read_bytes()
    assert before.count(b"rescored") == 2
    for name in ("submissions", "leaderboards"):
        convert(runs / name, way)
    first, second = (str(record_of(runs, name)) for name in MODELS)
    assert main(["board", "verify", "--board", str(runs)]) == 0
    assert main(["board", "show", "--board", str(runs)]) == 0
    assert main(["board", "html", "--board", str(runs), "--output", str(tmp_path / "site")]) == 0
    assert main(["score", "--record", first]) == 0
    assert main(["compare", first, second]) == 0
    assert main(["report", first, "--output", str(tmp_path / "report.html")]) == 0
    assert main(["check", "--baseline", first, "--record", first]) == 0
    assert main(["check", "--baseline", str(board), "--model", MODELS[0], "--record", first]) == 0
    assert main(["submit", first, "--contact", "a", "--licence", "MIT", "--board", str(tmp_path / "public")]) == 0
    assert main(["verify", str(tmp_path / "public/submissions")]) == 0
    # What was verified before it was converted counts still, and the board is written as it was.
    fcnbench.board(runs)
    assert board.read_bytes() == before
    assert main(["verify", str(runs / "submissions")]) == 0
    assert "is ignored" not in capsys.readouterr().err


def test_a_record_copied_with_other_line_ends_is_a_duplicate(runs: Path) -> None:
    folder = record_of(runs, MODELS[0])
    other = shutil.copytree(folder, folder.with_name("20260101T000000Z-000000"))
    (other / RECORD_NAME).write_bytes(crlf((folder / RECORD_NAME).read_bytes()))
    found = fcnbench.verify(runs / "submissions", write=False)
    subjects = [finding.subject for each in found for finding in each.findings if not finding.sound]
    assert subjects.count("duplicate record") == 2


def test_a_changed_record_loses_its_tier_all_the_same(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fcnbench.verify(runs / "submissions")
    fcnbench.board(runs)
    path = record_of(runs, MODELS[0]) / RECORD_NAME
    path.write_bytes(path.read_bytes().replace(b'  "run"', b'   "run"', 1))
    assert main(["board", "verify", "--board", str(runs)]) == 1
    assert "is of another record" in capsys.readouterr().err


@pytest.mark.parametrize("way", WAYS)
def test_sweeps_id_lists_and_models_in_files(tmp_path: Path, way: Callable[[bytes], bytes]) -> None:
    text = b'# two\nmodels = ["oracle-perfect"]\ndatasets = ["pocket"]\n\n[options]\nlimit = 2\n'
    model = b"from torch import nn\n\ndef build():\n    return nn.Conv2d(3, 8, 1)\n"
    versions, plans = set(), set()
    for name, content in (("plain", bytes), ("changed", way)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.toml").write_bytes(content(text))
        (tmp_path / name / "net.py").write_bytes(content(model))
        plans.add(repr(read_sweep(tmp_path / name / "sweep.toml")))
        versions.add(fcnbench.run(f"{tmp_path / name / 'net.py'}:build", limit=1, board=tmp_path).record.model.version)
    assert len(plans) == 1
    assert len(versions) == 1
    assert ListedSplit("val", "val.txt", 2).read(way(b"2007_000033\n2007_000042\n"), "val.txt").ids == (
        "2007_000033",
        "2007_000042",
    )


def test_standard_output_bears_any_code_page(tmp_path: Path) -> None:
    code = (
        "from fcnbench.cli.output import print_json\n"
        "import sys; from fcnbench.cli import main as entry\n"
        "print_json({'name': 'Ağ'})\n"
        "code = entry.main(['board', 'show', '--dataset', 'ağ', '--board', '.'])\n"
        "print('ağ')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [b'{"name": "A\\u011f"}', b"a\\u011f"]


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a git checkout")
def test_git_on_windows_leaves_what_is_compared_as_it_is() -> None:
    kinds = ("txt", "json", "csv", "md", "toml", "html", "py", "j2", "png", "jpg", "npz", "safetensors", "parquet")
    names = [f"fcnbench/a.{kind}" for kind in kinds]
    attributes = subprocess.run(
        ["git", "check-attr", "text", "eol", "--", *names], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout.decode()
    found = dict(re.findall(r"^(\S+): text: (\S+)$", attributes, re.MULTILINE))
    assert {name: found[name] for name in names} == {
        name: "unset" if name.endswith(BINARY) else "set" for name in names
    }
    assert all(f"{name}: eol: lf" in attributes for name in names if not name.endswith(BINARY))
