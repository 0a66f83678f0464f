"""Convolution with ReLU: fused, and as a matrix product, equal to the plain computation."""

from __future__ import annotations

import threading

import pytest
import torch

from fcnbench.models.fcn import convolution
from fcnbench.models.fcn.convolution import (
    conv_relu,
    fused_conv_relu,
    fused_operator_works,
    matmul_conv_relu,
    without_fused_convolution,
)
from tests.models.fcn.nets import random_images, relative_error


def channels_last(*size: int) -> torch.Tensor:
    return random_images(*size, channels=16, dtype=torch.float32).to(memory_format=torch.channels_last)


def test_fused_convolutions_equal_plain_ones() -> None:
    if not fused_operator_works():
        pytest.skip("this PyTorch has no fused convolution")
    layer = torch.nn.Conv2d(16, 32, 3)
    with torch.inference_mode():
        for size in ((9, 9), (40, 33)):
            x = channels_last(*size)
            assert relative_error(fused_conv_relu(layer, x, 1), conv_relu(layer, x, 1)) < 1e-5
            with without_fused_convolution():
                assert torch.equal(fused_conv_relu(layer, x, 1), conv_relu(layer, x, 1))


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("filters", [4, 64], ids=["more windows than filters", "more filters than windows"])
def test_a_matrix_product_equals_the_convolution(kernel: int, filters: int) -> None:
    layer = torch.nn.Conv2d(16, filters, kernel).double()
    x = random_images(kernel + 3, kernel + 4, channels=16)
    with torch.inference_mode():
        assert relative_error(matmul_conv_relu(layer, x), conv_relu(layer, x, 0)) < 1e-12


def test_one_thread_without_the_fused_operator_does_not_affect_another(monkeypatch: pytest.MonkeyPatch) -> None:
    if not fused_operator_works():
        pytest.skip("this PyTorch has no fused convolution")
    fused_in: list[str] = []

    def fused(layer: torch.nn.Conv2d, x: torch.Tensor, padding: int) -> torch.Tensor:
        fused_in.append(threading.current_thread().name)
        return conv_relu(layer, x, padding)

    monkeypatch.setattr(convolution, "fused_operator", fused)
    layer, x = torch.nn.Conv2d(16, 32, 3), channels_last(9, 9)
    other = threading.Thread(target=lambda: fused_conv_relu(layer, x, 1), name="other")
    with torch.no_grad(), without_fused_convolution():
        other.start()
        other.join()
        fused_conv_relu(layer, x, 1)
    assert fused_in == ["other"]
