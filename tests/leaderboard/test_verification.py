"""Verification: every check of a record, every manipulation, and the tier that is granted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataMissing
from fcnbench.leaderboard.board import build_board, read_board
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME
from fcnbench.records.location import VERIFICATION_NAME as NAME
from fcnbench.util.digests import digest_bytes
from tests.committed import committed
from tests.conftest import record_of


def tier(runs: Path, model: str = "fcn8s-pocket") -> str:
    board = read_board(build_board(runs, "pocket")).set_index("model")
    return str(board.loc[model, "tier"])


def findings(found: Any) -> dict[str, bool]:
    return {finding.subject: finding.sound for finding in found.findings}


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads((folder / RECORD_NAME).read_text())
    change(content)
    (folder / RECORD_NAME).write_text(json.dumps(content))
    return folder


def test_verification_raises_the_tier_and_a_rerun_raises_it_further(runs: Path) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    assert tier(runs) == "reported"
    (found,) = fcnbench.verify(folder)
    assert findings(found) == dict.fromkeys(
        ["record", "classes", "split", "whole", "data", "training", "reproducibility", "place"], True
    )
    assert tier(runs) == "rescored"
    (found,) = fcnbench.verify(folder, rerun=True)
    assert found.findings[-1].subject == "rerun"
    assert tier(runs) == "rerun"


def test_a_dry_verification_writes_nothing(runs: Path) -> None:
    fcnbench.verify(runs / "submissions", write=False)
    assert not list(runs.rglob(NAME))


def test_a_record_that_changes_after_verification_falls_back(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    fcnbench.verify(folder)
    edited(folder, lambda content: content.update(created="2020-01-01T00:00:00+00:00"))
    assert tier(runs) == "reported"
    assert "is of another record" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "fcnbench.verification/1", "tier": "gold"}', "[" * 3000])
def test_an_unusable_verification_is_ignored(runs: Path, text: str) -> None:
    (record_of(runs, "fcn8s-pocket") / NAME).write_text(text)
    assert tier(runs) == "reported"


CHEATS: dict[str, Callable[[dict[str, Any]], object]] = {
    "record": lambda c: c["scores"]["gt"].update(mean_iu=0.95),
    "training": lambda c: c["leakage"].update(declared=["pocket"]),
    "place": lambda c: c["model"].update(name="somebody-elses"),
    "data": lambda c: c["data"].update(fingerprint="sha256:" + "0" * 64),
}


@pytest.mark.parametrize("subject", CHEATS)
def test_a_manipulated_record_is_named_and_stays_reported(runs: Path, subject: str) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    (found,) = fcnbench.verify(edited(folder, CHEATS[subject]))
    assert not findings(found)[subject]
    assert found.tier == "reported"
    assert json.loads((folder / NAME).read_text())["tier"] == "reported"


def test_a_changed_matrix_with_a_matching_digest_is_detected(runs: Path) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    with np.load(folder / MATRICES_NAME) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["confusion"][0, 0, 0] += 7
    np.savez_compressed(folder / MATRICES_NAME, **arrays)
    digest = digest_bytes((folder / MATRICES_NAME).read_bytes())
    (found,) = fcnbench.verify(edited(folder, lambda c: c["files"].update({MATRICES_NAME: digest})))
    assert not findings(found)["record"]


def test_another_split_under_the_same_name_is_detected(runs: Path) -> None:
    def other_split(content: dict[str, Any]) -> None:
        content["protocol"]["split"] = "sha256:" + "0" * 64
        content["signature"]["long"] = content["signature"]["long"].replace("split:115ad6212d2a", "split:000000000000")

    (found,) = fcnbench.verify(edited(record_of(runs, "fcn8s-pocket"), other_split))
    assert not findings(found)["split"]
    (record,) = (each for each in found.findings if each.subject == "record")
    assert record.text == "1 values do not follow from the matrices: protocol.split"


def test_an_unknown_dataset_is_named(runs: Path) -> None:
    def other_task(content: dict[str, Any]) -> None:
        content["protocol"]["dataset"] = "nobodys"
        for form in ("short", "long"):
            content["signature"][form] = content["signature"][form].replace("pocket#", "nobodys#")

    (found,) = fcnbench.verify(edited(record_of(runs, "fcn8s-pocket"), other_task))
    assert not findings(found)["dataset"]


def test_the_same_run_in_two_folders_is_named_in_both(runs: Path) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    shutil.copytree(folder, folder.parents[2] / "thief" / "pocket" / folder.name)
    found = {each.path.parts[-4]: each for each in fcnbench.verify(runs / "submissions")}
    assert findings(found["fcn32s-pocket"]) == findings(found["fcn32s-pocket"]) | {"record": True}
    for name in ("fcn8s-pocket", "thief"):
        assert findings(found[name])["duplicate run"] is False
        assert findings(found[name])["duplicate record"] is False
    assert not findings(found["thief"])["place"]


def test_a_model_that_drifted_does_not_earn_rerun(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = "from fcnbench import load_model\ndef build(num_classes):\n    return load_model({name!r})\n"
    (tmp_path / "net.py").write_text(net.format(name="fcn8s-pocket"))
    path = fcnbench.run("net.py:build", board=tmp_path, trials=0).path
    (tmp_path / "net.py").write_text(net.format(name="fcn32s-pocket"))
    (found,) = fcnbench.verify(path, rerun=True)
    assert not findings(found)["rerun"]
    assert found.tier == "reported"
    assert "drift" in found.findings[-1].text


def test_the_commands_print_and_exit_as_documented(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    options = ["--contact", "me", "--licence", "none", "--board", str(tmp_path / "public")]
    assert main(["submit", str(folder), *options]) == 0
    assert "open a pull request" in capsys.readouterr().out
    assert main(["submit", str(folder), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tier"] == "rescored"
    assert main(["verify", str(runs / "submissions"), "--dry", "--markdown", str(tmp_path / "m.md")]) == 0
    assert "rescored" in (tmp_path / "m.md").read_text()
    edited(folder, CHEATS["record"])
    assert main(["verify", str(runs / "submissions"), "--dry", "--markdown", str(tmp_path / "m.md")]) == 1
    assert "WRONG   record: 1 values do not follow" in capsys.readouterr().out
    assert "❌ | record" in (tmp_path / "m.md").read_text()
    assert main(["verify", str(folder), "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["sound"]
    assert main(["verify", str(tmp_path / "nowhere")]) == 3
    with pytest.raises(DataMissing, match="no record below"):
        fcnbench.verify(tmp_path / "public" / "leaderboards")


def test_a_record_without_its_matrices_stays_reported(runs: Path) -> None:
    folder = record_of(runs, "fcn8s-pocket")
    (folder / MATRICES_NAME).unlink()
    (found,) = fcnbench.verify(folder)
    assert not findings(found)["record"]
    assert tier(runs) == "reported"


def test_a_folder_named_like_a_record_is_skipped_and_an_unusable_record_is_named(runs: Path) -> None:
    (runs / "submissions/odd/pocket/run" / RECORD_NAME).mkdir(parents=True)
    assert len(fcnbench.verify(runs / "submissions", write=False)) == 2
    (runs / "submissions/odd/pocket/other").mkdir()
    (runs / "submissions/odd/pocket/other" / RECORD_NAME).write_text("[")
    found = {each.path.parts[-4]: each for each in fcnbench.verify(runs / "submissions", write=False)}
    assert not found["odd"].sound
    assert found["fcn8s-pocket"].sound


def test_the_projects_own_submissions_are_sound() -> None:
    found = fcnbench.verify(committed() / "submissions", write=False)
    assert len(found) >= 3
    for each in found:
        assert each.sound, each.findings
        assert (each.path.with_name("submission.json")).is_file()
