"""Bilinear up-sampling: the reference's kernel, and interpolation in place of the transposed convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fcnbench.models.fcn.upsampling import (
    bilinear_kernel,
    bilinear_upsampling,
    interpolated_upsampling,
    transposed_upsampling,
)


def test_upsampling_reproduces_bilinear_interpolation() -> None:
    up = bilinear_upsampling(3, kernel=16, stride=8)
    assert not up.weight.requires_grad
    ramp = torch.arange(6.0).expand(1, 3, 5, 6)
    with torch.no_grad():
        ours = up(ramp)[..., 4:-4, 4:-4]
    theirs = nn.functional.interpolate(ramp, scale_factor=8, mode="bilinear", align_corners=False)
    # Not at the border, where the transposed convolution sees zeros beside the scores.
    torch.testing.assert_close(ours[..., 4:-4, 4:-4], theirs[..., 4:-4, 4:-4])


def test_bilinear_kernel_is_that_of_the_reference_surgery() -> None:
    assert bilinear_kernel(4)[0].tolist() == pytest.approx([0.0625, 0.1875, 0.1875, 0.0625])
    assert bilinear_kernel(3).tolist() == [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_interpolation_equals_the_transposed_convolution(stride: int) -> None:
    layer = bilinear_upsampling(3, kernel=2 * stride, stride=stride).double()
    scores = torch.randn(2, 3, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(stride))
    with torch.inference_mode():
        for offset in (0, stride - 1, stride, 2 * stride + 3):
            for size in ((1, 1), (stride, 3 * stride), (2 * stride + 1, 2 * stride - 1)):
                shape = torch.Size((2, 3, *size))
                expected = transposed_upsampling(layer, scores, offset, shape)
                output = interpolated_upsampling(layer, scores, offset, shape)
                assert output.shape == (2, 3, *size)
                torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)


def test_a_learned_kernel_is_not_interpolated() -> None:
    layer = bilinear_upsampling(2, kernel=16, stride=8)
    with torch.no_grad():
        layer.weight[0, 1] = 0.1
    scores, shape = torch.ones(1, 2, 5, 5), torch.Size((1, 2, 9, 9))
    with torch.inference_mode():
        expected = transposed_upsampling(layer, scores, 8, shape)
        assert torch.equal(interpolated_upsampling(layer, scores, 8, shape), expected)
