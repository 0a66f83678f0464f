"""Whatever can take seconds shows how far it is: here every line is written at once, since the interval is 0."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fcnbench.cli.main import main
from fcnbench.util import console, digests
from tests.conftest import MODELS, record_of

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LINE_INTERVAL", 0)


def lines(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The beginnings of what was written, up to the rate."""
    return {line.partition(",")[0] for line in capsys.readouterr().err.splitlines()}


def test_boards_submissions_and_intervals(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(runs / "submissions"), "--dry"]) == 0
    assert {"verify: 1 of 2 submissions", "bootstrap: 256 of 10000 draws"} <= lines(capsys)
    assert main(["board", "build", "--board", str(runs)]) == 0
    assert {"read records: 2 of 2 records", "board of pocket: 1 of 2 records"} <= lines(capsys)
    assert main(["board", "html", "--board", str(runs), "--output", str(runs / "site")]) == 0
    assert {"read records: 1 of 2 records", "write pages: 1 of 2 pages"} <= lines(capsys)


def test_predictions(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = [str(runs / "predictions" / name) for name in MODELS]
    records = [str(record_of(runs, name)) for name in MODELS]
    assert main(["score", "--predictions", maps[0], "--board", str(runs / "other")]) == 0
    assert f"score {MODELS[0]} on pocket: 1 of 64 images" in lines(capsys)
    assert main(["compare", *records, "--predictions", *maps]) == 0
    assert "compare predictions: 1 of 64 images" in lines(capsys)
    report = ["report", records[0], "--predictions", maps[0], "--output", str(runs / "r.html"), "--examples", "2"]
    assert main(report) == 0
    assert "draw examples: 4 of 4 images" in lines(capsys)


def test_runs_sweeps_and_what_a_doctor_looks_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "two.toml"
    sweep.write_text(
        'models = ["oracle-perfect", "oracle-constant"]\ndatasets = ["pocket"]\n[options]\nlimit = 3\n', "utf-8"
    )
    assert main(["run", "--sweep", str(sweep), "--board", str(tmp_path)]) == 0
    printed = lines(capsys)
    assert {"canonicalise pocket: 1 of 64 images", "oracle-perfect on pocket: 2 of 3 images"} <= printed
    assert "sweep two: 1 of 2 cells" in printed
    assert main(["doctor", "pocket"]) == 0
    assert "read pocket: 1 of 64 images" in lines(capsys)
    assert main(["doctor", "--model", "oracle-perfect"]) == 0
    assert "examine oracle-perfect: 1 check" in lines(capsys)
    assert main(["export", "pocket", "--to", "hf", "--output", str(tmp_path / "hf")]) == 0
    assert any(line.startswith("export pocket: ") and line.endswith(" MB") for line in lines(capsys))


def test_timing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--model", "fcn32s-pocket", "--trials", "2", "--seconds", "0", "--board", str(tmp_path)]
    assert main(arguments) == 0
    expected = {"warm up: 3 of 3 passes", "forward at 500x500: 1 of 2 passes", "parts: 5 of 5 trials"}
    assert expected <= lines(capsys)


def test_archives(
    make_voc: Make,
    voc_ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = tmp_path / "voc.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(make_voc(voc_ids), "voc")
    assert main(["fetch", "voc2011val", "--from", str(archive), "--allow-partial"]) == 0
    printed = lines(capsys)
    assert any(line.startswith("list voc.tar.gz: ") for line in printed)
    assert {"unpack voc.tar.gz: 10 of 10 files", "canonicalise voc2011val: 5 of 5 images"} <= printed
    assert any(line.startswith("check voc.tar.gz: ") for line in printed)
    monkeypatch.setattr(digests, "_LARGE", 0)
    digests.digest_file(archive)
    assert any(line.startswith("check voc.tar.gz: ") for line in lines(capsys))
