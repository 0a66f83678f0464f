"""The exact fast path of the VGG FCNs: the same function of the picture, with fewer multiplications.

Of the first four stages only the cells that depend on the picture are computed (`band.py`); the rest is pasted from
the answer to an empty picture. On a CPU weights lie ready for its kernels (`packed.py`), and the last up-sampling is an
interpolation where its weights are the bilinear kernel. Sums run in another order than in the plain network; nothing
else differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.band import Span, banded_stages, empty_canvas, folded, spans, unfolded
from fcnbench.models.fcn import FCN, SKIPS, bilinear_kernel, transposed
from fcnbench.models.packed import Packed
from fcnbench.models.segmenter import Around, Segmenter
from fcnbench.models.trunks import Stream, VggTrunk


def accelerated(segmenter: Segmenter) -> Segmenter:
    """The same segmenter on the fast path, where there is one for its network; else the segmenter as it is."""
    net = getattr(segmenter, "module", None)
    if isinstance(net, FCN) and isinstance(net.trunk, VggTrunk) and banded_stages(net.trunk):
        return Fast(segmenter)
    return segmenter


def plain(segmenter: Segmenter) -> Segmenter:
    """The same segmenter without the fast path."""
    return segmenter.inner if isinstance(segmenter, Fast) else segmenter


class Fast(Around):
    """A segmenter whose network is a VGG FCN, run on the fast path.

    Args:
        inner: the segmenter; its network is brought into the memory layout that suits its device, values unchanged.
    """

    forward_path = "constant band"

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._forward = FastForward(inner.module)

    def logits(self, batch: Tensor) -> Tensor:
        """Logits [N, C, H, W] of prepared pictures [N, planes, H, W], of the first head."""
        return self.all_logits(batch)["out"]

    def all_logits(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Logits of every head by its name; `out` is the first one's."""
        with torch.inference_mode():
            return self._forward(batch)


class FastForward:
    """The forward pass of a VGG FCN in evaluation mode, on the fast path.

    What it keeps of the network (the answers to an empty picture, the memory layout) is made anew when the weights
    were changed or moved.

    Args:
        net: the network.

    Raises:
        ValueError: the trunk is no VGG trunk, or its padding leaves no constant band.
    """

    def __init__(self, net: FCN) -> None:
        if not isinstance(net.trunk, VggTrunk) or not banded_stages(net.trunk):
            raise ValueError("the fast path needs a VGG trunk whose padding leaves a constant band")
        self.net = net
        self._trunk = net.trunk
        self._stages = banded_stages(net.trunk)
        self._wanted = {*SKIPS[net.stride], self._stages}
        self._empty: dict[tuple[str, int, int], list[Tensor]] = {}
        self._known: tuple[Any, ...] = ()
        self._convolve = Packed()

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Logits [N, C, H, W] of every head by its name, for prepared pictures [N, planes, H, W].

        Raises:
            ValueError: the network is in training mode.
        """
        if self.net.training:
            raise ValueError("the fast path is for evaluation: call eval() first")
        self._look(batch.device)
        pools: list[dict[int, Tensor]] = []
        tops: list[Tensor] = []
        streams = self.net.streams
        for stream, part in zip(streams, batch.split([each.channels for each in streams], 1), strict=True):
            found = self._banded(part, stream)
            flow = found[self._stages]
            for stage in range(self._stages + 1, 1 + len(self._trunk.depths)):
                flow = found[stage] = self._stage(flow, stream, stage)
            pools.append(found)
            for name in ("fc6", "fc7"):
                flow = self._convolve(cast(nn.Conv2d, self.net.get_submodule(name + stream.suffix)), flow, 0)
            tops.append(flow)
        return self.net.answers(pools, tops, batch.shape, interpolated)

    def _look(self, device: torch.device) -> None:
        """Forget what was kept of other weights or arithmetic; bring these into the layout that convolutions like."""
        if self._state(device) == self._known:
            return
        self.net.to(memory_format=torch.channels_last)
        self._empty.clear()
        self._convolve.clear()
        self._known = self._state(device)

    def _state(self, device: torch.device) -> tuple[Any, ...]:
        """What changes when somebody changes or moves the weights, or the arithmetic."""
        cast = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
        weights = (
            (value.data_ptr(), value.dtype, 0 if value.is_inference() else value._version)
            for value in self.net.parameters()
        )
        return (cast, torch.backends.cudnn.allow_tf32, *weights)

    def _banded(self, flow: Tensor, stream: Stream) -> dict[int, Tensor]:
        """The pools of the banded stages that are needed later, whole, by number."""
        empty = self._of_nothing(flow, stream)
        pools: dict[int, Tensor] = {}
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
            if stage in self._wanted:
                canvas = [unfolded(span, 0, span.size) for span in (row, column)]
                pools[stage] = _pasted(flow, empty[stage - 1], canvas, (row.start, column.start))
            before = row, column
        return pools

    def _stage(self, flow: Tensor, stream: Stream, stage: int, first: int = 1, rest: int = 1) -> Tensor:
        return self._trunk.stage(self.net, flow, stream, stage, first=first, rest=rest, convolve=self._convolve)

    def _of_nothing(self, like: Tensor, stream: Stream) -> list[Tensor]:
        """The banded pools of an empty picture whose canvas the pools cut alike, folded: its edges and one constant."""
        height, width = (empty_canvas(self._trunk, side) for side in like.shape[-2:])
        key = (stream.suffix, height, width)
        if key not in self._empty:
            # The canvas is the first convolution's output, for which that goes without padding over two cells more.
            flow = like.new_zeros((1, like.shape[1], height + 2, width + 2)).to(memory_format=torch.channels_last)
            found = []
            pairs = zip(*(spans(self._trunk, side) for side in like.shape[-2:]), strict=True)
            for stage, pair in enumerate(pairs, start=1):
                flow = self._stage(flow, stream, stage, first=0 if stage == 1 else 1)
                places = [folded(span, size) for span, size in zip(pair, flow.shape[-2:], strict=True)]
                found.append(_picked(flow, *places))
            self._empty[key] = found
        return self._empty[key]


def interpolated(layer: nn.ConvTranspose2d, flow: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """The last up-sampling as an interpolation, where the layer's weights are the bilinear kernel of twice its stride.

    A transposed convolution of that kernel fades out into zeros: it is the interpolation of scores with zeros around.
    """
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    if kernel != 2 * stride or not _is_bilinear(layer):
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


def _is_bilinear(layer: nn.ConvTranspose2d) -> bool:
    """Whether a layer up-samples every channel by itself with the bilinear kernel."""
    kernel = bilinear_kernel(layer.kernel_size[0]).to(layer.weight)
    diagonal = torch.eye(layer.in_channels).to(layer.weight)
    return layer.bias is None and torch.equal(layer.weight, diagonal[:, :, None, None] * kernel)


def _picked(flow: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    """These rows and columns, in channels-last order."""
    # Made on the host first: a device in Python can't make a tensor of a list.
    high, wide = (torch.tensor(each).to(flow.device) for each in (rows, columns))
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
