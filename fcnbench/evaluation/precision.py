"""The precision of the forward pass: its floating-point format, and whether the network is compiled.

It is part of the protocol, because it can change a number. How a run is executed otherwise is not.
"""

from __future__ import annotations

import sys
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

HALF_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The formats of 16 bits, which autocast casts to."""

_COMPILER_LIMITS = {"cache_size_limit": 1 << 16, "accumulated_cache_size_limit": 1 << 20}
"""Limits on the compilations of one network: ceil-mode pools alone need a few dozen for different image sizes. These
are the names of PyTorch 2.6; later versions still accept them."""


@dataclass(frozen=True)
class Precision:
    """Precision of a forward pass.

    Attributes:
        format: one of `PRECISIONS`, such as `fp32` or `bf16`.
        compiled: whether the network is compiled by `torch.compile`.

    Raises:
        UsageError: the format is unknown.

    >>> Precision("bf16", compiled=True).name
    'bf16+compile'
    """

    format: str = "fp32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.format not in PRECISIONS:
            raise UsageError(f"--precision {self.format} is unknown", f"choose one of {', '.join(PRECISIONS)}")

    @classmethod
    def parse(cls, name: str) -> Precision:
        """Return the precision of a protocol's name, such as `fp32` or `bf16+compile`.

        Raises:
            UsageError: the name is unknown.

        >>> Precision.parse("bf16+compile")
        Precision(format='bf16', compiled=True)
        """
        return cls(name.removesuffix(COMPILED), name.endswith(COMPILED))

    @cached_property
    def name(self) -> str:
        """Name in the protocol: `fp32`, `bf16+compile`."""
        return f"{self.format}{COMPILED}" if self.compiled else self.format

    @property
    def plain(self) -> bool:
        """Whether it is float32 without compilation, with which other precisions are compared."""
        return self == FP32

    def check_device(self, device: torch.device) -> None:
        """Check that a device supports the precision.

        Raises:
            UsageError: it does not.
        """
        if self.format == "tf32" and device.type != "cuda":
            raise UsageError("--precision tf32 needs a CUDA device: no other supports it", "choose fp32 or bf16")
        half = HALF_DTYPES.get(self.format)
        if half is not None and device.type != "cpu" and not casts_to(device, half):
            raise UsageError(
                f"--precision {self.format}: PyTorch's autocast does not compute in it on {device}", "choose fp32"
            )

    def compile_network(self, segmenter: Segmenter) -> None:
        """Mark a segmenter's network for compilation at its first forward pass, if the precision says so.

        Raises:
            ModelError: the segmenter has no `torch.nn.Module` to compile.
        """
        if not self.compiled:
            return
        module = module_of(segmenter)
        if module is None:
            raise ModelError("--compile: the model shows no torch.nn.Module", "drop --compile")
        # For all sizes at once, so that no image's numbers depend on the sizes that came before it.
        module.compile(dynamic=True)

    @contextmanager
    def applied(self, device: torch.device) -> Iterator[None]:
        """Run forward passes in this precision inside the block: deterministic cuDNN kernels, no autograd.

        Process-wide settings that can change a number are set for the block and restored after it.
        """
        half = HALF_DTYPES.get(self.format)
        cast = nullcontext() if half is None else torch.autocast(device.type, half)
        # Past its limit the compiler would silently run later sizes uncompiled.
        limits = torch._dynamo.config.patch(_COMPILER_LIMITS) if self.compiled else nullcontext()
        switches = held_switches(
            tf32=self.format == "tf32",
            autocast=None if half is None else (device.type, half),
            device=device.type,
        )
        with torch.inference_mode(), limits, cast, switches:
            yield


FP32 = Precision()
"""The precision of the papers' protocol."""


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run networks without compilation inside the block, even compiled ones."""
    # Nothing is compiled before PyTorch's compiler is imported, which takes a second.
    with torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext():
        yield
