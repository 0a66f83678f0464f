"""Process-wide settings: whatever a model or the caller has set, evaluations use those of the protocol."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import fcnbench
from fcnbench.errors import ModelError
from fcnbench.models.float32 import Precision
from fcnbench.models.torch_state import foreign_code, held_switches, protected, seed, switches_of
from fcnbench.util.process_state import process_settings

NEW = hasattr(torch.backends, "fp32_precision")

NUMERIC: dict[str, str] = {
    "autocast": "torch.set_autocast_enabled('cpu', True)",
    "default dtype": "torch.set_default_dtype(torch.bfloat16)",
    "default device": "torch.set_default_device('meta')",
    "matmul precision": "torch.set_float32_matmul_precision('medium')",
    "cuDNN TF32": "torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32",
    "cuDNN benchmark": "torch.backends.cudnn.benchmark = True",
    "cuDNN off": "torch.backends.cudnn.enabled = False",
    "oneDNN off": "torch.backends.mkldnn.enabled = False",
    "deterministic algorithms": "torch.use_deterministic_algorithms(True)",
    "denormal numbers": "torch.set_flush_denormal(True)",
    "flash attention": "torch.backends.cuda.enable_flash_sdp(False)",
    "attention of little memory": "torch.backends.cuda.enable_mem_efficient_sdp(False)",
    "cuDNN's attention": "torch.backends.cuda.enable_cudnn_sdp(False)",
    **(
        {"fp16 sums": "torch.backends.cuda.matmul.allow_fp16_accumulation = True"}
        if hasattr(torch.backends.cuda.matmul, "allow_fp16_accumulation")
        else {}
    ),
    **(
        {
            "fp32_precision": "torch.backends.fp32_precision = 'bf16'",
            "cuDNN fp32_precision": "torch.backends.cudnn.fp32_precision = 'tf32'",
            "oneDNN fp32_precision": "torch.backends.mkldnn.conv.fp32_precision = 'bf16'",
        }
        if NEW
        else {}
    ),
}
"""Statements that change a setting on which numbers depend."""


def state() -> dict[str, Any]:
    """Return the value of every held setting."""
    found = {}
    for switch in [*process_settings(), *switches_of("cpu")]:
        value = (switch.first_read or switch.read)()
        found[switch.name] = (value.values, value.older) if isinstance(value, Precision) else value
    return found


@pytest.fixture(autouse=True)
def _settings_are_as_before() -> Iterator[None]:
    """Restore the settings after each test."""
    before = [(switch, (switch.first_read or switch.read)()) for switch in switches_of("cpu")]
    yield
    for switch, value in before:
        switch.write(value)


@pytest.mark.parametrize("statement", NUMERIC.values(), ids=NUMERIC)
def test_what_the_caller_left_on_is_off_inside_and_on_again_afterwards(statement: str) -> None:
    exec(statement)
    before = state()
    with protected():
        assert torch.get_default_dtype() == torch.float32
        assert str(torch.get_default_device()) == "cpu"
        assert not torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == "highest"
        assert torch.backends.mkldnn.enabled
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.allow_tf32
        assert float(torch.tensor(1e-40) * 1.0) > 0
        exec(statement)
    assert state() == before


@pytest.mark.parametrize("statement", NUMERIC.values(), ids=NUMERIC)
def test_a_forward_pass_that_changes_such_a_setting_is_refused_and_undone(statement: str) -> None:
    with protected(), torch.inference_mode():
        before = state()
        with (
            pytest.raises(ModelError, match="the forward pass changes a process-wide setting"),
            foreign_code("the forward pass"),
        ):
            exec(statement)
        assert state() == before


def test_an_error_of_the_model_is_not_hidden_by_what_it_changed() -> None:
    def fail() -> None:
        with foreign_code("the forward pass"):
            torch.set_default_dtype(torch.float64)
            raise ZeroDivisionError

    with protected():
        with pytest.raises(ZeroDivisionError):
            fail()
        assert torch.get_default_dtype() == torch.float32


def test_a_block_of_the_model_that_ends_with_the_pass_is_fine() -> None:
    with protected(), foreign_code("the forward pass"):
        with torch.autocast("cpu", torch.bfloat16), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            pass
        with torch.device("meta"):
            pass


@pytest.mark.parametrize("on", [False, True])
def test_the_dtype_of_an_autocast_is_the_callers_again(on: bool) -> None:
    torch.set_autocast_enabled("cpu", on)
    torch.set_autocast_dtype("cpu", torch.float16)
    with protected(), held_switches(autocast=("cpu", torch.bfloat16)):
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    assert torch.get_autocast_dtype("cpu") == torch.float16
    assert torch.is_autocast_enabled("cpu") == on


def test_autocast_of_the_run_itself_is_held_and_not_refused() -> None:
    with protected(), held_switches(autocast=("cpu", torch.bfloat16)):
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        with foreign_code("the forward pass"):
            pass
        with pytest.raises(ModelError, match="autocast"), foreign_code("the forward pass"):
            torch.set_autocast_enabled("cpu", False)
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")


def in_a_thread(work: Callable[[], None]) -> BaseException | None:
    """Run a function in a thread; return the exception that it raised."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None


def test_a_change_in_a_reader_thread_is_refused_there_too() -> None:
    def prepare() -> None:
        with foreign_code("preparing an image"):
            torch.set_autocast_enabled("cpu", True)

    def after() -> None:
        with foreign_code("preparing an image"):
            pass

    with protected(), held_switches(autocast=("cpu", torch.bfloat16)):
        error = in_a_thread(prepare)
        assert isinstance(error, ModelError)
        assert "preparing an image" in error.message
        # The main thread's autocast is its own business.
        assert in_a_thread(after) is None


def test_what_code_changes_for_as_long_as_it_runs_is_left_alone_meanwhile() -> None:
    inside, go_on = threading.Event(), threading.Event()
    seen = []

    def prepare() -> None:
        with foreign_code("preparing an image"):
            torch.set_default_dtype(torch.float64)
            inside.set()
            go_on.wait(30)
            seen.append(torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)

    with protected():
        thread = threading.Thread(target=prepare)
        thread.start()
        inside.wait(30)
        with foreign_code("the forward pass"):
            pass
        go_on.set()
        thread.join()
    assert seen == [torch.float64]


def test_everything_else_that_code_leaves_behind_is_set_back(tmp_path: Path) -> None:
    folder, filters, path = Path.cwd(), list(warnings.filters), list(sys.path)
    handler, threads = signal.getsignal(signal.SIGINT), torch.get_num_threads()
    stdout, numpy_errors, home = sys.stdout, np.geterr(), os.environ["FCNBENCH_HOME"]
    pillow = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    with protected():
        with foreign_code("the forward pass"):
            os.chdir(tmp_path)
            warnings.simplefilter("ignore")
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            torch.set_num_threads(threads + 1)
            sys.stdout = None  # type: ignore[assignment]
            np.seterr(all="raise")
            os.environ["FCNBENCH_HOME"] = str(tmp_path / "other")
            sys.path.insert(0, str(tmp_path))
            ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = True, 7
        assert Path.cwd() == folder
        assert warnings.filters == filters
        assert signal.getsignal(signal.SIGINT) == handler
        assert torch.get_num_threads() == threads
        assert sys.stdout is stdout
        assert np.geterr() == numpy_errors
        assert os.environ["FCNBENCH_HOME"] == home
        # What the code imports later may still be found through it.
        assert sys.path[0] == str(tmp_path)
    assert sys.path == path
    assert pillow == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_a_working_directory_that_is_gone_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with suppress(OSError), protected(), foreign_code("the forward pass"):
        pass


def test_random_generators_start_alike_and_go_on_where_they_were() -> None:
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    drawn = []
    for _ in range(2):
        with protected():
            drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    seed(3)
    first = torch.rand(2)
    seed(3)
    assert torch.equal(first, torch.rand(2))


def test_a_model_is_built_outside_of_the_callers_modes() -> None:
    torch.set_default_dtype(torch.float64)
    with torch.inference_mode():
        net = fcnbench.load_model("fcn32s-pocket").module  # type: ignore[attr-defined]
    assert {value.dtype for value in net.parameters()} == {torch.float32}
    assert not any(value.is_inference() for value in net.parameters())
