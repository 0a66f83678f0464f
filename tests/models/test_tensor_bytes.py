"""Digests of tensors of every kind: different numbers have different digests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fcnbench
from fcnbench.errors import ModelError
from fcnbench.models.tensor_bytes import number_parts
from fcnbench.util.digests import digest_bytes

KINDS: dict[str, Callable[[float], Tensor]] = {
    "plain": lambda k: torch.tensor([1.0, k]),
    "array": lambda k: np.array([1.0, k]),  # type: ignore[dict-item]
    "conjugate": lambda k: torch.tensor([1 + 1j, k + 2j]).conj(),
    "sparse": lambda k: torch.tensor([[0.0, 1.0], [k, 0.0]]).to_sparse(),
    "compressed rows": lambda k: torch.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, k], (2, 2)),
    "nested": lambda k: torch.nested.nested_tensor([torch.ones(2), torch.ones(3) * k], layout=torch.jagged),
    "quantised": lambda k: torch.quantize_per_tensor(torch.ones(2), k / 10, 0, torch.qint8),
    "quantised by channel": lambda k: torch.quantize_per_channel(
        torch.ones(2, 2), torch.tensor([k / 10, 1]), torch.zeros(2), 0, torch.qint8
    ),
}


def digest(value: Any) -> str:
    """Return the digest of one tensor."""
    return digest_bytes(*number_parts("a", value))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_other_numbers_have_another_digest(make: Callable[[float], Tensor]) -> None:
    assert digest(make(2.0)) == digest(make(2.0))
    assert digest(make(2.0)) != digest(make(3.0))


def test_a_plain_tensor_is_its_dtype_shape_and_bytes() -> None:
    expected = digest_bytes(b"a torch.float32 (2,)\n", np.array([1, 2], np.float32).tobytes())
    assert digest(torch.tensor([1.0, 2.0])) == expected


@pytest.mark.parametrize("layer", ["nn.LazyConv2d(8, 1)", "nn.Conv2d(3, 8, 1, device='meta')"])
def test_a_network_without_values_is_refused(layer: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(f"from torch import nn\n\n\ndef build():\n    return nn.Sequential({layer})\n")
    with pytest.raises(ModelError, match=r"0\.weight has no values yet \(2 such"):
        fcnbench.load_model(f"{tmp_path / 'net.py'}:build")
