"""The FCNs: layer names of the reference, every input side, streams and heads, and the PyTorch port torchfcn."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from benchmarks.peers import torchfcn_model
from fcnbench.models.fcn.fcn import FCN, Head
from fcnbench.models.fcn.pocket import POCKET_TRUNK
from fcnbench.models.fcn.trunk import Stream, Trunk
from fcnbench.models.fcn.vgg import VGG16
from fcnbench.models.weights.load import randomise
from tests.models.fcn.nets import NARROW


@pytest.mark.parametrize(
    ("stride", "learned", "fixed"),
    [(32, 134_346_581, 1_806_336), (16, 134_357_354, 458_640), (8, 134_362_751, 127_008)],
)
def test_parameter_counts_equal_the_reference_nets(stride: int, learned: int, fixed: int) -> None:
    with torch.device("meta"):
        net = FCN(21, stride, VGG16)
    counts = {True: 0, False: 0}
    for value in net.parameters():
        counts[value.requires_grad] += value.numel()
    assert counts == {True: learned, False: fixed}


def test_state_dict_keys_are_the_caffe_layer_names() -> None:
    keys = set(FCN(21, 8, NARROW).state_dict())
    convolutions = [f"conv{s}_{i}" for s, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
    with_bias = [*convolutions, "fc6", "fc7", "score_fr", "score_pool3", "score_pool4"]
    assert keys == {f"{name}.{part}" for name in with_bias for part in ("weight", "bias")} | {
        "upscore2.weight", "upscore_pool4.weight", "upscore8.weight",
    }  # fmt: skip
    assert {"upscore2.weight", "upscore16.weight"} < set(FCN(21, 16, NARROW).state_dict())
    assert {"upscore.weight"} < set(FCN(21, 32, NARROW).state_dict())


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("trunk", [NARROW, POCKET_TRUNK], ids=["vgg16 geometry", "pocket"])
def test_logits_have_the_images_size_for_any_side(stride: int, trunk: Trunk) -> None:
    net = FCN(2, stride, trunk).eval()
    with torch.inference_mode():
        # Sides 1..66 meet every alignment to the pools (their strides multiply to 32) twice.
        for side in [*range(1, 67), 97, 128]:
            assert net(torch.zeros(1, 3, side, 131 - side)).shape == (1, 2, side, 131 - side)


def test_a_skip_adds_its_up_sampled_scores() -> None:
    """Where the coarse scores are zero, the logits are those of the pool4 skip: a wiring error shows."""
    net = FCN(2, 16, NARROW).eval()
    randomise(net, 0)
    net.score_fr.weight.data.zero_()
    image = torch.randn(1, 3, 70, 90)
    with torch.inference_mode():
        logits = net(image)
        net.score_pool4.weight.data *= 2
        twice = net(image)
    assert logits.abs().max() > 0
    torch.testing.assert_close(twice, 2 * logits)


def test_late_fusion_averages_the_scores_of_two_trunks() -> None:
    both = FCN(5, 32, NARROW, streams=(Stream("color"), Stream("hha"))).eval()
    randomise(both, 0)
    image = torch.randn(1, 6, 40, 50)
    single = []
    for suffix, part in (("color", image[:, :3]), ("hha", image[:, 3:])):
        net = FCN(5, 32, NARROW).eval()
        state = net.state_dict()
        net.load_state_dict({name: both.state_dict().get(renamed(name, suffix), state[name]) for name in state})
        with torch.inference_mode():
            single.append(net(part))
    with torch.inference_mode():
        torch.testing.assert_close(both(image), (single[0] + single[1]) / 2)


def renamed(name: str, suffix: str, shared: Collection[str] = ("upscore",)) -> str:
    """Return a parameter's name with a suffix on its layer, unless the layer is shared."""
    layer, _, part = name.rpartition(".")
    return name if layer in shared else f"{layer}{suffix}.{part}"


def test_two_heads_are_two_nets_on_one_trunk() -> None:
    both = FCN(5, 8, NARROW, suffix="_sem", extra_heads=(Head(3, "geo", "_geo"),)).eval()
    randomise(both, 0)
    image = torch.randn(1, 3, 40, 50)
    with torch.inference_mode():
        logits = both(image)
    assert list(logits) == ["out", "geo"]
    for key, suffix, classes in (("out", "_sem", 5), ("geo", "_geo", 3)):
        net = FCN(classes, 8, NARROW).eval()
        state = both.state_dict()
        net.load_state_dict({name: state.get(name, state.get(renamed(name, suffix, {}))) for name in net.state_dict()})
        with torch.inference_mode():
            torch.testing.assert_close(logits[key], net(image))


def test_at_once_scales_the_pools() -> None:
    plain, scaled = FCN(5, 8, NARROW).eval(), FCN(5, 8, NARROW, scales={4: 0.01, 3: 0.0001}).eval()
    randomise(plain, 0)
    state = plain.state_dict()
    for pool, scale in ((4, 100), (3, 10_000)):
        state[f"score_pool{pool}.weight"] = state[f"score_pool{pool}.weight"] * scale
    scaled.load_state_dict(state)
    image = torch.randn(1, 3, 40, 50)
    with torch.inference_mode():
        torch.testing.assert_close(scaled(image), plain(image), rtol=1e-4, atol=1e-4)


def test_unknown_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="stride 32, 16 or 8, not 4"):
        FCN(21, 4)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_logits_equal_torchfcn_with_the_same_state_dict(stride: int) -> None:
    try:
        theirs = torchfcn_model(f"FCN{stride}s")(n_class=21).eval()
    except PackageNotFoundError:
        pytest.skip("torchfcn is not installed: pip install --no-deps -r tests/peers.txt")
    ours = FCN(21, stride).eval()
    randomise(ours, 0)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        for height, width in ((33, 47), (64, 96)):
            image = 50 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
            expected = theirs(image)
            torch.testing.assert_close(ours(image), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
