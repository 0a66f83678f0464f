"""The README and the docs tell the truth: links lead somewhere, figures are the board's, snippets run."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import build_parser, parse
from fcnbench.leaderboard.board import board_path, read_board
from fcnbench.protocol import Protocol
from tests.committed import committed
from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = [
    path
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/**/*.md")]
    if ".venv" not in path.parts
]


TOOLS = ("quick", "test", "docs")
"""Extras of tools."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_skip_table_is_the_committed_board() -> None:
    rows = set()
    for _, run in read_board(board_path(committed(), "pocket")).iterrows():
        cells = [f"{100 * run[metric]:.2f}" for metric in ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")]
        rows.add(f"| `{run['model']}` | {' | '.join(cells)} |")
    shown = [line for line in README.read_text().splitlines() if re.match(r"\| `fcn\d+s-pocket` \| \d", line)]
    assert len(shown) == 3
    assert set(shown) <= rows


def test_the_ten_line_model_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (snippet,) = re.findall(r"```python\n# examples/nets\.py\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(snippet.splitlines()) <= 10
    path = REPOSITORY / "examples/nets.py"
    assert path.read_text() == snippet
    monkeypatch.chdir(tmp_path)
    assert fcnbench.run(f"{path}:build", limit=1).record.model.name == "nets.py:build"


def test_the_signature_explained_is_the_one_that_is_printed() -> None:
    protocol = Protocol(
        dataset="voc2011val", images=736, total=736, split="sha256:4ca991bd", variant="VOC2011", labelling="",
        modality="rgb", label_space="voc21", geo="", classes=21, ignore=255, mean="gt", infer="native",
        precision="fp32",
    )  # fmt: skip
    for page in (README, REPOSITORY / "docs/protocol.md"):
        assert protocol.signature() in page.read_text()


def test_every_command_of_the_readme_exists_and_every_command_is_in_it() -> None:
    text = README.read_text()
    commands = set(re.findall(r"\| `fcnbench (\w+)` \|", text))
    assert commands == set(build_parser().commands)
    for line in re.findall(r"^(?:fcnbench|.* fcnbench) (.+)$", text.replace("\\\n", ""), re.MULTILINE):
        for words in re.split(r" && fcnbench ", line.partition("|")[0]):
            if words.split()[0] in commands and "`" not in words:
                parse(words.split())


def test_names_of_the_readme_are_registered() -> None:
    text = README.read_text()
    for listed in [*fcnbench.list_models(), *fcnbench.list_datasets()]:
        if listed.provider == "fcnbench":
            assert f"`{listed.name}`" in text


def test_doctests_of_the_docs_hold() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "doctest", str(REPOSITORY / "docs/datasets.md")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_every_public_name_is_documented_and_importable() -> None:
    assert set(fcnbench.__all__) == {"__version__", *fcnbench._PUBLIC}
    for name in fcnbench.__all__:
        value = getattr(fcnbench, name)
        assert name == "__version__" or value.__doc__
    assert "run" in dir(fcnbench)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fcnbench.nonsense


def test_the_table_of_facts_is_what_the_command_computes() -> None:
    from fcnbench.api.listing import model_facts

    page = (REPOSITORY / "docs/models.md").read_text()
    for entry in model_facts():
        cells = (
            f"`{entry.name}`",
            entry.layers,
            f"{entry.parameters:,}",
            entry.receptive_field,
            entry.stride,
            entry.paper,
        )
        assert f"| {' | '.join(map(str, cells))} |" in page


def test_every_dependency_has_its_line_in_contributing() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = {name: packages for name, packages in project["optional-dependencies"].items() if name not in TOOLS}
    needed = [*project["dependencies"], *(each for packages in extras.values() for each in packages)]
    page = (REPOSITORY / "CONTRIBUTING.md").read_text().split("## Dependencies")[1].split("\n## ")[0]
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall("`([^`]+)`", row[-3])]
    assert sorted(listed) == sorted(re.split("[>=<]", each)[0] for each in needed)
    assert {name for row in rows if len(row) == 5 for name in re.findall("`([^`]+)`", row[1])} == set(extras)


def test_functions_and_files_are_short() -> None:
    for path in [
        path for folder in ("fcnbench", "benchmarks", "tests") for path in (REPOSITORY / folder).rglob("*.py")
    ]:
        source = path.read_text()
        assert len(source.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"
