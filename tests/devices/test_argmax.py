"""A device whose argmax is wrong: the doctor names the shapes, and a run is right nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fcnbench.errors import PredictionError
from fcnbench.evaluation import argmax_cases
from fcnbench.evaluation.argmax_cases import (
    DTYPES,
    LAYOUTS,
    VALUES,
    ArgmaxCase,
    all_cases,
    few_cases,
    run_cases,
    summarise,
)
from fcnbench.evaluation.device_argmax import DeviceArgmax, checked_labels, reduce_logits
from fcnbench.evaluation.host_argmax import host_argmax
from tests.devices.conftest import Second, voc

CPU = torch.device("cpu")
RUN = ["--limit", "6", "--trials", "1", "--json"]


def test_a_sound_device_passes_and_its_records_say_so(fcn: Second, device: str, net: Callable[..., str]) -> None:
    before, doctor, after, text, compared = fcn(
        ["run", "--model", net(), "--device", device, *RUN],
        ["doctor", "--device", device, "--json"],
        ["run", "--model", net(), "--device", device, *RUN],
        ["run", "--model", net(), "--device", device, *RUN[:-1]],
        ["compare", "{}", "{}", "--json"],
        second="later=0.001" if device == "second" else None,
    )
    assert "device_check" not in before.record["environment"]
    assert doctor.code == 0, doctor.out
    assert doctor.json["trials"]["wrong"] == []
    check = after.record["environment"]["device_check"]
    assert check["right"] == check["total"] == doctor.json["trials"]["total"] >= 200
    assert check["from_golden"] == doctor.json["integers"]["from_golden"] <= 200
    assert "argmax cases right" in text.out
    (layer,) = [each for each in compared.json["layers"] if each["name"] == "device"]
    assert layer["state"] == "same"
    assert "argmax cases right" in layer["text"]


@pytest.mark.parametrize("kind", ["odd", "impossible"])
def test_a_device_with_a_wrong_argmax_is_named_and_its_runs_are_right(
    fcn: Second, net: Callable[..., str], kind: str
) -> None:
    doctor, there, here, bench = fcn(
        ["doctor", "--device", "second", "--json"],
        ["run", "--model", net(), "--device", "second", "--margins", *RUN],
        ["run", "--model", net(), "--device", "cpu", "--margins", *RUN],
        ["bench", "--model", net(), "--device", "second", "--trials", "1", "--seconds", "0", "--json"],
        second=f"later=0.001 argmax={kind}",
    )
    assert doctor.code == 1
    (argmax,) = [each for each in doctor.json["findings"] if each["subject"] == "argmax"]
    assert not argmax["sound"]
    assert "wrong: 2x1x1 fp32 contiguous" in argmax["text"]
    assert there.code == 0, there.err
    np.testing.assert_array_equal(there.matrices, here.matrices)
    assert there.record["counts"]["near_ties"] == here.record["counts"]["near_ties"]
    assert "label maps are computed on the CPU instead" in doctor.err + there.err
    check = there.record["environment"]["device_check"]
    assert 0 < check["right"] < check["total"]
    assert bench.code == 0


def test_a_shape_that_no_case_has_is_compared_in_the_run(fcn: Second, net: Callable[..., str]) -> None:
    there, here = fcn(
        ["run", "--model", net(), "--device", "second", *RUN],
        ["run", "--model", net(), "--device", "cpu", *RUN],
        second="argmax=middle",
    )
    assert there.code == 0, there.err
    np.testing.assert_array_equal(there.matrices, here.matrices)
    assert "is wrong (8x152x241)" in there.err


def test_a_device_that_becomes_wrong_during_a_run_is_refused_or_its_runs_are_right(
    fcn: Second, net: Callable[..., str], tmp_path: Path
) -> None:
    run = ["run", "--model", net(21), "--dataset", "voc2011val", "--from", str(voc(tmp_path / "voc", 8, (160, 170))),
           "--allow-partial", "--trials", "0", "--json"]  # fmt: skip
    there, here = fcn(
        [*run, "--device", "second"], [*run, "--device", "cpu"], second="later=0.01 no-events argmax=changing"
    )
    # The second image may be submitted before the first one's label map is compared; then it is compared, too.
    if there.code:
        assert there.code == 4
        assert "gives labels outside 0..20" in there.err
        assert "doctor --device second" in there.err
    else:
        np.testing.assert_array_equal(there.matrices, here.matrices)


class WrongLogits:
    """Logits whose argmax is not a class at one pixel."""

    shape = (3, 2, 2)

    def __init__(self, label: int) -> None:
        self.label = label

    def max(self, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(2, 2), torch.tensor([[0, 0], [0, self.label]])


def test_labels_outside_the_classes_never_become_bytes() -> None:
    logits = torch.zeros(3, 2, 2)
    labels, flags = reduce_logits(logits)
    assert flags.tolist() == [False, False, False]
    assert checked_labels(labels, flags, (3, 2, 2), "mps").tolist() == [[0, 0], [0, 0]]
    for impossible in (torch.iinfo(torch.int64).min, -1, 3, 256):
        labels, flags = reduce_logits(WrongLogits(impossible))  # type: ignore[arg-type]
        with pytest.raises(PredictionError, match=r"mps gives labels outside 0\.\.2") as caught:
            checked_labels(labels, flags, (3, 2, 2), "mps")
        assert "--device cpu" in caught.value.hint


def test_cases_are_the_same_everywhere_and_of_every_kind() -> None:
    cases = all_cases()
    assert cases == all_cases()
    assert len(set(cases)) == len(cases) >= 200
    assert {(each.dtype, each.layout, each.values) for each in cases} == {
        (dtype, layout, values) for dtype in DTYPES for layout in LAYOUTS for values in VALUES
    }
    assert {each.classes for each in cases} >= {2, 150}
    assert sum(each.height * each.width > 1 << 16 for each in cases) >= 10
    assert {each.values for each in few_cases()} == set(VALUES)


def test_the_cpu_computes_every_case_right() -> None:
    found = summarise(run_cases(CPU, all_cases()))
    assert (found.wrong, found.refused) == ((), ())


def test_a_device_that_lacks_a_dtype_is_not_wrong_and_one_that_lacks_all_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real = argmax_cases.start_device_argmax

    def lacking(logits: torch.Tensor) -> DeviceArgmax:
        if logits.dtype == torch.bfloat16:
            raise RuntimeError("no bf16 here\nand more")
        return real(logits)

    monkeypatch.setattr(argmax_cases, "start_device_argmax", lacking)
    found = summarise(run_cases(CPU, [ArgmaxCase(2, 3, 3), ArgmaxCase(2, 3, 3, "bf16")]))
    assert (found.right, found.total) == (1, 1)
    assert found.refused == ((ArgmaxCase(2, 3, 3, "bf16"), "RuntimeError: no bf16 here"),)
    monkeypatch.setattr(argmax_cases, "start_device_argmax", lambda logits: 1 / 0)
    assert summarise(run_cases(CPU, [ArgmaxCase(2, 3, 3)])).wrong == (ArgmaxCase(2, 3, 3),)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_label_map_on_the_cpu_is_numpys_in_every_dtype(dtype: torch.dtype) -> None:
    logits = torch.randint(-3, 4, (5, 31, 33)).to(dtype)
    if dtype == torch.float64:
        logits[2] += 1e-12  # more digits than a float32 has
    np.testing.assert_array_equal(host_argmax(logits), logits.double().numpy().argmax(0))
    logits[4, 3, 2] = torch.nan
    with pytest.raises(PredictionError, match="NaN"):
        host_argmax(logits)
