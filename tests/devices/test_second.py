"""The whole loop on a device other than the CPU: the CPU's integers, whatever it lacks and however slow it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.devices.conftest import PYTHON_BACKENDS, Done, Second, voc
from tests.evaluation.test_distributed import free_port

FEW = ["--limit", "5", "--trials", "1", "--json"]
CONVOLUTIONS = 3
LACKING = ("", "no-events", "no-memory", "no-accelerator", "nameless", "no-events no-memory no-accelerator")

Net = Callable[..., str]


def options(device: str, second: str) -> str | None:
    return second if device == "second" else None


def same(one: Done, two: Done) -> None:
    assert (one.code, two.code) == (0, 0), one.err + two.err
    np.testing.assert_array_equal(one.matrices, two.matrices)
    assert one.record["predictions"]["digest"] == two.record["predictions"]["digest"]


@pytest.mark.parametrize("lacks", LACKING)
def test_a_slow_device_gives_the_cpus_integers_and_times_that_include_its_work(
    fcn: Second, net: Net, lacks: str
) -> None:
    cost, model = 0.02, net()
    least = 1e3 * cost * CONVOLUTIONS
    there, here, alone, pair, single, throughput = fcn(
        ["run", "--model", model, "--device", "second", *FEW],
        ["run", "--model", model, "--device", "cpu", *FEW],
        ["run", "--model", model, "--device", "second", "--limit", "1", "--json"],
        ["compare", "{}", "{}", "--json"],
        ["bench", "--model", model, "--device", "second", "--trials", "2", "--seconds", "0", "--json"],
        ["bench", "--model", model, "--device", "second", "--trials", "6", "--seconds", "0", "--json",
         "--scenario", "throughput"],
        second=f"later={cost} {lacks}",
    )  # fmt: skip
    same(there, here)
    # Copies that are read too early would look like a wrong argmax.
    assert "argmax" not in there.err + alone.err + single.err
    timing = there.record["timing"]
    assert min(timing["samples"]["forward"]) >= least
    assert min(timing["samples"]["forward_500"]) >= least
    assert timing["seconds"] >= 5 * least / 1e3
    assert sum(timing["samples"]["forward"]) <= 1e3 * timing["seconds"]
    one = alone.record["timing"]
    assert sum(one["samples"][phase][0] for phase in ("decode", "prepare", "forward", "score")) <= 1e3 * one["seconds"]
    for timed in (single, throughput):
        assert timed.code == 0, timed.err
        speed = json.loads(Path(timed.json["record"]).read_text())
        assert min(speed["samples"]) >= least
        assert min(speed["parts"]["forward"]) >= least
        assert Path(timed.json["board"]).name.startswith("second-")
    environment = there.record["environment"]
    assert environment["device"] == "second"
    assert environment["device_name"] == (
        f"second ({environment['cpu']})" if "nameless" in lacks else "Second Device 1"
    )
    assert there.record["execution"]["peak_memory"] == (0 if "no-memory" in lacks else 12345678)
    assert pair.code == 0


def test_the_papers_network_gives_the_cpus_integers(fcn: Second, device: str) -> None:
    run = ["run", "--model", "fcn8s-pocket", "--no-fast", "--margins", *FEW]
    there, here, fast = fcn(
        [*run, "--device", device],
        [*run, "--device", "cpu"],
        ["run", "--model", "fcn8s-pocket", "--device", device, *FEW],
        second=options(device, "later=0.001"),
    )
    assert there.code == fast.code == 0, there.err + fast.err
    # Another device's convolutions flip near ties; this one's are the CPU's.
    budget = 0 if device == "second" else 20
    assert np.abs(there.matrices - here.matrices).sum() <= budget
    assert np.abs(fast.matrices - here.matrices).sum() <= 20
    if device == "second":
        assert there.record["counts"]["near_ties"] == here.record["counts"]["near_ties"]


def test_a_report_has_the_times_and_integers_of_the_device(fcn: Second, tmp_path: Path) -> None:
    cost = 0.002
    (done,) = fcn(
        ["doctor", "--device", "second", "--report", str(tmp_path / "report.json"), "--json"], second=f"later={cost}"
    )
    assert done.code == 0, done.err
    report = done.json
    assert report["check"]["sound"]
    assert report["check"]["from_cpu"] <= 20
    for figure in report["forward"]:
        # Each network has more than a dozen convolutions.
        assert min(figure["milliseconds"]) >= 1e3 * cost * 12
    for loop in report["loop"]:
        assert loop["seconds"] >= loop["forward_seconds"] >= loop["images"] * cost * 12


def test_batches_are_halved_where_the_devices_memory_ends(fcn: Second, net: Net, tmp_path: Path) -> None:
    run = ["run", "--model", net(21), "--dataset", "voc2011val", "--from", str(voc(tmp_path / "voc", 8)),
           "--allow-partial", "--trials", "0", "--json"]  # fmt: skip
    logits = 4 * 21 * 40 * 50
    there, here = fcn(
        [*run, "--batch", "8", "--device", "second"],
        [*run, "--device", "cpu"],
        # Three images fit into memory; not every argmax case does.
        second=f"later=0.001 limit={3 * logits}",
    )
    same(there, here)
    assert "out of memory with a batch of 8: going on with 4" in there.err
    assert "out of memory with a batch of 4: going on with 2" in there.err
    assert "argmax" not in there.err


def test_batches_that_fit_give_the_same_integers(fcn: Second, net: Net, device: str, tmp_path: Path) -> None:
    run = ["run", "--model", net(21), "--dataset", "voc2011val", "--from", str(voc(tmp_path / "voc", 7)),
           "--allow-partial", "--trials", "0", "--json"]  # fmt: skip
    there, here = fcn(
        [*run, "--batch", "4", "--device", device],
        [*run, "--device", "cpu"],
        second=options(device, "later=0.001"),
    )
    same(there, here)
    assert "out of memory" not in there.err


def test_one_image_that_is_too_large_is_named(fcn: Second, net: Net) -> None:
    (done,) = fcn(["run", "--model", net(), "--device", "second", *FEW], second="limit=100000")
    assert done.code == 4
    assert "the model failed on image val-0000" in done.err
    assert "too much for this device" in done.err


def test_an_interrupted_run_goes_on(fcn: Second, net: Net, device: str) -> None:
    run = ["run", "--model", net(), "--limit", "8", "--trials", "0", "--json"]
    (stopped,) = fcn([*run, "--device", device], second=options(device, "later=0.001"), INTERRUPT="5")
    assert stopped.code == 130
    there, here = fcn([*run, "--device", device], [*run, "--device", "cpu"], second=options(device, "later=0.001"))
    same(there, here)
    assert 1 <= there.record["timing"]["resumed"] <= 4


def test_two_ranks_on_two_devices_give_the_cpus_integers(fcn: Second, net: Net, tmp_path: Path) -> None:
    if not PYTHON_BACKENDS:
        pytest.skip("this PyTorch has no devices in Python")
    run = ["run", "--model", net(), "--limit", "8", "--trials", "1", "--json"]
    common = {
        **os.environ, "PYTHONPATH": str(REPOSITORY), "SECOND": "later=0.001 devices=2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "FCNBENCH_BOARD": str(tmp_path / "ranks"),
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.devices.child", json.dumps([[*run, "--device", "second"]])]
    ranks = [
        subprocess.Popen(
            command,
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ends = [rank.communicate(timeout=300) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], ends
    first = Done(*json.loads(ends[0][0])[0])
    (here,) = fcn([*run, "--device", "cpu"], second=None)
    same(first, here)
    assert first.record["execution"]["processes"] == 2


def test_a_device_that_can_not_be_waited_for_is_refused(fcn: Second, net: Net) -> None:
    run, automatic, absent = fcn(
        ["run", "--model", net(), "--device", "second", *FEW],
        ["run", "--model", net(), "--device", "auto", *FEW],
        ["run", "--model", net(), "--device", "third", *FEW],
        second="no-wait later=0.01",
    )
    assert run.code == 2
    assert "has no way to wait for its work" in run.err
    assert automatic.code == 0
    assert automatic.record["environment"]["device"] == "cpu"
    assert absent.code == 2
    assert "--device third can't be used here" in absent.err


def test_auto_chooses_the_accelerator_and_what_it_can_not_do_is_refused(fcn: Second, net: Net) -> None:
    plain, half, tf32, model, torch_line = fcn(
        ["run", "--model", net(), *FEW],
        ["run", "--model", net(), "--precision", "bf16", *FEW],
        ["run", "--model", net(), "--precision", "tf32", *FEW],
        ["doctor", "--model", net(), "--device", "second", "--json"],
        ["doctor", "--json"],
    )
    assert plain.record["environment"]["device"] == "second"
    # Nothing casts on this device: a signature that says bf16 would be wrong.
    assert half.code == 2
    assert "--precision bf16" in half.err
    assert tf32.code == 2
    assert model.code == 0, model.out
    (line,) = [each["text"] for each in torch_line.json["findings"] if each["subject"] == "torch"]
    assert "second Second Device 1" in line
