"""Precisions and compilation: part of the protocol, compared with plain float32, and without effect on other runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fcnbench
from fcnbench.errors import ModelError, UsageError
from fcnbench.evaluation.precision import FP32, Precision, uncompiled
from fcnbench.models.load import load_model

CPU = torch.device("cpu")
IMAGE = 50 * torch.randn((1, 3, 70, 90), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["fp32", "tf32", "bf16", "fp16", "fp32+compile", "bf16+compile"])
def test_names_are_parsed_as_they_are_written(name: str) -> None:
    assert Precision.parse(name).name == name
    assert Precision.parse(name).plain == (name == "fp32")


@pytest.mark.parametrize("name", ["", "fp8", "compile", "fp32+compiled"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"--precision .* is unknown"):
        Precision.parse(name)


def test_tensor_float_needs_cuda() -> None:
    with pytest.raises(UsageError, match="needs a CUDA device"):
        Precision("tf32").check_device(CPU)
    Precision("tf32").check_device(torch.device("cuda"))


def test_the_settings_are_restored() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with Precision("tf32").applied(CPU):
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    with FP32.applied(CPU):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
        assert torch.is_inference_mode_enabled()
    after = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    assert after == before


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("precision", "close"), [("bf16", 0.05), ("fp16", 0.01)])
def test_half_precision_is_near_float32_and_leaves_it_alone(precision: str, close: float, fast: bool) -> None:
    model = load_model("fcn8s-pocket", fast=fast)
    with FP32.applied(CPU):
        exact = model.logits(IMAGE)
    with Precision(precision).applied(CPU):
        rough = model.logits(IMAGE)
    assert rough.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    difference = float((rough - exact).abs().max())
    assert 0 < difference < close * float(exact.abs().max())
    with FP32.applied(CPU):
        assert torch.equal(model.logits(IMAGE), exact)


class Small(nn.Module):
    """A network that compiles in seconds, and counts how often its code ran uncompiled."""

    runs = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, batch: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            Small.runs += 1
        return self.layer(batch).relu()


# Some versions of PyTorch use functions that they deprecate.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Skipping serialization of skipfiles")  # PyTorch 2.6 warns about itself
def test_compiled_networks_agree_at_all_sizes_and_can_be_run_uncompiled() -> None:
    from fcnbench.models.segmenter import ModuleSegmenter

    torch.manual_seed(0)
    model = ModuleSegmenter(Small(), num_classes=8)
    precision = Precision("fp32", compiled=True)
    precision.check_device(CPU)
    precision.compile_network(model)
    Small.runs = 0
    for batch in (IMAGE, IMAGE[..., :50], IMAGE[..., 3:20, 1:60]):
        with precision.applied(CPU):
            compiled = model.logits(batch)
        assert Small.runs == 0
        with uncompiled(), FP32.applied(CPU):
            plain = model.logits(batch)
        assert Small.runs == 1
        assert torch.allclose(compiled, plain, atol=1e-4)
        Small.runs = 0


def test_a_model_without_a_network_is_not_compiled() -> None:
    class Bare:
        def prepare(self, image: np.ndarray) -> Tensor:
            return torch.zeros(3, 1, 1)

        def logits(self, batch: Tensor) -> Tensor:
            return batch

    with pytest.raises(ModelError, match=r"shows no torch\.nn\.Module"):
        Precision("fp32", compiled=True).compile_network(Bare())


def test_a_run_has_its_precision_in_its_signature_and_the_pixels_that_it_flips(tmp_path: Path) -> None:
    plain = fcnbench.run(board=tmp_path, limit=8)
    half = fcnbench.run(board=tmp_path, limit=8, precision="bf16")
    assert (
        half.record.protocol.signature() == "fcn2|data:pocket#8/64|classes:8|ignore:255|mean:gt|infer:native|prec:bf16"
    )
    certificate = half.record.evaluation.reproducibility
    assert certificate is not None
    assert list(certificate.flips) == ["plain fp32"]
    moved = np.abs(half.record.confusion - plain.record.confusion).sum() / 2
    assert 0 < moved <= certificate.flips["plain fp32"] < certificate.pixels / 100
    again = fcnbench.run(board=tmp_path, limit=8, signature=half.record.protocol.signature())
    assert again.record.protocol == half.record.protocol
    assert again.record.predictions == half.record.predictions
    with pytest.raises(UsageError, match="prec is fp32 here, bf16 in the signature"):
        fcnbench.run(board=tmp_path, limit=8, precision="fp32", signature=half.record.protocol.signature())


def test_an_oracle_has_no_precision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no forward pass to run in bf16"):
        fcnbench.run("oracle-perfect", board=tmp_path, precision="bf16")


def test_the_fast_path_is_recorded_and_can_be_left_out(tmp_path: Path) -> None:
    fast = fcnbench.run(board=tmp_path, limit=4, certify=True).record.evaluation
    plain = fcnbench.run(board=tmp_path, limit=4, certify=True, fast=False).record.evaluation
    assert fast.execution is not None
    assert plain.execution is not None
    assert (fast.execution.forward, plain.execution.forward) == ("constant band", "plain")
    assert fast.reproducibility is not None
    assert plain.reproducibility is not None
    assert fast.reproducibility.flips.keys() - plain.reproducibility.flips.keys() == {"plain fp32"}
    np.testing.assert_array_equal(fast.matrices, plain.matrices)
