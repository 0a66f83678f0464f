"""The literal command: what is shown before a download, the question, the answers, and what comes of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import UsageError, WeightsError
from fcnbench.models.weights.names import default_weights
from tests.mirrors import ARCHIVE, Mirrored, mirrored

pty = pytest.importorskip("pty", reason="pseudo-terminals are Unix's")

COMMAND = ["run", "--model", "fcn8s", "--dataset", "voc2011val", "--trials", "0"]
WEIGHTS = "fcn8s-heavy-pascal.caffemodel"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    with mirrored(tmp_path_factory.mktemp("mirrored")) as made:
        yield made


def environment(served: Mirrored, tmp_path: Path) -> dict[str, str]:
    more = {"PYTHONPATH": str(served.root), "FCNBENCH_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    return {key: value for key, value in os.environ.items() if key != "FCNBENCH_OFFLINE"} | more


def typed(arguments: list[str], answer: str, served: Mirrored, tmp_path: Path) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns, and answer the question if it comes; exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fcnbench", *arguments],
        cwd=tmp_path, env=environment(served, tmp_path), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen, asked, end = "", False, time.monotonic() + 240
    with suppress(OSError):  # the other side was closed
        while time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 4096).decode()
            if "[y/N] " in seen and not asked:
                os.write(ours, answer.encode() + b"\n")
                asked = True
    os.close(ours)
    return process.wait(timeout=60), seen


def test_the_literal_command_asks_downloads_evaluates_and_files(served: Mirrored, tmp_path: Path) -> None:
    # Without a terminal nobody can be asked: the command says which option agrees.
    quiet = subprocess.run(
        [sys.executable, "-m", "fcnbench", *COMMAND, "--json"], cwd=tmp_path, env=environment(served, tmp_path),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert quiet.returncode == 3
    said = json.loads(quiet.stdout)
    assert "weights of fcn8s and dataset voc2011val must be downloaded" in said["message"]
    assert "flickr" in said["message"]
    assert "add --accept-terms if you agree" in said["next"]
    # A no, or nothing but Return, is a no.
    for answer in ("", "n"):
        code, seen = typed(COMMAND, answer, served, tmp_path)
        assert code == 3
        assert "nothing was downloaded: you did not agree" in seen
    assert not list(tmp_path.rglob("*.caffemodel*"))
    assert not (tmp_path / "fcnbench-results").exists()

    code, seen = typed(COMMAND, "y", served, tmp_path)
    assert code == 0, seen
    question = seen.partition("[y/N] ")[0]
    for text in (WEIGHTS, ARCHIVE, "http://127.0.0.1:", "BSD-2-Clause", "flickr", "2 files, about "):
        assert text in question
    assert "fcn8s on voc2011val, 8 images" in seen
    (record,) = (tmp_path / "fcnbench-results/submissions/fcn8s/voc2011val").glob("*/record.json")
    assert json.loads(record.read_text())["model"]["weights"] == "fcn8s-heavy-pascal"
    assert "\nfcn8s," in "\n" + "\n".join(
        line.partition(",")[2]
        for line in (tmp_path / "fcnbench-results/leaderboards/v1/voc2011val.csv").read_text().splitlines()
        if line.partition(",")[0] == "1"
    )

    # From then on nothing is asked or downloaded.
    code, seen = typed(COMMAND, "n", served, tmp_path)
    assert code == 0
    assert "[y/N]" not in seen


def test_a_dry_run_prints_everything_about_the_downloads_and_writes_nothing(served: Mirrored, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fcnbench", *COMMAND, "--dry-run"], cwd=tmp_path, env=environment(served, tmp_path),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    for text in (
        "fcn8s with fcn8s-heavy-pascal on voc2011val, results in fcnbench-results", "To download, 2 files, about",
        f"to     {tmp_path}/home/weights/{WEIGHTS}", f"to     {tmp_path}/home/archives/{ARCHIVE}", "sha1 ", "sha256 ",
        "terms  BSD-2-Clause", "VOCtrainval_25-May-2011.tar",
    ):  # fmt: skip
        assert text in done.stdout


def test_a_dry_run_as_json_has_sizes_addresses_and_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    weights, archive = found["downloads"]
    assert (weights["file"], weights["size"], weights["approximate_size"]) == (WEIGHTS, None, 537_959_036)
    assert weights["digests"] == {"sha1": "c449ea74dd7d83751d1357d6a8c323fcf4038962"}
    assert (archive["size"], archive["digests"]["md5"]) == (1_999_639_040, "6cd6e144f989b92b3379bac3b3de84fd")
    assert len(archive["urls"]) == 4
    assert main(["run", "--dry-run"]) == 0
    assert "nothing to download" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "dataset", "weights"),
    [
        ("fcn8s", "voc2011val", "fcn8s-heavy-pascal"),
        ("fcn16s", "voc2012val", "fcn16s-heavy-pascal"),
        ("fcn32s", "voc2011val-full", "fcn32s-heavy-pascal"),
        ("fcn8s-atonce", "sbdval", "fcn8s-atonce-pascal"),
        ("fcn-alexnet", "voc2011val", "fcn-alexnet-pascal"),
        ("fcn32s-nyud-color", "nyudv2test", "nyud-fcn32s-color-heavy"),
        ("fcn32s-nyud-hha", "nyudv2test", "nyud-fcn32s-hha-heavy"),
        ("fcn32s-nyud-color-hha", "nyudv2test", "nyud-fcn32s-color-hha-heavy"),
        ("fcn32s-siftflow", "siftflowtest", "siftflow-fcn32s-heavy"),
        ("fcn16s-siftflow", "siftflowtest", "siftflow-fcn16s-heavy"),
        ("fcn8s-siftflow", "siftflowtest", "siftflow-fcn8s-heavy"),
        ("fcn32s", "pascalcontext59val", "pascalcontext-fcn32s-heavy"),
        ("fcn16s", "pascalcontext59val", "pascalcontext-fcn16s-heavy"),
        ("fcn8s", "pascalcontext59val", "pascalcontext-fcn8s-heavy"),
        ("fcn8s-pocket", "pocket", None),
        (None, "pocket-train", None),
    ],
)
def test_each_network_takes_its_own_published_weights(model: str | None, dataset: str, weights: str | None) -> None:
    found = fcnbench.plan(model, dataset)
    assert found.weights == weights
    assert [each.purpose for each in found.downloads if each.purpose.startswith("weights")] == (
        [f"weights of {model}"] if weights else []
    )


@pytest.mark.parametrize(
    ("model", "dataset"),
    [
        ("fcn8s", "pocket"),
        # As many classes, and others.
        ("fcn8s-siftflow", "pascalcontext33val"),
        ("fcn8s-pocket", "voc2011val"),
        # Nobody published any.
        ("fcn-googlenet", "voc2011val"),
        ("fcn32s-fixed", "voc2011val"),
        ("fcn16s-nyud-color-hha", "nyudv2test"),
    ],
)
def test_weights_for_other_classes_are_never_taken(model: str, dataset: str) -> None:
    with pytest.raises(WeightsError) as caught:
        fcnbench.plan(model, dataset)
    assert "--weights" in caught.value.hint


def test_a_dataset_without_a_model_says_that_a_model_is_needed() -> None:
    with pytest.raises(UsageError, match="voc2011val needs a model: the default, fcn8s-pocket, knows") as caught:
        fcnbench.plan(None, "voc2011val")
    assert "--model" in caught.value.hint
    assert "fcn8s" in caught.value.hint


def test_weights_that_one_agreed_to_are_asked_for_again_under_other_terms(
    served: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from fcnbench.errors import DataMissing
    from fcnbench.util.consent import Download, require_consent

    monkeypatch.delenv("FCNBENCH_OFFLINE")
    archive = default_weights("fcn8s", 21).archive
    require_consent([Download(archive, tmp_path, "it", "")], accept_terms=True)
    require_consent([Download(archive, tmp_path, "it", "")], accept_terms=False)
    with pytest.raises(DataMissing, match="not accepted yet"):
        require_consent([Download(replace(archive, terms="others"), tmp_path, "it", "")], accept_terms=False)


def test_agreements_of_processes_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fcnbench.models.weights.published import published

    monkeypatch.delenv("FCNBENCH_OFFLINE")
    names = list(published())[:6]
    script = (
        "import sys\nfrom fcnbench.util.consent import require_consent\n"
        "from fcnbench.models.weights.published import missing_weights, published\n"
        "sys.stdin.read(1)\nrequire_consent(missing_weights(published()[sys.argv[1]]), True)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, name], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for name in names
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()  # all of them go on at once
    assert [process.wait(timeout=120) for process in started] == [0] * len(names)
    assert set(json.loads((tmp_path / "home/consent.json").read_text())) == set(names)


def test_consent_holds_for_networks_that_a_users_file_builds_on(served: Mirrored, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from fcnbench.models.fcn.zoo import fcn16s\n\n\ndef build():\n    return fcn16s()\n"
    )
    command = ["run", "--model", "mine.py:build", "--dataset", "voc2011val", "--limit", "1", "--accept-terms"]
    done = subprocess.run(
        [sys.executable, "-m", "fcnbench", *command], cwd=tmp_path, env=environment(served, tmp_path),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "home/weights/fcn16s-heavy-pascal.safetensors").is_file()


def test_another_file_under_the_name_of_published_weights_is_refused(
    served: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home/weights"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is not the published file: sha1") as caught:
        fcnbench.load_model("fcn8s")
    assert f"delete {folder / WEIGHTS}" in caught.value.hint
    (folder / WEIGHTS).unlink()
    (folder / "fcn8s-heavy-pascal.safetensors").write_bytes(b"cut")
    with pytest.raises(WeightsError, match="can't be read as weights") as caught:
        fcnbench.load_model("fcn8s")
    assert "fcn8s-heavy-pascal.safetensors" in caught.value.hint
