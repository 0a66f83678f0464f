"""A device whose argmax is wrong: the doctor names the shapes, and a run is right all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fcnbench.errors import PredictionError
from fcnbench.evaluation import argmax_trials as argmaxes
from fcnbench.evaluation import device_argmax as devicelabels
from fcnbench.evaluation.argmax_trials import DTYPES, LAYOUTS, VALUES, Trial, all_trials, few_trials, outcome, tried
from fcnbench.evaluation.device_argmax import checked, host_labels
from tests.devices.conftest import Second, voc

CPU = torch.device("cpu")
RUN = ["--limit", "6", "--trials", "1", "--json"]


def test_a_sound_device_is_found_sound_and_its_records_say_so(
    fcn: Second, device: str, net: Callable[..., str]
) -> None:
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
    assert "argmax trials right" in text.out
    (layer,) = [each for each in compared.json["layers"] if each["name"] == "device"]
    assert layer["state"] == "same"
    assert "argmax trials right" in layer["text"]


@pytest.mark.parametrize("kind", ["odd", "impossible"])
def test_a_lying_device_is_named_and_its_runs_are_right(fcn: Second, net: Callable[..., str], kind: str) -> None:
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
    assert "label maps are found on the host instead" in doctor.err + there.err
    check = there.record["environment"]["device_check"]
    assert 0 < check["right"] < check["total"]
    assert bench.code == 0


def test_a_shape_that_no_trial_has_is_compared_in_the_run(fcn: Second, net: Callable[..., str]) -> None:
    there, here = fcn(
        ["run", "--model", net(), "--device", "second", *RUN],
        ["run", "--model", net(), "--device", "cpu", *RUN],
        second="argmax=middle",
    )
    assert there.code == 0, there.err
    np.testing.assert_array_equal(there.matrices, here.matrices)
    assert "is wrong (8x152x241)" in there.err


def test_a_device_that_turns_wrong_in_a_run_is_refused_or_its_runs_are_right(
    fcn: Second, net: Callable[..., str], tmp_path: Path
) -> None:
    run = ["run", "--model", net(21), "--dataset", "voc2011val", "--from", str(voc(tmp_path / "voc", 8, (160, 170))),
           "--allow-partial", "--trials", "0", "--json"]  # fmt: skip
    there, here = fcn(
        [*run, "--device", "second"], [*run, "--device", "cpu"], second="later=0.01 no-events argmax=changing"
    )
    # The second image may be submitted before the first one's label map was compared, and then it is compared, too.
    if there.code:
        assert there.code == 4
        assert "gives labels outside 0..20" in there.err
        assert "doctor --device second" in there.err
    else:
        np.testing.assert_array_equal(there.matrices, here.matrices)


class Lying:
    """Logits whose argmax is no class somewhere."""

    shape = (3, 2, 2)

    def __init__(self, label: int) -> None:
        self.label = label

    def max(self, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(2, 2), torch.tensor([[0, 0], [0, self.label]])


def test_labels_outside_the_classes_never_become_bytes() -> None:
    logits = torch.zeros(3, 2, 2)
    labels, flags = devicelabels.reduced(logits)
    assert flags.tolist() == [False, False, False]
    assert checked(labels, flags, (3, 2, 2), "mps").tolist() == [[0, 0], [0, 0]]
    for impossible in (torch.iinfo(torch.int64).min, -1, 3, 256):
        labels, flags = devicelabels.reduced(Lying(impossible))  # type: ignore[arg-type]
        with pytest.raises(PredictionError, match=r"mps gives labels outside 0\.\.2") as caught:
            checked(labels, flags, (3, 2, 2), "mps")
        assert "--device cpu" in caught.value.hint


def test_trials_are_the_same_everywhere_and_of_every_kind() -> None:
    trials = all_trials()
    assert trials == all_trials()
    assert len(set(trials)) == len(trials) >= 200
    assert {(each.dtype, each.layout, each.values) for each in trials} == {
        (dtype, layout, values) for dtype in DTYPES for layout in LAYOUTS for values in VALUES
    }
    assert {each.classes for each in trials} >= {2, 150}
    assert sum(each.height * each.width > 1 << 16 for each in trials) >= 10
    assert {each.values for each in few_trials()} == set(VALUES)


def test_the_cpu_does_every_trial_right() -> None:
    found = outcome(tried(CPU, all_trials()))
    assert (found.wrong, found.refused) == ((), ())


def test_a_device_that_lacks_a_dtype_is_not_wrong_and_one_that_lacks_all_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real = argmaxes.device_labels

    def lacking(logits: torch.Tensor) -> Callable[[], np.ndarray]:
        if logits.dtype == torch.bfloat16:
            raise RuntimeError("no bf16 here\nand more")
        return real(logits)

    monkeypatch.setattr(argmaxes, "device_labels", lacking)
    found = outcome(tried(CPU, [Trial(2, 3, 3), Trial(2, 3, 3, "bf16")]))
    assert (found.right, found.total) == (1, 1)
    assert found.refused == ((Trial(2, 3, 3, "bf16"), "RuntimeError: no bf16 here"),)
    monkeypatch.setattr(argmaxes, "device_labels", lambda logits: 1 / 0)
    assert outcome(tried(CPU, [Trial(2, 3, 3)])).wrong == (Trial(2, 3, 3),)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_hosts_label_map_is_numpys_in_every_dtype(dtype: torch.dtype) -> None:
    logits = torch.randint(-3, 4, (5, 31, 33)).to(dtype)
    if dtype == torch.float64:
        logits[2] += 1e-12  # more digits than a float32 has
    np.testing.assert_array_equal(host_labels(logits), logits.double().numpy().argmax(0))
    logits[4, 3, 2] = torch.nan
    with pytest.raises(PredictionError, match="NaN"):
        host_labels(logits)
