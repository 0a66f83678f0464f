"""The exact fast path of the VGG FCNs: the same function of the picture, with fewer multiplications.

Of the first four stages only the cells that depend on the picture are computed (`band.py`); the rest is pasted from
the answer to an empty picture. fc6 and fc7 are matrix products over their weights as they lie in memory, and the last
up-sampling is an interpolation where its weights are the bilinear kernel. Sums run in another order than in the plain
network; nothing else differs.

The network is only read. What is kept of it (the answers to an empty picture) is compared with its weights before every
pass, and a network that does not compute as it was built (`unchanged.py`) runs as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.band import Span, banded_stages, empty_canvas, folded, spans, unfolded
from fcnbench.models.fcn.fcn import FCN, SKIPS, bilinear_kernel, transposed
from fcnbench.models.fcn.packed import multiplied, rectified, unfused
from fcnbench.models.fcn.trunks import Stream, VggTrunk, convolved
from fcnbench.models.fcn.weight_changes import Kept, computes_as_built
from fcnbench.models.float32 import float32_precision
from fcnbench.models.segmenter import Around, Segmenter, runs_its_module


def accelerated(segmenter: Segmenter) -> Segmenter:
    """Return the same segmenter on the fast path, where there is one for its network; else the segmenter as it is.

    A segmenter with methods of its own may do more than run its network, so it stays as it is.
    """
    return Fast(segmenter) if _only_runs(segmenter) else segmenter


def plain(segmenter: Segmenter) -> Segmenter:
    """Return the same segmenter without the fast path."""
    return segmenter.inner if isinstance(segmenter, Fast) else segmenter


def _only_runs(segmenter: Any) -> bool:
    """Whether a segmenter's logits are what its network answers, and that network has a fast path."""
    return runs_its_module(segmenter) and _has_band(segmenter.module)


def _has_band(net: nn.Module) -> bool:
    """Whether a network is an FCN with a VGG trunk whose padding leaves a constant band."""
    return isinstance(net, FCN) and isinstance(net.trunk, VggTrunk) and banded_stages(net.trunk) > 0


class Fast(Around):
    """A segmenter whose network is a VGG FCN, run on the fast path.

    The network is never modified, and may be changed in any way: the next pass is one of the network as it is then,
    by the fast path where that still serves, else as the network is written.

    Args:
        inner: the segmenter.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._forward = FastForward(inner.module)

    @property
    def module(self) -> nn.Module:
        """The network inside."""
        found: nn.Module = self.inner.module
        return found

    @module.setter
    def module(self, net: nn.Module) -> None:
        self.inner.module = net

    @property
    def forward_path(self) -> str:
        """How a pass is carried out now, as the record says it."""
        return "constant band" if self._serves() and self._forward.serves else "plain"

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits [N, C, H, W] of prepared pictures [N, planes, H, W], of the first head."""
        return self.all_logits(batch)["out"]

    def all_logits(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Return the logits of every head by its name; `out` is the first one's."""
        if self._serves():
            return self._forward(batch)
        found: Mapping[str, Tensor] = self.inner.all_logits(batch)
        return found

    def _serves(self) -> bool:
        """Whether the segmenter inside still does no more than run a network with a fast path, to evaluate it."""
        if not _only_runs(self.inner) or self.inner.module.training:
            return False
        if self._forward.net is not self.inner.module:
            self._forward = FastForward(self.inner.module)
        return True


class FastForward:
    """The forward pass of a VGG FCN in evaluation mode, on the fast path.

    Every pass is one of the weights as they are then, however they were changed: what is kept (the answers to an empty
    picture, with copies of the weights that they follow from, 30 MB for VGG16) is compared with the network first. A
    network that does not compute as it was built, such as one with forward hooks, runs as it is written.

    Args:
        net: the network, which is only read.

    Raises:
        ValueError: the trunk is no VGG trunk, or its padding leaves no constant band.
    """

    def __init__(self, net: FCN) -> None:
        if not _has_band(net):
            raise ValueError("the fast path needs a VGG trunk whose padding leaves a constant band")
        self.net = net
        self._kept: Kept | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle the network alone: what is kept of it can be found again."""
        return {"net": self.net}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.net, self._kept = state["net"], None

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Return logits [N, C, H, W] of every head by its name, for prepared pictures [N, planes, H, W].

        Raises:
            ValueError: the network is in training mode.
        """
        net = self.net
        if net.training:
            raise ValueError("the fast path is for evaluation: call eval() first")
        with torch.inference_mode():
            if not self.serves:
                answer = net(batch)
                return dict(answer) if isinstance(answer, Mapping) else {"out": answer}
            kept = self._look(batch.device)
            pools: list[dict[int, Tensor]] = []
            tops: list[Tensor] = []
            parts = batch.split([each.channels for each in net.streams], 1)
            for stream, part in zip(net.streams, parts, strict=True):
                found, top = self._run(part, stream, kept)
                pools.append(found)
                tops.append(top)
            return net.answers(pools, tops, batch.shape, interpolated)

    @property
    def serves(self) -> bool:
        """Whether the fast path computes what the network does now."""
        return _has_band(self.net) and computes_as_built(self.net)

    @property
    def _trunk(self) -> VggTrunk:
        return cast(VggTrunk, self.net.trunk)

    def _look(self, device: torch.device) -> Kept:
        """Return what is kept, anew where it is that of other weights or of another arithmetic.

        A pass holds on to it: other threads may replace it meanwhile.
        """
        cast_to = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        arithmetic = (cast_to, float32_precision(), self._trunk, self.net.streams)
        stages = range(1, 1 + banded_stages(self._trunk))
        layers: dict[str, list[Any]] = {stream.suffix: [] for stream in self.net.streams}
        for stream, stage in product(self.net.streams, stages):
            layers[stream.suffix] += map(self.net.get_submodule, self._trunk.names(stage, stream))
        kept = self._kept
        if kept is None or not kept.follows_from(arithmetic, layers):
            kept = self._kept = Kept(arithmetic, layers)
        return kept

    def _run(self, flow: Tensor, stream: Stream, kept: Kept) -> tuple[dict[int, Tensor], Tensor]:
        """The pools that are needed later by number, and fc7, of one stream."""
        stages = banded_stages(self._trunk)
        with nullcontext() if kept.stays_finite(flow, stream.suffix) else unfused():
            found = self._banded(flow, stream, kept)
        flow = found[stages]
        for stage in range(1 + stages, 1 + len(self._trunk.depths)):
            # Small, so that a pass for the ReLU by itself costs nothing.
            flow = found[stage] = self._trunk.stage(self.net, flow, stream, stage, convolve=convolved)
        for name in ("fc6", "fc7"):
            flow = multiplied(cast(nn.Conv2d, self.net.get_submodule(name + stream.suffix)), flow)
        return found, flow

    def _banded(self, flow: Tensor, stream: Stream, kept: Kept) -> dict[int, Tensor]:
        """The pools of the banded stages that are needed later, whole, by number."""
        empty = self._of_nothing(flow, stream, kept)
        pools: dict[int, Tensor] = {}
        wanted = {*SKIPS[self.net.stride], banded_stages(self._trunk)}
        before: tuple[Span, Span] | None = None
        pairs = zip(*(spans(self._trunk, side) for side in flow.shape[-2:]), strict=True)
        for stage, (row, column) in enumerate(pairs, start=1):
            if before is None:
                flow = functional.pad(flow, (column.before, column.after, row.before, row.after))
                flow = flow.contiguous(memory_format=torch.channels_last)
            else:
                frame = [
                    unfolded(span, span.start - now.before, span.stop + now.after)
                    for span, now in zip(before, (row, column), strict=True)
                ]
                flow = _pasted(flow, empty[stage - 2], frame, (row.before, column.before))
            flow = self._stage(flow, stream, stage, first=0, rest=0)
            if stage in wanted:
                canvas = [unfolded(span, 0, span.size) for span in (row, column)]
                pools[stage] = _pasted(flow, empty[stage - 1], canvas, (row.start, column.start))
            before = row, column
        return pools

    def _stage(self, flow: Tensor, stream: Stream, stage: int, first: int = 1, rest: int = 1) -> Tensor:
        return self._trunk.stage(self.net, flow, stream, stage, first=first, rest=rest, convolve=rectified)

    def _of_nothing(self, like: Tensor, stream: Stream, kept: Kept) -> list[Tensor]:
        """The banded pools of an empty picture whose canvas the pools cut alike, folded: its edges and one constant."""
        height, width = (empty_canvas(self._trunk, side) for side in like.shape[-2:])
        key = (stream.suffix, height, width)
        if key not in kept.empty:
            # The canvas is the first convolution's output, for which that goes without padding over two cells more.
            flow = like.new_zeros((1, like.shape[1], height + 2, width + 2)).to(memory_format=torch.channels_last)
            found = []
            pairs = zip(*(spans(self._trunk, side) for side in like.shape[-2:]), strict=True)
            for stage, pair in enumerate(pairs, start=1):
                flow = self._stage(flow, stream, stage, first=0 if stage == 1 else 1)
                places = [folded(span, size) for span, size in zip(pair, flow.shape[-2:], strict=True)]
                found.append(_picked(flow, *places))
            kept.empty[key] = found
        return kept.empty[key]


def interpolated(layer: nn.ConvTranspose2d, flow: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """The last up-sampling as an interpolation, where the layer's weights are the bilinear kernel of twice its stride.

    A transposed convolution of that kernel fades out into zeros: it is the interpolation of scores with zeros around.
    """
    stride = layer.stride[0]
    if not _interpolates(layer, flow):
        return transposed(layer, flow, offset, shape)
    # Cell t of the transposed convolution looks at (t - (kernel - 1) / 2) / stride among the scores, and cell j of the
    # interpolation at (j + 1/2) / stride - 1/2 among those with one zero in front.
    shift = offset + stride // 2
    ends = []
    for side in shape[-2:]:
        first = (2 * shift + 1 - stride) // (2 * stride)
        last = (2 * (shift + side - 1) + 1 - stride) // (2 * stride) + 1
        ends.append((first, last + 1))
    framed = functional.pad(flow, (1, 1, 1, 1))
    (top, bottom), (left, right) = ends
    # Two cells more than are looked at would cost as much as they are; fewer would be taken for the edge.
    part = framed[..., top:bottom, left:right].contiguous(memory_format=torch.channels_last)
    fine = functional.interpolate(part, scale_factor=stride, mode="bilinear", align_corners=False)
    row, column = shift - top * stride, shift - left * stride
    return fine[..., row : row + shape[-2], column : column + shape[-1]].contiguous()


def _interpolates(layer: nn.ConvTranspose2d, flow: Tensor) -> bool:
    """Whether an up-sampling interpolates: the zeros in its kernels make NaN of an infinite score, in every class."""
    return _is_bilinear(layer) and bool(flow.isfinite().all())


def _is_bilinear(layer: nn.ConvTranspose2d) -> bool:
    """Whether a layer up-samples every channel by itself, with the bilinear kernel of twice its stride."""
    weight, stride = layer.weight, layer.stride[0]
    shape = (layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups, layer.bias)
    if shape != ((stride, stride), (0, 0), (0, 0), (1, 1), 1, None):
        return False
    if weight.shape[0] != weight.shape[1] or tuple(weight.shape[2:]) != (2 * stride, 2 * stride):
        return False
    kernel = bilinear_kernel(2 * stride).to(weight)
    diagonal = torch.eye(len(weight), device="cpu").to(weight)
    return torch.equal(weight, diagonal[:, :, None, None] * kernel)


def _picked(flow: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    """These rows and columns, in channels-last order."""
    # Made on the host first: a device in Python can't make a tensor of a list.
    high, wide = (torch.tensor(each, device="cpu").to(flow.device) for each in (rows, columns))
    picked = flow[..., high, :][..., wide]
    return picked.contiguous(memory_format=torch.channels_last)


def _pasted(flow: Tensor, empty: Tensor, places: list[list[int]], at: tuple[int, int]) -> Tensor:
    """The picture's cells [N, C, h, w] on a canvas of an empty picture's cells, whose rows and columns are `places`."""
    rows, columns = places
    (height, width), (row, column) = flow.shape[-2:], at
    size = (*flow.shape[:2], len(rows), len(columns))
    whole = torch.empty(size, dtype=flow.dtype, device=flow.device, memory_format=torch.channels_last)
    whole[..., row : row + height, column : column + width] = flow
    whole[..., :row, :] = _picked(empty, rows[:row], columns)
    whole[..., row + height :, :] = _picked(empty, rows[row + height :], columns)
    whole[..., row : row + height, :column] = _picked(empty, rows[row : row + height], columns[:column])
    whole[..., row : row + height, column + width :] = _picked(
        empty, rows[row : row + height], columns[column + width :]
    )
    return whole
