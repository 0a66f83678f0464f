"""Runs on two hosts with a network between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from tests.evaluation.test_distributed import DIES_ONCE, model, only_record, surroundings

__all__ = ["model"]  # a fixture


@pytest.fixture
def hosts() -> Iterator[list[tuple[list[str], str]]]:
    """Two hosts in a network of their own: the prefix of a command that runs there, and the host's address."""
    names = [f"fcnb{os.getpid()}{end}" for end in "ab"]

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "eth7", "netns", names[0], "type", "veth", "peer", "name", "eth7", "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth7")
            for device in ("lo", "eth7"):
                ip("-n", name, "link", "set", device, "up")
    except (OSError, subprocess.CalledProcessError) as error:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        pytest.skip(f"no network namespaces here: {error}")
    yield [
        (["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh"], address)
        for name, address in zip(names, ("10.77.0.1", "10.77.0.2"), strict=True)
    ]
    for name in names:
        ip("netns", "del", name)


def on_hosts(hosts: list[tuple[list[str], str]], tmp_path: Path, model: str, **more: str) -> list[tuple[int, str]]:
    """Run once on two machines, with an agent on each; return their exit codes and standard error."""
    agents = []
    for number, (enter, address) in enumerate(hosts):
        # Hosts share no disk but the board's.
        variables = surroundings(GLOO_SOCKET_IFNAME="eth7", FCNBENCH_HOME=str(tmp_path / f"home{number}"), **more)
        options = ["--nnodes=2", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-id=hosts", "--max-restarts=1"]
        options += [f"--rdzv-endpoint={hosts[0][1]}:29571", f"--local-addr={address}"]
        options += [f"--rdzv-conf=is_host={int(number == 0)}"]
        command = [*enter, sys.executable, "-m", "torch.distributed.run", *options, "-m", "fcnbench", "run"]
        command += ["--model", model, "--trials", "0", "--board", str(tmp_path)]
        agents.append(subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True))
    try:
        return [(each.returncode, said) for each, said in [(each, each.communicate(timeout=400)[1]) for each in agents]]
    finally:
        for each in agents:
            each.kill()


@pytest.mark.parametrize("stumble", ["pass", DIES_ONCE])
def test_two_hosts_give_the_integers_of_one_process(
    tmp_path: Path, model: Callable[[str], str], hosts: list[tuple[list[str], str]], stumble: str
) -> None:
    alone = fcnbench.run(board=tmp_path / "alone", trials=0).record
    done = on_hosts(hosts, tmp_path, model(stumble))
    assert [code for code, _ in done] == [0, 0], "\n".join(said for _, said in done)
    record = only_record(tmp_path)
    np.testing.assert_array_equal(record.evaluation.matrices, alone.evaluation.matrices)
    assert record.predictions == alone.predictions
    assert record.evaluation.execution is not None
    assert record.evaluation.execution.processes == 4
    assert (record.evaluation.resumed > 0) == (stumble != "pass")
