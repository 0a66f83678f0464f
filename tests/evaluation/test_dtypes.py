"""The precision in the signature is the one that was computed in, or the run is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import fcnbench
from fcnbench.errors import FcnbenchError, ModelError
from fcnbench.evaluation.dtypes import checked_dtypes
from fcnbench.evaluation.precision import Precision

NETS = """
import torch
from torch import nn
from fcnbench.models.segmenter import ModuleSegmenter


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.c = nn.Conv2d(3, 8, 3, padding=1)
        self.d = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.d(self.c(x).relu())


class Autocast(Net):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


class Inside(Net):
    def forward(self, x):
        return self.d(self.c(x).relu().half().float())


class Half(Net):
    def forward(self, x):
        return super().forward(x.bfloat16()).float()


class HalfLogits(Net):
    def forward(self, x):
        return super().forward(x).bfloat16()


class Upcast(Net):
    def forward(self, x):
        x = nn.functional.conv2d(x, self.c.weight.float(), self.c.bias.float(), padding=1).relu()
        return nn.functional.conv2d(x, self.d.weight.float(), self.d.bias.float())


class Quantised(Net):
    def forward(self, x):
        return super().forward(x).to(torch.float8_e4m3fn).float()


class Switches(Net):
    def forward(self, x):
        torch.set_float32_matmul_precision("medium")
        return super().forward(x)


class Draws(Net):
    def forward(self, x):
        return super().forward(x) + torch.randn(1, 8, *x.shape[2:])


def plain():
    return Net()


def left_on():
    net = Net()
    torch.set_autocast_enabled("cpu", True)
    torch.set_default_dtype(torch.bfloat16)
    torch.set_flush_denormal(True)
    return net


def autocast():
    return Autocast()


def inside():
    return Inside()


def half():
    return Half().bfloat16()


def half_logits():
    return HalfLogits()


def upcast():
    return Upcast().bfloat16()


def quantised():
    return Quantised()


def switches():
    return Switches()


def draws():
    return Draws()


def training():
    class Dropping(Net):
        num_classes = 8

        def __init__(self):
            super().__init__()
            self.parts = [nn.Dropout(0.5)]

        def forward(self, x):
            return self.parts[0](super().forward(x))

    return Dropping().train()


def prepares_half():
    return ModuleSegmenter(Net(), lambda image: torch.from_numpy(image.copy()).permute(2, 0, 1).half())


def prepare_switches():
    def prepare(image):
        torch.set_default_dtype(torch.float64)
        return torch.from_numpy(image.copy()).permute(2, 0, 1).float()

    return ModuleSegmenter(Net(), prepare)
"""


@pytest.fixture
def nets(tmp_path: Path) -> str:
    """Write a file of networks and return its path."""
    (tmp_path / "nets.py").write_text(NETS)
    return str(tmp_path / "nets.py")


def digest(nets: str, name: str, tmp_path: Path, **options: object) -> str:
    """Return the digest of the predictions of a network of the file."""
    done = fcnbench.run(f"{nets}:{name}", limit=3, board=tmp_path / "board", **options)  # type: ignore[arg-type]
    return done.record.predictions


@pytest.mark.parametrize("name", ["left_on", "upcast"])
def test_settings_that_a_file_leaves_on_change_no_pixel(nets: str, name: str, tmp_path: Path) -> None:
    if name == "upcast":  # float32 operations on rounded weights are float32 operations
        assert digest(nets, name, tmp_path)
        return
    assert digest(nets, name, tmp_path) == digest(nets, "plain", tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("autocast", "the network computes in bfloat16"),
        ("half", "the network computes in bfloat16"),
        ("inside", "the network computes in float16"),
        ("half_logits", "the network computes in bfloat16"),
        ("quantised", "the network computes in float8_e4m3fn"),
        ("prepares_half", "prepare gives float16"),
        ("switches", "the forward pass changes a process-wide setting"),
        ("prepare_switches", "preparing an image changes a process-wide setting"),
    ],
)
def test_a_precision_other_than_the_signatures_is_refused(nets: str, name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        digest(nets, name, tmp_path)
    assert caught.value.exit_code == 4
    assert not (tmp_path / "board" / "submissions" / f"nets.py-{name}").exists()


TABLE = torch.ones(4, 8, dtype=torch.half)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: (torch.ones(3) > 0).half().float(),
        lambda: (torch.ones(3) > 0).to(torch.bfloat16) * torch.ones(3),
        lambda: torch.nn.functional.embedding(torch.tensor([1]), TABLE).float(),
        lambda: torch.cat([TABLE, TABLE]).float(),
        lambda: torch.stack([TABLE, TABLE]).flip(0).repeat(2, 1, 1).float(),
        lambda: TABLE[torch.tensor([0, 2])].float() * 2,
        lambda: torch.where(torch.ones(4, 8) > 0, TABLE, TABLE).float(),
        lambda: torch.fft.fft(torch.ones(4)).real.double().float(),
        lambda: torch.ones(3).int() // 2,
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_operations_that_round_nothing_are_allowed(compute: Callable[[], Tensor], inference: bool) -> None:
    with torch.inference_mode(inference), checked_dtypes(Precision("fp32")):
        compute()


def dynamically_quantised() -> Tensor:
    """Return the output of a linear layer with float32 input and output that computes in int8."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 8)).eval()
    quantised = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}, torch.qint8)
    return quantised(torch.ones(2, 3))  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "compute",
    [
        dynamically_quantised,
        lambda: torch._int_mm(torch.ones(32, 32, dtype=torch.int8), torch.ones(32, 32, dtype=torch.int8)).float(),
        lambda: torch.cat([TABLE, TABLE.float().half()]).float(),
        lambda: (TABLE + TABLE).float() * 2,
        lambda: torch.tensor([1, 2049]).half().float(),
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_rounding_is_found_even_if_results_are_float32(compute: Callable[[], Tensor], inference: bool) -> None:
    if not torch.backends.quantized.supported_engines:
        pytest.skip("this PyTorch has no quantised kernels")
    with (
        pytest.raises(ModelError, match=r"the network computes in (float16|qint8)"),
        torch.inference_mode(inference),
        checked_dtypes(Precision("fp32")),
    ):
        compute()


def test_half_precision_is_in_the_signature_and_computed(nets: str, tmp_path: Path) -> None:
    done = fcnbench.run(f"{nets}:plain", limit=2, precision="bf16", board=tmp_path / "board")
    assert "|prec:bf16" in done.record.protocol.signature()
    with pytest.raises(ModelError, match="computes in float16"):
        digest(nets, "inside", tmp_path, precision="bf16")


def test_a_network_that_never_computes_in_the_precision_is_refused() -> None:
    with (
        pytest.raises(ModelError, match="no operation of the network computes in bfloat16"),
        checked_dtypes(Precision("bf16")),
    ):
        torch.ones(3) + 1
    with checked_dtypes(Precision("fp32")):
        torch.ones(3) + 1


def test_networks_are_in_evaluation_mode_wherever_a_model_keeps_them(nets: str, tmp_path: Path) -> None:
    assert digest(nets, "training", tmp_path) == digest(nets, "plain", tmp_path)


def test_random_numbers_depend_on_the_image_alone(nets: str, tmp_path: Path) -> None:
    first = fcnbench.run(f"{nets}:draws", limit=3, board=tmp_path / "board").record.evaluation
    torch.manual_seed(9)
    np.random.seed(9)
    more = fcnbench.run(f"{nets}:draws", limit=6, board=tmp_path / "board").record.evaluation
    assert more.predictions[:3] == first.predictions


def test_bench_refuses_what_run_refuses(nets: str, tmp_path: Path) -> None:
    with pytest.raises(FcnbenchError, match="computes in bfloat16"):
        fcnbench.bench(f"{nets}:autocast", trials=1, seconds=0, board=tmp_path)
