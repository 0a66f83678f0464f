"""The arithmetic of the forward pass: which floating-point formats it may use, and whether the network is compiled.

It is part of the protocol, for it can change a number. Everything else about how a run is carried out is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch

from fcnbench.errors import ModelError, UsageError
from fcnbench.evaluation.device import casts_to
from fcnbench.models.segmenter import Segmenter, module_of
from fcnbench.models.torch_state import held_switches
from fcnbench.protocol import COMPILED, PRECISIONS

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions of half the bytes."""

_LIMITS = {"cache_size_limit": 1 << 16, "accumulated_cache_size_limit": 1 << 20}
"""Compilations of one network: ceil-mode pools alone make a few dozen kinds of sizes. PyTorch 2.6 knows no other names,
and later versions know these too."""


@dataclass(frozen=True)
class Arithmetic:
    """How the numbers of a forward pass are worked out.

    Attributes:
        precision: one of `PRECISIONS`.
        compiled: whether the network is compiled by `torch.compile`.

    Raises:
        UsageError: no such precision.
    """

    precision: str = "fp32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"--precision {self.precision} is unknown", f"choose one of {', '.join(PRECISIONS)}")

    @classmethod
    def named(cls, name: str) -> Arithmetic:
        """The arithmetic of a protocol's name, like `fp32` or `bf16+compile`.

        Raises:
            UsageError: no such arithmetic.
        """
        return cls(name.removesuffix(COMPILED), name.endswith(COMPILED))

    @cached_property
    def name(self) -> str:
        """As the protocol says it: `fp32`, `bf16+compile`."""
        return self.precision + COMPILED * self.compiled

    @property
    def plain(self) -> bool:
        """Whether it is float32 as it is written, which other arithmetics are held against."""
        return self == FP32

    def refuse(self, device: torch.device) -> None:
        """Refuse what a device can't do.

        Raises:
            UsageError: it can't.
        """
        if self.precision == "tf32" and device.type != "cuda":
            raise UsageError("--precision tf32 needs a CUDA device: no other has it", "choose fp32 or bf16")
        half = HALVES.get(self.precision)
        if half is not None and device.type != "cpu" and not casts_to(device, half):
            raise UsageError(
                f"--precision {self.precision}: PyTorch's autocast does not compute in it on {device}", "choose fp32"
            )

    def prepare(self, segmenter: Segmenter) -> None:
        """Have a segmenter's network compiled, where that is wanted; that happens at its first pictures.

        Raises:
            ModelError: the segmenter shows no network.
        """
        module = module_of(segmenter)
        if not self.compiled:
            return
        if module is None:
            raise ModelError("--compile: the model shows no torch.nn.Module", "drop --compile")
        # For every size at once, so that no picture's numbers depend on the sizes that came before it.
        module.compile(dynamic=True)

    @contextmanager
    def held(self, device: torch.device) -> Iterator[None]:
        """Run forward passes in this arithmetic inside the block: deterministic cuDNN kernels, no autograd.

        Process-wide settings that can change a number are set for the block, and restored after it.
        """
        half = HALVES.get(self.precision)
        cast = nullcontext() if half is None else torch.autocast(device.type, half)
        # Past its limit the compiler would quietly run later sizes uncompiled.
        limits = torch._dynamo.config.patch(_LIMITS) if self.compiled else nullcontext()
        switches = held_switches(
            tf32=self.precision == "tf32",
            autocast=None if half is None else (device.type, half),
            device=device.type,
        )
        with torch.inference_mode(), limits, cast, switches:
            yield


FP32 = Arithmetic()
"""What the papers' protocol is measured in."""


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run networks as they are written inside the block, compiled or not."""
    with torch.compiler.set_stance("force_eager"):
        yield
