"""The fast path of the VGG FCNs: the same function of the image, with fewer multiplications.

In the first four stages, only the cells that depend on the image are computed (`band.py`). The others have the values
that an all-zero image gives; these are computed once and kept. fc6 and fc7 are matrix products with the weights as they
are stored, and the last up-sampling is an interpolation where its weights are the bilinear kernel. Sums run in another
order than in the plain network; nothing else differs.

The network is only read. The cached values are compared with its weights before every pass, and a network that does not
compute what it was built to (`weight_changes.py`) runs as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.band import (
    Span,
    banded_stages,
    representative_cells,
    representatives_of,
    small_canvas,
    spans,
)
from fcnbench.models.fcn.convolution import (
    conv_relu,
    fused_conv_relu,
    matmul_conv_relu,
    without_fused_convolution,
)
from fcnbench.models.fcn.fcn import FCN, SKIPS
from fcnbench.models.fcn.trunk import Stream
from fcnbench.models.fcn.upsampling import interpolated_upsampling
from fcnbench.models.fcn.vgg import VGGTrunk
from fcnbench.models.fcn.weight_changes import FastPathCache, computes_as_built
from fcnbench.models.float32 import float32_precision
from fcnbench.models.segmenter import Segmenter, SegmenterWrapper, only_runs_its_module


def with_fast_path(segmenter: Segmenter) -> Segmenter:
    """Return the segmenter on the fast path if its network has one, otherwise the segmenter itself.

    A segmenter that overrides methods may do more than run its network, so it is returned as it is.
    """
    return FastSegmenter(segmenter) if _has_fast_path(segmenter) else segmenter


def without_fast_path(segmenter: Segmenter) -> Segmenter:
    """Return the segmenter that `with_fast_path` was given."""
    return segmenter.inner if isinstance(segmenter, FastSegmenter) else segmenter


def _has_fast_path(segmenter: Any) -> bool:
    """Return whether a segmenter's logits are its network's output, and that network has a constant band."""
    return only_runs_its_module(segmenter) and _has_band(segmenter.module)


def _has_band(net: nn.Module) -> bool:
    """Return whether a network is an FCN with a VGG trunk whose padding leaves a constant band."""
    return isinstance(net, FCN) and isinstance(net.trunk, VGGTrunk) and banded_stages(net.trunk) > 0


class FastSegmenter(SegmenterWrapper):
    """A segmenter whose network is a VGG FCN, run on the fast path.

    The network is never modified and may be changed in any way. Every pass uses the network as it is then: on the fast
    path where that still computes the same, otherwise as the network is written.

    Args:
        inner: the segmenter.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._forward = FastForward(inner.module)

    @property
    def module(self) -> nn.Module:
        """The network of the wrapped segmenter."""
        module: nn.Module = self.inner.module
        return module

    @module.setter
    def module(self, net: nn.Module) -> None:
        self.inner.module = net

    @property
    def forward_path(self) -> str:
        """How the next pass will be computed, as records name it: `constant band` or `plain`."""
        return "constant band" if self._applies() and self._forward.applies else "plain"

    def logits(self, batch: Tensor) -> Tensor:
        """Return the first head's logits [N, C, H, W] for preprocessed images [N, channels, H, W]."""
        return self.all_logits(batch)["out"]

    def all_logits(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of every head by its key; the first one's key is `out`."""
        if self._applies():
            return self._forward(batch)
        logits: Mapping[str, Tensor] = self.inner.all_logits(batch)
        return logits

    def _applies(self) -> bool:
        """Return whether the wrapped segmenter still only runs a network with a fast path, in evaluation mode."""
        if not _has_fast_path(self.inner) or self.inner.module.training:
            return False
        if self._forward.net is not self.inner.module:
            self._forward = FastForward(self.inner.module)
        return True


class FastForward:
    """The forward pass of a VGG FCN in evaluation mode, on the fast path.

    Every pass uses the weights as they are then, however they were changed: the cache (values for an all-zero image and
    copies of the weights that gave them, 30 MB for VGG16) is compared with the network first. A network that does not
    compute what it was built to, such as one with forward hooks, runs as it is written.

    Args:
        net: the network, which is only read.

    Raises:
        ValueError: the trunk is not a VGG trunk, or its padding leaves no constant band.

    >>> from fcnbench.models.fcn.pocket import POCKET_TRUNK
    >>> net = FCN(8, 32, POCKET_TRUNK).eval()
    >>> FastForward(net)(torch.zeros(1, 3, 50, 70))["out"].shape
    torch.Size([1, 8, 50, 70])
    """

    def __init__(self, net: FCN) -> None:
        if not _has_band(net):
            raise ValueError("the fast path needs a VGG trunk whose padding leaves a constant band")
        self.net = net
        self._cache: FastPathCache | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle the network alone: the cache can be recomputed."""
        return {"net": self.net}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.net, self._cache = state["net"], None

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the logits [N, C, H, W] of every head by its key, for preprocessed images [N, channels, H, W].

        Raises:
            ValueError: the network is in training mode.
        """
        net = self.net
        if net.training:
            raise ValueError("the fast path is for evaluation: call eval() first")
        with torch.inference_mode():
            if not self.applies:
                output = net(batch)
                return dict(output) if isinstance(output, Mapping) else {"out": output}
            cache = self._valid_cache(batch.device)
            pools: list[dict[int, Tensor]] = []
            tops: list[Tensor] = []
            for stream, x in net.split(batch):
                stream_pools, top = self._forward_trunk(x, stream, cache)
                pools.append(stream_pools)
                tops.append(top)
            return net.logits_of(pools, tops, batch.shape, interpolated_upsampling)

    @property
    def applies(self) -> bool:
        """Whether the fast path computes the same function as the network does now."""
        return _has_band(self.net) and computes_as_built(self.net)

    @property
    def _trunk(self) -> VGGTrunk:
        return cast(VGGTrunk, self.net.trunk)

    def _valid_cache(self, device: torch.device) -> FastPathCache:
        """Return the cache, after replacing it if it belongs to other weights or another precision.

        A pass keeps the returned object, since other threads may replace the attribute meanwhile.
        """
        autocast_dtype = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        settings = (autocast_dtype, float32_precision(), self._trunk, self.net.streams)
        layers: dict[str, list[Any]] = {}
        for stream in self.net.streams:
            names = [name for stage in self._banded_stages for name in self._trunk.layer_names(stage, stream)]
            layers[stream.suffix] = [self.net.get_submodule(name) for name in names]
        cache = self._cache
        if cache is None or not cache.is_valid_for(settings, layers):
            cache = self._cache = FastPathCache(settings, layers)
        return cache

    @property
    def _banded_stages(self) -> range:
        """Numbers of the stages that have a constant band."""
        return range(1, 1 + banded_stages(self._trunk))

    def _forward_trunk(self, x: Tensor, stream: Stream, cache: FastPathCache) -> tuple[dict[int, Tensor], Tensor]:
        """Return the pools of one stream that are needed later, by number, and the output of fc7."""
        last = banded_stages(self._trunk)
        with nullcontext() if cache.stays_finite(x, stream.suffix) else without_fused_convolution():
            pools = self._banded_pools(x, stream, cache)
        x = pools[last]
        for stage in range(1 + last, 1 + len(self._trunk.depths)):
            # These feature maps are small, so that a separate pass for the ReLU costs next to nothing.
            x = pools[stage] = self._trunk.forward_stage(self.net, x, stream, stage, conv_relu=conv_relu)
        for name in ("fc6", "fc7"):
            x = matmul_conv_relu(cast(nn.Conv2d, stream.layer(self.net, name)), x)
        return pools, x

    def _banded_pools(self, x: Tensor, stream: Stream, cache: FastPathCache) -> dict[int, Tensor]:
        """Return those pools of the banded stages that are needed later, on the whole canvas, by number."""
        zero_pools = self._zero_image_pools(x, stream, cache)
        pools: dict[int, Tensor] = {}
        needed = {*SKIPS[self.net.stride], banded_stages(self._trunk)}
        previous: tuple[Span, Span] | None = None
        by_stage = zip(*(spans(self._trunk, side) for side in x.shape[-2:]), strict=True)
        for stage, (row, column) in enumerate(by_stage, start=1):
            # First the cells that the stage's convolutions read, then the stage on these cells alone.
            if previous is None:
                x = functional.pad(x, (column.before, column.after, row.before, row.after))
                x = x.contiguous(memory_format=torch.channels_last)
            else:
                cells = [
                    representatives_of(span, span.start - now.before, span.stop + now.after)
                    for span, now in zip(previous, (row, column), strict=True)
                ]
                x = _paste(x, zero_pools[stage - 2], cells, (row.before, column.before))
            x = self._forward_stage(x, stream, stage, first_padding=0, padding=0)
            if stage in needed:
                canvas = [representatives_of(span, 0, span.size) for span in (row, column)]
                pools[stage] = _paste(x, zero_pools[stage - 1], canvas, (row.start, column.start))
            previous = row, column
        return pools

    def _forward_stage(self, x: Tensor, stream: Stream, stage: int, first_padding: int = 1, padding: int = 1) -> Tensor:
        return self._trunk.forward_stage(
            self.net, x, stream, stage, first_padding=first_padding, padding=padding, conv_relu=fused_conv_relu
        )

    def _zero_image_pools(self, x: Tensor, stream: Stream, cache: FastPathCache) -> list[Tensor]:
        """Return the banded stages' pools for an all-zero image: their border cells and one constant cell between."""
        sides = x.shape[-2:]
        height, width = (small_canvas(self._trunk, side) for side in sides)
        key = (stream.suffix, height, width)
        if key not in cache.zero_image_pools:
            # The canvas is the output of the first convolution, which, unpadded, reads two cells more.
            zeros = x.new_zeros((1, x.shape[1], height + 2, width + 2)).to(memory_format=torch.channels_last)
            pools = []
            by_stage = zip(*(spans(self._trunk, side) for side in sides), strict=True)
            for stage, (row, column) in enumerate(by_stage, start=1):
                zeros = self._forward_stage(zeros, stream, stage, first_padding=0 if stage == 1 else 1)
                rows = representative_cells(row, zeros.shape[-2])
                columns = representative_cells(column, zeros.shape[-1])
                pools.append(_select(zeros, rows, columns))
            cache.zero_image_pools[key] = pools
        return cache.zero_image_pools[key]


def _select(x: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    """Return these rows and columns of a feature map, in channels_last order."""
    # Made on the CPU first: a device that is implemented in Python can't make a tensor of a list.
    row_index, column_index = (torch.tensor(cells, device="cpu").to(x.device) for cells in (rows, columns))
    return x[..., row_index, :][..., column_index].contiguous(memory_format=torch.channels_last)


def _paste(x: Tensor, zero_pool: Tensor, cells: list[list[int]], position: tuple[int, int]) -> Tensor:
    """Surround the image's cells by those of an all-zero image.

    Args:
        x: the image's cells [N, C, h, w].
        zero_pool: cells of an all-zero image [1, C, ., .].
        cells: for the rows and the columns of the result, which row and column of `zero_pool` they equal.
        position: row and column of the result where `x` starts.
    """
    rows, columns = cells
    (height, width), (row, column) = x.shape[-2:], position
    size = (*x.shape[:2], len(rows), len(columns))
    result = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    beside = rows[row : row + height]
    result[..., row : row + height, column : column + width] = x
    result[..., :row, :] = _select(zero_pool, rows[:row], columns)
    result[..., row + height :, :] = _select(zero_pool, rows[row + height :], columns)
    result[..., row : row + height, :column] = _select(zero_pool, beside, columns[:column])
    result[..., row : row + height, column + width :] = _select(zero_pool, beside, columns[column + width :])
    return result
