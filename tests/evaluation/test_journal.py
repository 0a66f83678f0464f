"""The journal: an interrupted or killed run goes on with the same integers, and what is damaged is scored again."""

import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

import fcnbench
from fcnbench.errors import Interrupted
from fcnbench.evaluation.journal import Journal
from fcnbench.records.evaluation import ImageCounts
from fcnbench.records.files import load
from tests.counts import counted, specs
from tests.evaluation.stub import Stub, score
from tests.kills import kills_at_every_write


def test_an_interrupted_run_resumes_where_it_stopped() -> None:
    class Stopped(Stub):
        seen = 0

        def logits(self, batch: Tensor) -> Tensor:
            Stopped.seen += 1
            if Stopped.seen == 4:
                raise KeyboardInterrupt
            return super().logits(batch)

    whole = score(Stub(), 6, key="whole")
    with pytest.raises(Interrupted, match="stopped after 3 of 6 images") as caught:
        score(Stopped(), 6)
    assert caught.value.exit_code == 130
    assert "it continues from there" in caught.value.hint
    again = score(Stopped(), 6)
    assert Stopped.seen == 7  # 3 images, the interruption, the 3 that were left
    assert again.resumed == 3
    np.testing.assert_array_equal(again.matrices, whole.matrices)
    assert again.predictions == whole.predictions
    assert len(again.timing.phases["forward"]) == 3


def test_a_torn_last_line_of_the_journal_is_scored_again(tmp_path: Path) -> None:
    whole = score(Stub(), 4)
    (journal,) = (tmp_path / "home/journals").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    for damaged in (b"".join(lines)[:-7], b"".join(lines[:3]) + b"00000000 {}\n", b"".join(lines[:3]) + b"\0\0\0"):
        journal.write_bytes(damaged)
        again = score(Stub(), 4)
        assert again.resumed == 3
        np.testing.assert_array_equal(again.matrices, whole.matrices)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "3", '{"facts": []}', '{"id": 3, "cells": [], "prediction": ""}', "[" * 5000 + "]" * 5000,
     '{"id": "a", "cells": [[99, 0, 1]], "prediction": "x"}', '{"id": "a", "cells": [[-1, 0, 1]], "prediction": "x"}',
     '{"id": "a", "cells": [[0, 0]], "prediction": "x"}',
     '{"id": "a", "cells": [[0, 0, 0.5]], "prediction": "x"}'],
)  # fmt: skip
def test_lines_of_a_journal_that_are_no_images_end_it(tmp_path: Path, text: str) -> None:
    whole = score(Stub(), 2)
    (journal,) = (tmp_path / "home/journals").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    strange = b"%08x %s\n" % (zlib.crc32(text.encode()), text.encode())
    journal.write_bytes(lines[0] + strange + lines[1])
    again = score(Stub(), 2)
    assert again.resumed == 1
    np.testing.assert_array_equal(again.matrices, whole.matrices)


def test_a_journal_in_use_by_another_run_is_left_alone() -> None:
    with Journal({"key": "test"}, specs(8)) as first, Journal({"key": "test"}, specs(8)) as second:
        assert (first.kept, second.kept) == (True, False)
        second.forget()
    with Journal({"key": "test"}, specs(8)) as third:
        assert third.kept
        third.forget()


SCORED = [counted(name, np.array([[9, 1], [0, number]]), f"sha256:{name}") for number, name in enumerate("abc")]


def write_images(folder: Path) -> None:
    """Write three images into a journal."""
    with Journal({"key": "killed"}, specs(2)) as journal:
        for scored in SCORED:
            journal.add(scored)


def test_a_process_killed_at_any_write_loses_only_images_that_it_had_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for killed in kills_at_every_write(write_images, tmp_path / "killed"):
        monkeypatch.setenv("FCNBENCH_HOME", str(killed.folder / "home"))
        with Journal({"key": "killed"}, specs(2)) as journal:
            kept.append(len(journal.done))
            for scored in SCORED[kept[-1] :]:
                journal.add(scored)
        with Journal({"key": "killed"}, specs(2)) as journal:
            assert [content(found) for found in journal.done.values()] == [content(scored) for scored in SCORED]
    # Two events per image: before its line, and in the middle of it.
    assert kept == sorted(kept)
    assert kept[-5:] == [0, 1, 1, 2, 2]


def content(scored: ImageCounts) -> tuple[str, dict[str, object], dict[str, str]]:
    """Return the parts of an image's counts, which can be compared."""
    return scored.id, {name: values.tolist() for name, values in scored.counts.items()}, dict(scored.digests)


DIES = """
import os, pathlib, signal
from fcnbench.models.load import load_model

LOG = pathlib.Path(__file__).with_suffix(".log")


def build():
    inner = load_model("fcn8s-pocket")

    class Logged:
        num_classes = 8
        prepare = staticmethod(inner.prepare)

        def logits(self, batch):
            with LOG.open("a") as stream:
                stream.write("x")
            if LOG.stat().st_size in (9, 18, 27):
                os.kill(os.getpid(), signal.SIGKILL)
            return inner.logits(batch)

    return Logged()
"""


def test_a_killed_run_resumes_with_the_same_integers_and_no_image_twice(tmp_path: Path) -> None:
    whole = fcnbench.run("fcn8s-pocket", board=tmp_path / "whole", trials=0)
    model = tmp_path / "logged.py"
    model.write_text(DIES)
    command = [sys.executable, "-m", "fcnbench", "run", "--model", f"{model}:build", "--board", str(tmp_path)]
    log = model.with_suffix(".log")
    for kills in (1, 2, 3):
        died = subprocess.run([*command, "--trials", "0"], check=False, capture_output=True, text=True)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert log.stat().st_size == 9 * kills
        (journal,) = (tmp_path / "home/journals").glob("*.jsonl")
        scored = journal.read_bytes().count(b'"id"')
        # Images that went forward but are not in the journal: at most those that may wait, and one per thread in work.
        assert 5 * kills <= scored <= 9 * kills
    subprocess.run([*command, "--trials", "0"], check=True, capture_output=True)
    (record,) = (tmp_path / "submissions").rglob("record.json")
    found = load(record)
    np.testing.assert_array_equal(found.evaluation.matrices, whole.record.evaluation.matrices)
    assert found.predictions == whole.record.predictions
    assert log.stat().st_size - 27 == 64 - found.evaluation.resumed
    assert not list((tmp_path / "home/journals").glob("*.jsonl"))
