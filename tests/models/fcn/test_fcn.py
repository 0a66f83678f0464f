"""The FCNs: layer names and sizes of the reference, every input side, and another team's PyTorch port."""

from importlib.metadata import PackageNotFoundError

import pytest
import torch
from torch import nn

from benchmarks.peers import torchfcn_model
from fcnbench.models.fcn.fcn import FCN, bilinear_kernel, bilinear_upsampling
from fcnbench.models.fcn.pocket import POCKET_TRUNK
from fcnbench.models.fcn.trunks import VGG16
from fcnbench.models.weights.load import randomise
from tests.models.fcn.test_geometry import NARROW


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
def test_logits_have_the_pictures_size_for_any_side(stride: int, trunk: object) -> None:
    net = FCN(2, stride, trunk).eval()
    with torch.inference_mode():
        # Sides 1..66 meet every alignment to the pools (their strides multiply to 32) twice.
        for side in [*range(1, 67), 97, 128]:
            assert net(torch.zeros(1, 3, side, 131 - side)).shape == (1, 2, side, 131 - side)


def test_upsampling_reproduces_bilinear_interpolation() -> None:
    up = bilinear_upsampling(3, kernel=16, stride=8)
    assert not up.weight.requires_grad
    ramp = torch.arange(6.0).expand(1, 3, 5, 6)
    with torch.no_grad():
        ours = up(ramp)[..., 4:-4, 4:-4]
    theirs = nn.functional.interpolate(ramp, scale_factor=8, mode="bilinear", align_corners=False)
    # Away from the border, where the transposed convolution sees zeros beside the picture.
    torch.testing.assert_close(ours[..., 4:-4, 4:-4], theirs[..., 4:-4, 4:-4])


def test_bilinear_kernel_is_that_of_the_reference_surgery() -> None:
    assert bilinear_kernel(4)[0].tolist() == pytest.approx([0.0625, 0.1875, 0.1875, 0.0625])
    assert bilinear_kernel(3).tolist() == [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]


def test_a_skip_changes_the_answer_where_it_should() -> None:
    """The pool4 skip of a net whose coarse score is zero is that score, up-sampled: a silent wiring error shows."""
    net = FCN(2, 16, NARROW).eval()
    randomise(net, 0)
    net.score_fr.weight.data.zero_()
    picture = torch.randn(1, 3, 70, 90)
    with torch.inference_mode():
        answer = net(picture)
        net.score_pool4.weight.data *= 2
        twice = net(picture)
    assert answer.abs().max() > 0
    torch.testing.assert_close(twice, 2 * answer)


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
            picture = 50 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
            expected = theirs(picture)
            torch.testing.assert_close(ours(picture), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
