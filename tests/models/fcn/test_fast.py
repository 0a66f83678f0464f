"""The fast path: the same function as the plain network at every alignment, and what happens when it is not."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import fcnbench
from fcnbench.models.fcn import convolution
from fcnbench.models.fcn.band import banded_stages, representative_cells, representatives_of, small_canvas, spans
from fcnbench.models.fcn.fast import FastForward, FastSegmenter, with_fast_path
from fcnbench.models.fcn.fcn import AT_ONCE, FCN, Head
from fcnbench.models.fcn.pocket import POCKET_TRUNK
from fcnbench.models.fcn.trunk import Stream
from fcnbench.models.fcn.vgg import VGG16, VGGTrunk
from fcnbench.models.fcn.weight_changes import FastPathCache
from fcnbench.models.load import open_model
from fcnbench.models.segmenter import ModuleSegmenter
from tests.models.fcn.nets import NARROW, random_images, relative_error, with_random_weights

CLASS = 16
"""Number of pixels after which the alignment to the banded pools repeats."""


def test_vgg16_keeps_clear_of_the_edge_for_four_stages() -> None:
    assert banded_stages(VGG16) == banded_stages(POCKET_TRUNK) == 4
    assert banded_stages(VGGTrunk((2,) * 5, (2, 2, 3, 3, 3), 7, 4, pad=1)) == 0
    # The reach of 2, 6, 18, 42 pixels out from 99, and of 1, 5, 17, 41 in from 0, in cells of 2, 4, 8, 16.
    assert [(span.start, span.near) for span in spans(VGG16, 375)] == [
        ((99 - 2) // 2, 1), ((99 - 6) // 4, 2), ((99 - 18) // 8, 3), ((99 - 42) // 16, 3),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="at least one pixel"):
        spans(VGG16, 0)


@pytest.mark.parametrize("trunk", [NARROW, POCKET_TRUNK], ids=["vgg16 geometry", "pocket"])
@pytest.mark.parametrize("side", [1, 2, 7, 16, 31, 64])
def test_the_cells_that_spans_name_are_those_that_change_with_the_image(trunk: VGGTrunk, side: int) -> None:
    net = with_random_weights(FCN(2, 32, trunk)).double()
    with torch.no_grad():
        for value in net.parameters():
            # Without a sign no ReLU and no pool hides that something below it grew.
            value.abs_()
    with torch.inference_mode():
        bright, empty = (
            trunk.forward(net, torch.full((1, 3, side, side), level, dtype=torch.float64), Stream())[0]
            for level in (1.0, 0.0)
        )
    for stage, span in enumerate(spans(trunk, side), start=1):
        changed = (bright[stage] != empty[stage]).any(dim=1)[0].any(dim=0).nonzero()[:, 0]
        assert bright[stage].shape[-1] == span.size
        assert (int(changed.min()), 1 + int(changed.max())) == (span.start, span.stop)
        middle = empty[stage][0, :, span.near : span.size - span.far, span.near : span.size - span.far]
        torch.testing.assert_close(middle, middle[:, :1, :1].expand_as(middle), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("trunk", [VGG16, POCKET_TRUNK])
def test_a_folded_canvas_unfolds_to_the_whole(trunk: VGGTrunk) -> None:
    for side in range(1, 700):
        canvas = small_canvas(trunk, side)
        assert (side + 2 * (trunk.pad - 1) - canvas) % CLASS == 0
        for span in spans(trunk, side):
            canvas = -(-canvas // 2)
            kept = representative_cells(span, canvas)
            assert kept == sorted(set(kept))
            assert len(kept) == span.near + 1 + span.far
            cells = representatives_of(span, 0, span.size)
            assert len(cells) == span.size
            assert set(cells) == set(range(len(kept)))
            assert cells == sorted(cells)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_every_alignment_of_both_axes_gives_the_plain_logits_in_float64(stride: int) -> None:
    net = with_random_weights(FCN(2, stride, NARROW)).double()
    fast = FastForward(copy.deepcopy(net))
    worst = 0.0
    with torch.inference_mode():
        for height in range(1, 1 + CLASS):
            for width in range(1, 1 + CLASS):
                # Sides beyond one pool's stride, so that the band is stretched and not only cut.
                image = random_images(height + CLASS * (width % 3), width + CLASS * (height % 3))
                worst = max(worst, relative_error(fast(image)["out"], net(image)))
    assert worst < 1e-10


def test_pocket_nets_too_and_batches() -> None:
    net = with_random_weights(FCN(5, 8, POCKET_TRUNK)).double()
    fast = FastForward(copy.deepcopy(net))
    with torch.inference_mode():
        for height, width in ((1, 1), (96, 128), (95, 33), (111, 250)):
            batch = random_images(height, width, count=3)
            assert relative_error(fast(batch)["out"], net(batch)) < 1e-10


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(375, 500), (500, 500)])
def test_the_papers_nets_in_float32(stride: int, size: tuple[int, int]) -> None:
    net = with_random_weights(FCN(21, stride))
    image = 60 * random_images(*size, dtype=torch.float32)
    with torch.inference_mode():
        expected = net(image)
        found = FastForward(net)(image)["out"]
    assert relative_error(found, expected) < 1e-4
    best = expected.topk(2, dim=1).values
    sure = best[:, 0] - best[:, 1] > 1e-3
    assert torch.equal(found.argmax(1)[sure], expected.argmax(1)[sure])
    assert sure.float().mean() > 0.99


class ShownCache(FastPathCache):
    """A cache that a test can reach: the last one that was made."""

    last: FastPathCache

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        ShownCache.last = self


@pytest.fixture
def exact() -> Iterator[tuple[FCN, FastForward, torch.Tensor, torch.Tensor]]:
    """A narrow net, its fast path after a first pass, an image and its plain logits."""
    net = with_random_weights(FCN(2, 8, NARROW)).double()
    image = random_images(37, 52)
    with torch.inference_mode():
        fast = FastForward(net)
        expected = net(image)
        assert relative_error(fast(image)["out"], expected) < 1e-10
        yield net, fast, image, expected


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["near", "constant", "far"])
def test_a_wrong_constant_shows(
    monkeypatch: pytest.MonkeyPatch, stage: int, kind: str, request: pytest.FixtureRequest
) -> None:
    """Changing a cached cell that reaches the score layers changes the logits; border cells do from pool 4 on."""
    monkeypatch.setattr("fcnbench.models.fcn.fast.FastPathCache", ShownCache)
    _, fast, image, expected = request.getfixturevalue("exact")
    (kept,) = ShownCache.last.zero_image_pools.values()
    near = spans(NARROW, 37)[stage - 1].near
    cell = {"near": 0, "constant": near, "far": -1}[kind]
    kept[stage - 1][:, :, cell, :] += 1
    wrong = relative_error(fast(image)["out"], expected)
    pasted = stage == 4 or kind == "constant"
    assert (wrong > 1e-6) == pasted


def test_changed_weights_and_another_dtype_are_noticed(
    exact: tuple[FCN, FastForward, torch.Tensor, torch.Tensor],
) -> None:
    net, fast, image, expected = exact
    with torch.inference_mode(False), torch.no_grad():
        net.conv1_1.bias += 1
    changed = net(image)
    assert relative_error(changed, expected) > 1e-3
    assert relative_error(fast(image)["out"], changed) < 1e-10
    net.float()
    assert fast(image.float())["out"].dtype == torch.float32
    assert relative_error(fast(image.float())["out"].double(), changed) < 1e-4
    net.train()
    with pytest.raises(ValueError, match="eval"):
        fast(image)


def test_two_trunks_two_heads_and_scaled_pools() -> None:
    fused = with_random_weights(FCN(3, 16, NARROW, streams=(Stream("color"), Stream("hha")))).double()
    both = with_random_weights(
        FCN(3, 8, NARROW, suffix="_sem", extra_heads=(Head(2, "geo", "_geo"),), scales=AT_ONCE)
    ).double()
    with torch.inference_mode():
        image = random_images(40, 61, channels=6)
        assert relative_error(FastForward(fused)(image)["out"], fused(image)) < 1e-10
        image = random_images(61, 40)
        expected, found = both(image), FastForward(both)(image)
        assert expected.keys() == found.keys()
        assert all(relative_error(found[name], expected[name]) < 1e-10 for name in expected)


def test_a_learned_upsampling_is_not_taken_for_the_bilinear_one() -> None:
    net = with_random_weights(FCN(2, 8, NARROW)).double()
    image = random_images(50, 41)
    with torch.no_grad():
        net.upscore8.weight[0, 1] = 0.1
    with torch.inference_mode():
        assert relative_error(FastForward(net)(image)["out"], net(image)) < 1e-10


def test_the_built_in_vgg_nets_take_it_and_the_others_stay_as_they_are() -> None:
    assert isinstance(open_model("fcn8s-pocket").segmenter, FastSegmenter)
    assert isinstance(open_model("fcn8s-pocket", fast=False).segmenter, ModuleSegmenter)
    alexnet = fcnbench.load_model("fcn-alexnet", weights="random:0")
    assert with_fast_path(alexnet) is alexnet
    with pytest.raises(ValueError, match="constant band"):
        FastForward(alexnet.module)
    with pytest.raises(ValueError, match="constant band"):
        FastForward(FCN(2, 32, VGGTrunk((2,) * 5, (2, 2, 3, 3, 3), 1, 4, pad=1)))


def test_the_segmenter_around_it_prepares_and_digests_as_before() -> None:
    from fcnbench.models.segmenter import weights_digest

    plain, fast = (fcnbench.load_model("fcn16s-pocket", fast=each) for each in (False, True))
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    batch = plain.prepare(image)[None]
    assert torch.equal(fast.prepare(image)[None], batch)
    expected = plain.logits(batch)
    torch.testing.assert_close(fast.logits(batch), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    assert weights_digest(fast) == weights_digest(plain)


def test_without_the_fused_operator_the_plain_convolutions_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    net = with_random_weights(FCN(2, 8, NARROW))
    image = random_images(37, 52, dtype=torch.float32)
    convolution.fused_operator_works.cache_clear()
    with torch.inference_mode():
        expected = net(image)
        for spoilt in (
            lambda *_: torch.zeros(1),
            lambda *_: (_ for _ in ()).throw(RuntimeError("no such operator")),
        ):
            monkeypatch.setattr(convolution, "fused_operator", spoilt)
            assert not convolution.fused_operator_works()
            convolution.fused_operator_works.cache_clear()
            assert relative_error(FastForward(net)(image)["out"], expected) < 1e-4
    monkeypatch.undo()
    convolution.fused_operator_works.cache_clear()


@pytest.mark.parametrize("layer", ["conv1_1", "conv2_1", "conv4_2", "conv5_1", "fc6", "fc7", "score_pool3"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_logits_that_are_not_finite_are_not_on_the_fast_path_either(layer: str, value: float) -> None:
    """A fused ReLU turns NaN into 0, which would hide a broken network."""
    net = with_random_weights(FCN(2, 8, NARROW)).float()
    image = random_images(37, 52, dtype=torch.float32) * 100
    fast = FastForward(net)
    assert fast(image)["out"].isfinite().all()
    with torch.no_grad():
        net.get_submodule(layer).weight.view(-1)[0] = value  # type: ignore[union-attr,operator]
    with torch.inference_mode():
        expected, found = net(image), fast(image)["out"]
    assert not expected.isfinite().all()
    assert torch.equal(found.isnan().any(1), expected.isnan().any(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pixel_without_a_finite_value_spreads_as_in_the_plain_network(value: float) -> None:
    net = with_random_weights(FCN(2, 8, NARROW)).float()
    image = random_images(37, 52, dtype=torch.float32)
    image[0, 1, 20, 30] = value
    with torch.inference_mode():
        expected, found = net(image), FastForward(net)(image)["out"]
    assert expected.isnan().any()
    assert torch.equal(found.isnan(), expected.isnan())


def test_the_fast_path_draws_no_random_numbers_and_heeds_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    net = with_random_weights(FCN(2, 8, NARROW)).float()
    image = random_images(37, 52, dtype=torch.float32)
    expected = FastForward(net)(image)["out"]
    monkeypatch.setattr(
        convolution, "fused_operator_works", functools.cache(convolution.fused_operator_works.__wrapped__)
    )
    drawn = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = FastForward(net)(image)["out"]
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(found, expected)
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_an_empty_batch_has_no_logits() -> None:
    net = with_random_weights(FCN(2, 8, NARROW)).double()
    assert FastForward(net)(random_images(37, 52)[:0])["out"].shape == (0, 2, 37, 52)


def test_threads_in_different_precisions_share_a_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass under autocast in between does not change the cached values of a float32 pass."""
    net = with_random_weights(FCN(2, 8, NARROW)).float()
    image = random_images(37, 52, dtype=torch.float32)
    fast, stays_finite, passes = FastForward(net), FastPathCache.stays_finite, []

    def pass_under_autocast(cache: FastPathCache, *arguments: Any) -> bool:
        passes.append(cache)
        if len(passes) == 1:
            with torch.autocast("cpu", torch.bfloat16):
                fast(image)
        return stays_finite(cache, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(FastPathCache, "stays_finite", pass_under_autocast)
        found = fast(image)["out"]
    assert len(passes) == 2
    assert passes[0] is not passes[1]
    assert torch.equal(found, FastForward(net)(image)["out"])
