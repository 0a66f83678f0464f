"""Devices by PyTorch's generic interface: what each offers is used, and what it lacks has a fallback.

CUDA's branches run on fake tensors and fake events here, without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from fcnbench.errors import UsageError
from fcnbench.evaluation import device as devices
from fcnbench.evaluation import events
from fcnbench.evaluation.device import choose_device, device_name, out_of_memory, peak_memory
from fcnbench.evaluation.events import Mark, call_first, events_of
from fcnbench.evaluation.timer import Timer
from fcnbench.models.fcn.weight_changes import FastPathCache
from fcnbench.models.load import load_model
from fcnbench.models.preprocess import caffe_bgr

CPU, CUDA, GPU_1 = torch.device("cpu"), torch.device("cuda"), torch.device("cuda:1")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    for cached in (events.events_of, events.synchronizer, devices.casts_to):
        cached.cache_clear()
    yield
    for cached in (events.events_of, events.synchronizer, devices.casts_to):
        cached.cache_clear()


class Clock:
    """A device whose work advances a clock of its own, one per GPU."""

    def __init__(self) -> None:
        self.now = {0: 0.0, 1: 0.0}
        self.waited: list[tuple[int, float]] = []
        self.synchronised: list[Any] = []

    def event(self, **options: Any) -> FakeEvent:
        return FakeEvent(self, **options)


class FakeEvent:
    """An event as torch.Event is: without a stream it is recorded on the current device, number 0."""

    def __init__(self, clock: Clock, device: Any = None, enable_timing: bool = False) -> None:
        self.clock, self.timed, self.on, self.at = clock, enable_timing, 0, -1.0

    def record(self, stream: int = 0) -> None:
        self.on = stream
        self.at = self.clock.now[stream]
        self.clock.now[stream] += 0.001  # something always lies between two events

    def synchronize(self) -> None:
        self.clock.waited.append((self.on, self.at))

    def elapsed_time(self, end: FakeEvent) -> float:
        if not (self.timed and end.timed) or self.on != end.on:
            raise RuntimeError("these events measure no time")
        return 1e3 * (end.at - self.at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Fake GPUs: their events and their module."""
    found = Clock()
    module = SimpleNamespace(
        current_stream=lambda device: device.index or 0,
        synchronize=lambda device=None: found.synchronised.append(device),
        device_count=lambda: 2,
        get_device_name=lambda device: f"Fake {device.index or 0}",
        max_memory_allocated=lambda device: 42,
    )
    monkeypatch.setattr(torch, "Event", found.event)
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    zeros = torch.zeros
    monkeypatch.setattr(torch, "ones", lambda *size, device: zeros(size, device="cpu"))
    found.module = module  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("device", [CUDA, torch.device("cuda:0"), GPU_1])
def test_times_are_those_between_two_events_on_the_devices_own_stream(clock: Clock, device: torch.device) -> None:
    index = device.index or 0
    timer = Timer(device)
    clock.now[index] += 0.25
    pending = timer.stop()
    clock.now[index] += 5  # work of the next image
    clock.waited.clear()
    assert pending.seconds() == pytest.approx(0.251)
    assert [on for on, _ in clock.waited] == [index]


def test_the_images_of_a_batch_share_its_time_equally(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Timer(GPU_1)
    clock.now[1] += 0.399
    assert timer.stop(4).seconds() == pytest.approx(0.1)
    now = iter([10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    assert Timer(torch.device("cpu")).stop(2).seconds() == 0.25


def test_a_mark_is_recorded_on_its_own_device_and_waited_for_alone(clock: Clock) -> None:
    clock.now[1] = 7.0
    mark = Mark(GPU_1)
    at = clock.now[1] - 0.001
    clock.now[1] += 9
    clock.waited.clear()
    mark.wait()
    assert clock.waited == [(1, at)]
    assert clock.synchronised == []


def refusing(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("Backend doesn't support events.")


class Timeless(FakeEvent):
    """Events that can be waited for and measure nothing."""

    def elapsed_time(self, end: FakeEvent) -> float:
        return 0.0


@pytest.mark.parametrize("event", [refusing, None])
def test_without_events_all_work_is_waited_for_before_and_after(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, event: Callable[..., Any] | None
) -> None:
    monkeypatch.setattr(torch, "Event", event, raising=False)
    now = iter([10.0, 10.5])
    assert events_of(CUDA, timed=True) is None
    events.synchronize(CUDA)
    clock.synchronised.clear()
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    timer = Timer(CUDA)
    assert clock.synchronised == [CUDA]
    pending = timer.stop()
    assert clock.synchronised == [CUDA, CUDA]
    assert pending.seconds() == 0.5
    Mark(CUDA).wait()
    assert len(clock.synchronised) == 3


def test_the_events_of_the_devices_module_are_used_where_the_generic_ones_fail(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "Event", refusing)
    clock.module.Event = clock.event  # type: ignore[attr-defined]
    timer = Timer(GPU_1)
    clock.now[1] += 0.5
    assert timer.stop().seconds() == pytest.approx(0.501)


def test_events_without_times_are_used_to_wait_and_not_to_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "Event", lambda **options: Timeless(clock, **options))
    assert events_of(CUDA) is not None
    assert events_of(CUDA, timed=True) is None


def test_a_cpu_has_no_events_and_waits_for_nothing() -> None:
    assert events_of(CPU) is None
    Mark(CPU).wait()
    timer = Timer(CPU)
    assert timer.stop().seconds() > 0


def test_each_process_uses_the_device_of_its_local_rank(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, index in (("0", 0), ("1", 1), ("2", 0)):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert choose_device("cuda") == torch.device("cuda", index)
    assert choose_device("cuda:1") == GPU_1
    assert choose_device("cpu") == CPU
    assert device_name(GPU_1) == "Fake 1"
    assert peak_memory(GPU_1) == 42


def test_auto_chooses_the_accelerator_and_the_cpu_where_it_fails(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert choose_device("auto") == torch.device("cuda", 0)
    monkeypatch.setattr(torch, "ones", refusing)
    assert choose_device("auto") == CPU
    assert "the accelerator can't be used; using the CPU: Backend" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--device cuda can't be used here: Backend"):
        choose_device("cuda")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert choose_device("auto") == CPU


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.92 GB, other allocations: 1 GB)"), True),
        (RuntimeError("XPU out of memory. Tried to allocate 20.00 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("Native API failed. Native API returns: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"), True),
        (RuntimeError("Invalid buffer size: 22.35 GiB"), True),
        (MemoryError("Unable to allocate 20.0 GiB for an array"), True),
        (type("DeviceOutOfMemoryError", (Exception,), {})("no room"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)  # fmt: skip
def test_errors_that_mean_out_of_memory_are_recognised(error: Exception, memory: bool) -> None:
    assert out_of_memory(error) == memory


def fakes_cuda() -> bool:
    """Return whether fake tensors can be on a missing GPU; those of PyTorch 2.6 need its driver."""
    with FakeTensorMode():
        try:
            return torch.empty(1).to("cuda").device.type == "cuda"
        except RuntimeError:
            return False


on_fake_cuda = pytest.mark.skipif(not fakes_cuda(), reason="fake tensors of this PyTorch need a GPU's driver")


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    """Tensors that have a device and a shape, and no values."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


@on_fake_cuda
def test_images_are_preprocess_on_a_gpu_from_their_bytes(fake: FakeTensorMode, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[torch.dtype] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor.dtype)
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    found = caffe_bgr.on(CUDA, np.zeros((31, 33, 3), np.uint8))
    assert (found.device.type, found.dtype, tuple(found.shape)) == ("cuda", torch.float32, (3, 31, 33))
    assert pinned == [torch.uint8]


@on_fake_cuda
@pytest.mark.parametrize("fast", [False, True])
def test_the_papers_network_stays_on_a_gpu(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # These two look at numbers, which fake tensors do not have.
    monkeypatch.setattr("fcnbench.models.fcn.fast.FastPathCache", lambda settings, layers: FastPathCache((), {}))
    monkeypatch.setattr("fcnbench.models.fcn.upsampling.can_interpolate", lambda layer, scores: True)
    segmenter = load_model("fcn8s-pocket", fast=fast)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        module = segmenter.module
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            owner = module.get_submodule(name.rpartition(".")[0])
            setattr(owner, name.rpartition(".")[2], torch.nn.Parameter(mode.from_tensor(value).to("cuda"), False))
        logits = segmenter.logits(torch.empty(2, 3, 97, 131, device="cuda"))
    assert (logits.device.type, tuple(logits.shape)) == ("cuda", (2, 8, 97, 131))


@pytest.mark.parametrize(
    "function",
    [lambda device: device, lambda device=None: device, lambda *all_of: all_of[0], lambda *, device=None: device],
)
def test_functions_get_the_device_whatever_their_signature(
    function: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "some_function", function, raising=False)
    assert call_first(torch.device("cpu"), "some_function") == torch.device("cpu")
