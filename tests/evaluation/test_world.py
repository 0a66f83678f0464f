"""Runs on several processes: the same integers for any number of them, one record, and a lost process named."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.errors import RankLost, UsageError
from fcnbench.evaluation.journal import Scored
from fcnbench.evaluation.together import together
from fcnbench.evaluation.world import ALONE, Ranks, World, the_world
from fcnbench.results.record import Record
from fcnbench.results.recordfile import load

COUNTED = """
import os, pathlib, signal, time
from fcnbench.models.load import load_model

HERE = pathlib.Path(__file__).parent

def build():
    inner = load_model("fcn8s-pocket")
    rank = os.environ.get("RANK", "0")

    class Counted:
        num_classes = 8
        prepare = staticmethod(inner.prepare)
        seen = 0

        def logits(self, batch):
            self.seen += 1
            with (HERE / f"seen.{rank}").open("a") as stream:
                stream.write("x")
            self.stumble(rank)
            return inner.logits(batch)

        def stumble(self, rank):
            STUMBLE

    return Counted()
"""

DIES = 'if rank == "1" and self.seen == 5: os.kill(os.getpid(), signal.SIGKILL)'
DIES_ONCE = (
    'if rank == "1" and self.seen == 5 and not (HERE / "died").exists():'
    ' (HERE / "died").touch(); time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)'
)
FAILS = 'if rank == "1" and self.seen == 5: raise RuntimeError("out of luck")'


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], str]:
    """Writes a model that counts its pictures and stumbles as told; answers with what `--model` takes."""

    def write(stumble: str = "pass") -> str:
        path = tmp_path / "counted.py"
        path.write_text(COUNTED.replace("STUMBLE", stumble))
        return f"{path}:build"

    return write


def surroundings(**more: str) -> dict[str, str]:
    return {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", **more}


def torchrun(options: list[str], arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *options, "-m", "fcnbench", "run", *arguments]
    return subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=300, check=False)


def only_record(board: Path) -> Record:
    (path,) = (board / "submissions").rglob("record.json")
    return load(path)


def local(processes: int) -> list[str]:
    return [f"--nproc-per-node={processes}", "--master-addr=127.0.0.1", f"--master-port={free_port()}"]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_integers_are_those_of_one_process(tmp_path: Path, model: Callable[[str], str], processes: int) -> None:
    alone = fcnbench.run(board=tmp_path / "alone", trials=0, margins=True).record
    saved = tmp_path / "maps"
    options = ["--model", model(), "--trials", "2", "--margins", "--board", str(tmp_path)]
    done = torchrun(local(processes), [*options, "--save-predictions", str(saved)])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("signature  fcn|pocket#64|") == 1
    record = only_record(tmp_path)
    for name in ("matrices", "margins"):
        np.testing.assert_array_equal(getattr(record.evaluation, name), getattr(alone.evaluation, name))
    assert record.predictions == alone.predictions
    assert record.evaluation.execution is not None
    assert record.evaluation.execution.processes == processes
    assert len(record.evaluation.timing.phases["forward"]) == 64
    assert len(list(saved.glob("*.png"))) == 64
    # Two trials and three warm-ups of the first process come on top.
    seen = {path.name: path.stat().st_size for path in tmp_path.glob("seen.*")}
    assert sum(seen.values()) == 64 + 5
    assert max(seen.values()) - min(seen.values()) <= 1 + 5
    assert not list((tmp_path / "home/journals").glob("*.jsonl"))


def test_two_agents_meet_at_one_address(tmp_path: Path, model: Callable[[str], str]) -> None:
    alone = fcnbench.run(board=tmp_path / "alone", trials=0).record
    place = f"--rdzv-endpoint=127.0.0.1:{free_port()}"
    options = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=test", place]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "--local-addr=127.0.0.1"]
    command += ["-m", "fcnbench", "run", "--model", model(), "--trials", "0", "--board", str(tmp_path)]
    agents = [subprocess.Popen(command, env=surroundings(), stderr=subprocess.PIPE) for _ in range(2)]
    said = [agent.communicate(timeout=300)[1].decode() for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    record = only_record(tmp_path)
    np.testing.assert_array_equal(record.evaluation.matrices, alone.evaluation.matrices)
    assert record.evaluation.execution is not None
    assert record.evaluation.execution.processes == 2


def test_after_a_death_the_agent_restarts_all_and_no_image_is_scored_twice(
    tmp_path: Path, model: Callable[[str], str]
) -> None:
    alone = fcnbench.run(board=tmp_path / "alone", trials=0).record
    options = ["--model", model(DIES_ONCE), "--trials", "0", "--board", str(tmp_path)]
    done = torchrun(["--max-restarts=1", *local(2)], options)
    assert done.returncode == 0, done.stderr
    record = only_record(tmp_path)
    np.testing.assert_array_equal(record.evaluation.matrices, alone.evaluation.matrices)
    assert record.predictions == alone.predictions
    seen = sum(path.stat().st_size for path in tmp_path.glob("seen.*"))
    # Of each process at most the picture in hand was lost, and those whose scoring had not come to its end.
    assert 64 < seen <= 64 + 2 * 4
    assert record.evaluation.resumed >= 4


def test_a_run_on_two_goes_on_where_one_was_stopped_and_back(tmp_path: Path, model: Callable[[str], str]) -> None:
    options = ["--model", model(FAILS), "--trials", "0", "--board", str(tmp_path)]
    done = torchrun(local(2), options)
    assert done.returncode != 0
    assert "rank 1 on" in done.stderr
    assert "out of luck" in done.stderr
    before = sum(path.stat().st_size for path in tmp_path.glob("seen.*"))
    alone = fcnbench.run(board=tmp_path / "alone", trials=0).record
    again = fcnbench.run(options[1], board=tmp_path, trials=0)
    assert again.record.evaluation.resumed >= before - 2 * 4
    np.testing.assert_array_equal(again.record.evaluation.matrices, alone.evaluation.matrices)
    assert not list((tmp_path / "home/journals").glob("*.jsonl"))


@pytest.mark.parametrize("dead", [0, 1])
def test_without_an_agent_the_others_say_who_is_gone(tmp_path: Path, model: Callable[[str], str], dead: int) -> None:
    command = [sys.executable, "-m", "fcnbench", "run", "--trials", "0", "--board", str(tmp_path)]
    command += ["--model", model(DIES.replace('"1"', f'"{dead}"'))]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            command,
            env=surroundings(**address, RANK=str(rank), FCNBENCH_PATIENCE="3"),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert ranks[dead].returncode == -signal.SIGKILL
    assert ranks[1 - dead].returncode == RankLost.exit_code
    if dead:
        assert "rank 1 on " in said[0]
        assert "is gone: no sign of life for 3 s" in said[0]
    else:
        assert "rank 1 can't reach the rendezvous store any more, which rank 0 or torchrun keeps" in said[1]
    assert "goes on from there" in said[1 - dead]
    assert not list((tmp_path / "submissions").rglob("record.json"))


def test_shares_are_whole_disjoint_and_even() -> None:
    items = list(range(17))
    for size in (1, 2, 3, 5, 17, 20):
        parts = [list(Ranks(rank, size).share(items)) for rank in range(size)]
        assert [item for part in parts for item in part] == items
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("rank", "size", "said"), [("2", "2", "not below"), ("-1", "2", "not below"), ("one", "2", "no number")]
)
def test_nonsense_of_ranks_is_refused(monkeypatch: pytest.MonkeyPatch, rank: str, size: str, said: str) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(UsageError, match=said):
        the_world()


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert the_world() is ALONE
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert the_world() is ALONE
    with ALONE as world:
        assert world.first
        assert world.gathered("fact") == ["fact"]
        assert world.made_by_first(lambda: 3) == world.in_turn(lambda: 3) == 3


def test_a_store_that_nobody_keeps_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RankLost, match="rank 1 of 2 can't join the others"), the_world():
        pass


class Two(World):
    """Stands in for a second process that scored what it is told."""

    size = 2

    def __init__(self, other: dict[str, int]) -> None:
        self.other = other
        self.calls = 0

    def summed(self, counts: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls == 1:
            counts = counts.copy()
            for place, times in self.other.items():
                counts[:1, int(place)] += times
        return counts


@pytest.mark.parametrize(("other", "wrong"), [({}, "b"), ({"0": 1, "1": 1}, "a"), ({"1": 2}, "b")])
def test_images_that_nobody_scored_or_two_did_are_named(other: dict[str, int], wrong: str) -> None:
    data = fcnbench.load_dataset("pocket")
    digest = "sha256:" + "ab" * 32
    own = {"a": Scored("a", np.eye(8, dtype=np.int64), digest)}
    with pytest.raises(RankLost, match=rf"1 images were not scored exactly once: {wrong}"):
        together(data, ["a", "b"], own, Two(other))
    found = together(data, ["a"], own, ALONE)
    assert found.predictions == (digest,)
