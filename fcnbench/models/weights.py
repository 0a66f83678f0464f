"""Reading weights: `.safetensors`, PyTorch's `.pth` without executing anything in it, and `random:SEED`.

Frozen up-sampling layers hold constants; a file may leave them out, and a file that has them must have the bilinear
kernels that the network is defined with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from fcnbench.errors import WeightsError
from fcnbench.ground.console import listed

RANDOM = "random:"
"""Prefix of seeded random weights, `random:SEED`: they try the machinery and score like noise."""

_NESTED = ("model_state_dict", "state_dict")
"""Keys under which training checkpoints keep the network: torchfcn's, and everybody else's."""

_MAX_SEED = 2**63 - 1


def load_weights(net: nn.Module, weights: str, label: str) -> None:
    """Fill a network from a file or a seed.

    Args:
        net: the network; its state-dict keys are the file's.
        weights: path of a `.safetensors` or `.pth` file, or `random:SEED`.
        label: name of the model, for messages.

    Raises:
        WeightsError: no such file, not readable, or made for another network.
    """
    if weights.startswith(RANDOM):
        randomise(net, _seed(weights))
    else:
        fill(net, read_state(Path(weights).expanduser()), label, weights)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    Raises:
        WeightsError: missing, truncated, not a file of weights, or a pickle with more than tensors in it.
    """
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file {path}", "pass --weights the path of a .safetensors or .pth file, or random:SEED"
        )
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    # The bytes may be anything, and the unpickler meets them with errors of any kind.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"{path} can't be read as weights: {reason}",
            "pass a file of tensors only (.safetensors, or .pth saved from a state_dict); nothing in it was executed",
        ) from error
    for key in _NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict (a mapping from names to tensors)", "save `net.state_dict()`")
    return {str(name): value for name, value in state.items()}


def fill(net: nn.Module, state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Copy a state dict into a network, after checking names, shapes, constants and that the trunk is not all zero.

    Raises:
        WeightsError: it does not fit; the network is left as it was.
    """
    own = net.state_dict()
    frozen = {name for name, value in net.named_parameters() if not value.requires_grad}
    missing = sorted(own.keys() - state.keys() - frozen)
    unexpected = sorted(state.keys() - own.keys())
    if missing or unexpected:
        found = [f"{what} {listed(names)}" for what, names in (("lacks", missing), ("has also", unexpected)) if names]
        raise WeightsError(
            f"{origin} is not made for {label}: it {' and '.join(found)}",
            "use weights whose keys are the Caffe layer names of this net (torchfcn's files have them)",
        )
    wrong = [name for name in own if name in state and state[name].shape != own[name].shape]
    if wrong:
        name = wrong[0]
        raise WeightsError(
            f"{origin} is not made for {label}: {name} is {tuple(state[name].shape)}, expected "
            f"{tuple(own[name].shape)} ({len(wrong)} tensors differ)",
            "the file is for another number of classes or another net: use one trained for this data set",
        )
    odd = [name for name, value in state.items() if value.layout != torch.strided or not value.is_floating_point()]
    if odd:
        value = state[odd[0]]
        raise WeightsError(
            f"{origin}: {odd[0]} is {value.layout} of {value.dtype}, expected dense floating point",
            "export the weights as dense float32 tensors",
        )
    for name in sorted(frozen & state.keys()):
        if not torch.equal(state[name].to(own[name].dtype), own[name]):
            raise WeightsError(
                f"{origin}: {name} is not the frozen bilinear kernel that {label} is defined with",
                "this net's up-sampling is fixed; register a model of your own for a learned one",
            )
    if not any(bool(state[name].any()) for name in own if name.startswith("conv") and name.endswith("weight")):
        raise WeightsError(
            f"{origin}: all convolutions of the trunk are zero, so {label} was never trained or never loaded",
            "get the file again, or export it after the weights were loaded",
        )
    net.load_state_dict({**own, **state})


def randomise(net: nn.Module, seed: int) -> None:
    """Draw all learned weights from a seeded normal distribution that keeps activations in range; biases are 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            if not value.requires_grad:
                continue
            if value.dim() > 1:
                value.normal_(0, math.sqrt(2 / value[0].numel()), generator=generator)
            else:
                value.zero_()


def _seed(weights: str) -> int:
    text = weights.removeprefix(RANDOM)
    if not text.isdecimal() or int(text) > _MAX_SEED:
        raise WeightsError(f"{weights!r} is no seed", "write random:SEED with a whole number, for example random:0")
    return int(text)
