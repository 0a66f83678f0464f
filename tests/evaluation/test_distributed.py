"""Runs on several ranks: the same integers for any number of them, one record, and a dead rank named."""

from __future__ import annotations

import json
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
from fcnbench.evaluation.distributed import SINGLE_PROCESS, DistributedRanks, process_group
from fcnbench.records.files import load
from fcnbench.records.model import Record

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
DIES_ONCE = """
            while rank == "1" and self.seen == 5 and not (HERE / "died").exists():
                if sum(path.read_bytes().count(b'"id"') for path in HERE.glob("home*/journals/*.jsonl")) >= 4:
                    (HERE / "died").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(0.01)"""
"""Rank 1 dies when four images are in the journals."""

FAILS = 'if rank == "1" and self.seen == 5: raise RuntimeError("out of luck")'


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], str]:
    """Write a model that counts its images and may stumble; return its name for `--model`."""

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
    assert done.stdout.count("signature  fcn2|data:pocket#64|") == 1
    record = only_record(tmp_path)
    for name in ("confusion", "near_ties"):
        np.testing.assert_array_equal(record.evaluation.counts[name].values, alone.evaluation.counts[name].values)
    assert record.predictions == alone.predictions
    assert record.evaluation.execution is not None
    assert record.evaluation.execution.processes == processes
    assert len(record.evaluation.timing.phases["forward"]) == 64
    assert len(list(saved.glob("*.png"))) == 64
    # Rank 0 runs two trials and three warm-ups besides.
    seen = {path.name: path.stat().st_size for path in tmp_path.glob("seen.*")}
    assert sum(seen.values()) == 64 + 5
    assert max(seen.values()) - min(seen.values()) <= 1 + 5
    assert not list((tmp_path / "home/journals").glob("*.jsonl"))


REUSES = """
import numpy as np, torch
from fcnbench.models.load import load_model

def build():
    inner = load_model("fcn8s-pocket")
    buffers = [np.zeros(1 << 21, np.float32) for _ in range(3)]

    class Reuses:
        num_classes, turn = 8, 0

        def prepare(self, image):
            prepared = inner.prepare(image)
            image[:] = 0
            return self.into(buffers[2], prepared)

        def logits(self, batch):
            self.turn += 1
            found = inner.logits(batch)
            batch.zero_()
            return self.into(buffers[self.turn % 2], found)

        def into(self, buffer, values):
            buffer[: values.numel()] = values.numpy().ravel()
            return torch.from_numpy(buffer)[: values.numel()].view(values.shape)

    return Reuses()
"""


def test_two_processes_with_batches_give_the_same_integers_for_a_model_that_reuses_its_memory(
    tmp_path: Path,
) -> None:
    alone = fcnbench.run(board=tmp_path / "alone", trials=0, margins=True, batch=4).record
    (tmp_path / "reuses.py").write_text(REUSES)
    options = ["--model", f"{tmp_path}/reuses.py:build", "--trials", "1", "--margins", "--batch", "4", "--certify"]
    done = torchrun(local(2), [*options, "--board", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    record = only_record(tmp_path)
    for name in ("confusion", "near_ties"):
        np.testing.assert_array_equal(record.evaluation.counts[name].values, alone.evaluation.counts[name].values)
    assert record.predictions == alone.predictions
    assert record.evaluation.reproducibility is not None
    assert record.evaluation.reproducibility.flips["second run"] == 0


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
    assert (tmp_path / "died").exists()
    record = only_record(tmp_path)
    np.testing.assert_array_equal(record.evaluation.matrices, alone.evaluation.matrices)
    assert record.predictions == alone.predictions
    seen = sum(path.stat().st_size for path in tmp_path.glob("seen.*"))
    # Each process may lose the image in progress and those that were not scored yet.
    assert 64 < seen <= 64 + 2 * 4
    assert record.evaluation.resumed >= 4


def test_one_process_resumes_a_run_that_two_began(tmp_path: Path, model: Callable[[str], str]) -> None:
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
def test_without_an_agent_the_others_name_the_dead_rank(tmp_path: Path, model: Callable[[str], str], dead: int) -> None:
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
        assert "rank 1 can't reach the rendezvous store any more, which rank 0 or torchrun hosts" in said[1]
    assert "goes on from there" in said[1 - dead]
    assert not list((tmp_path / "submissions").rglob("record.json"))


EXCHANGES = """
import json, sys
import numpy as np
import fcnbench
from fcnbench.evaluation.distributed import process_group

order = []
with process_group() as ranks:
    rank = ranks.rank
    first = ranks.rank0_first(lambda: rank)
    counts = ranks.all_reduce(np.array([[2**62 // 3, rank]], np.int64))
    values = ranks.all_gather({"rank": rank, "text": "\u00e4" * rank, "times": [0.1] * rank})
    sent = ranks.broadcast_from_rank0(lambda: ["from", rank, None])
    own = {"a": np.full((2, 3), 7 + rank), "b": np.zeros((0, 4), np.int64)} if rank == 0 else {}
    arrays = ranks.broadcast_arrays(own)
    try:
        ranks.all_gather({1, 2})
        refused = False
    except TypeError:  # a set has no JSON, and is not pickled instead
        refused = True
run = fcnbench.run(limit=4, trials=1, margins=True, certify=True)
print(json.dumps({
    "first": first, "counts": counts.tolist(), "values": values, "sent": sent, "refused": refused,
    "arrays": {name: array.tolist() for name, array in arrays.items()},
    "run": {
        "run": run.record.run, "path": str(run.path), "identity": dict(run.identity.parts),
        "matrices": run.record.evaluation.matrices.tolist(),
        "margins": run.record.evaluation.counts["near_ties"].values.tolist(),
        "flips": run.record.evaluation.reproducibility.flips, "paper": run.record.evaluation.timing.paper,
        "predictions": run.record.predictions,
    },
}))
"""


def test_ranks_exchange_arrays_and_json_and_all_get_the_record(tmp_path: Path) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    variables = {"FCNBENCH_BOARD": str(tmp_path / "board"), **address}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", EXCHANGES],
            env=surroundings(**variables, RANK=str(rank)),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [rank.communicate(timeout=200) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], ends
    zero, one = (json.loads(end[0]) for end in ends)
    assert (zero.pop("first"), one.pop("first")) == (0, 1)
    assert zero == one
    assert zero["counts"] == [[2 * (2**62 // 3), 1]]
    assert zero["values"] == [{"rank": 0, "text": "", "times": []}, {"rank": 1, "text": "\u00e4", "times": [0.1]}]
    assert zero["sent"] == ["from", 0, None]
    assert zero["arrays"] == {"a": [[7, 7, 7], [7, 7, 7]], "b": []}
    assert zero["refused"]
    assert len(zero["run"]["paper"]) == 1


def test_shards_are_disjoint_complete_and_even() -> None:
    items = list(range(17))
    for size in (1, 2, 3, 5, 17, 20):
        parts = [list(DistributedRanks(rank, size).shard(items)) for rank in range(size)]
        assert [item for part in parts for item in part] == items
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("rank", "size", "message"), [("2", "2", "not below"), ("-1", "2", "not below"), ("one", "2", "not an integer")]
)
def test_impossible_ranks_are_refused(monkeypatch: pytest.MonkeyPatch, rank: str, size: str, message: str) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(UsageError, match=message):
        process_group()


def test_without_ranks_there_is_a_single_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert process_group() is SINGLE_PROCESS
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert process_group() is SINGLE_PROCESS
    with SINGLE_PROCESS as ranks:
        assert ranks.is_rank0
        assert ranks.all_gather("value") == ["value"]
        assert ranks.broadcast_from_rank0(lambda: 3) == ranks.rank0_first(lambda: 3) == 3


def test_a_missing_store_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("MASTER_PORT", raising=False)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RankLost, match="rank 1 of 2 can't join the others"), process_group():
        pass
