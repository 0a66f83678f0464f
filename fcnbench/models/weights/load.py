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
from fcnbench.models.names import TRUNK, find_weights, seed_of
from fcnbench.models.weights.published import fetch_weights, read_caffe_state
from fcnbench.util.console import listed

_NESTED = ("model_state_dict", "state_dict")
"""Keys under which training checkpoints keep the network: torchfcn's, and everybody else's."""


def load_weights(net: nn.Module, weights: str, label: str) -> None:
    """Fill a network from a file or a seed.

    Args:
        net: the network; its state-dict keys are the file's.
        weights: path of a `.safetensors`, `.pth` or `.caffemodel` file, the name of published weights,
            `trunk:` and a classification net's path or name for the trunk alone, or `random:SEED`.
        label: name of the model, for messages.

    Raises:
        WeightsError: no such file, not readable, or made for another network.
    """
    found = find_weights(weights)
    if found.seed is not None:
        randomise(net, found.seed)
        return
    path = found.path if found.published is None else fetch_weights(found.published, read_state)
    assert path is not None
    try:
        state = read_state(path)
    except WeightsError as error:
        if found.published is None:
            raise
        raise WeightsError(error.message, f"delete {path}, and run again to fetch it once more") from error
    if found.trunk:
        transplant(net, state, label, weights.removeprefix(TRUNK))
    else:
        fill(net, state, label, weights)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    Raises:
        WeightsError: missing, truncated, not a file of weights, or a pickle with more than tensors in it.
    """
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file {path}",
            "pass --weights the path of a .safetensors, .pth or .caffemodel file, the name of published weights, or "
            "random:SEED",
        )
    if path.suffix == ".caffemodel":
        return read_caffe_state(path)
    from safetensors.torch import load_file

    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    # The bytes may be anything, and the unpickler meets them with errors of any kind.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
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
    state = as_convolutions(own, state)
    missing = sorted(own.keys() - state.keys() - frozen)
    unexpected = sorted(state.keys() - own.keys())
    if missing or unexpected:
        found = [f"{what} {listed(names)}" for what, names in (("lacks", missing), ("has also", unexpected)) if names]
        raise WeightsError(
            f"{origin} is not made for {label}: it {' and '.join(found)}",
            "use weights whose keys are the Caffe layer names of this net, as the authors' and torchfcn's are",
        )
    wrong = [name for name in own if name in state and state[name].shape != own[name].shape]
    if wrong:
        name = wrong[0]
        raise WeightsError(
            f"{origin} is not made for {label}: {name} is {tuple(state[name].shape)}, expected "
            f"{tuple(own[name].shape)} ({len(wrong)} tensors differ)",
            "the file is for another number of classes or another net: use one trained for this data set",
        )
    odd = [
        name
        for name, value in state.items()
        if value.layout != torch.strided or value.is_floating_point() != own[name].is_floating_point()
    ]
    if odd:
        value = state[odd[0]]
        raise WeightsError(
            f"{origin}: {odd[0]} is {value.layout} of {value.dtype}, expected a dense {own[odd[0]].dtype}",
            "export the weights as dense float32 tensors",
        )
    for name in sorted(frozen & state.keys()):
        if not torch.equal(state[name].to(own[name].dtype), own[name]):
            raise WeightsError(
                f"{origin}: {name} is not the frozen bilinear kernel that {label} is defined with",
                "this net's up-sampling is fixed; register a model of your own for a learned one",
            )
    unsound = [name for name, value in state.items() if not bool(value.isfinite().all())]
    if unsound:
        raise WeightsError(
            f"{origin}: {unsound[0]} holds NaN or infinity", "the training broke: use an earlier checkpoint"
        )
    trunk = [name for name in own if name.startswith("conv") and name.endswith("weight")]
    if trunk and not any(bool(state[name].any()) for name in trunk):
        raise WeightsError(
            f"{origin}: all convolutions of the trunk are zero, so {label} was never trained or never loaded",
            "get the file again, or export it after the weights were loaded",
        )
    net.load_state_dict({**own, **state})


def as_convolutions(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in which fully connected weights have the shape of the convolutions that they become.

    The order of their numbers stays: (out, in * h * w), or Caffe's (1, 1, out, in * h * w), is (out, in, h, w).
    """

    def shaped(name: str, value: Tensor) -> Tensor:
        target = own.get(name)
        connected = value.dim() == 2 or (value.dim() == 4 and value.shape[:2] == (1, 1))
        if target is None or not connected or value.numel() != target.numel():
            return value
        return value.reshape(target.shape) if value.shape[-2] == target.shape[0] else value

    return {name: shaped(name, value) for name, value in state.items()}


def transplant(net: nn.Module, state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Fill a network's trunk from a classification net; its score layers become zero, as before the papers' training.

    Takes Caffe's layer names, and the VGG16 checkpoints of torchvision and timm, whose layers stand in the same order.

    Raises:
        WeightsError: a layer of the trunk is missing or has another shape.
    """
    own = net.state_dict()
    trunk = [name for name in own if not name.startswith(("score", "upscore"))]
    found = as_convolutions(own, _caffe_names(state, trunk))
    missing = [name for name in trunk if name not in found]
    wrong = [name for name in trunk if name in found and found[name].shape != own[name].shape]
    if missing or wrong:
        raise WeightsError(
            f"{origin} does not fill the trunk of {label}: "
            + (f"it lacks {listed(missing)}" if missing else f"{listed(wrong)} of another shape"),
            "pass a VGG16 classification checkpoint (Caffe's, torchvision's vgg16 or timm's vgg16)",
        )
    scores = {name: torch.zeros_like(value) for name, value in own.items() if name.startswith("score")}
    net.load_state_dict({**own, **{name: found[name] for name in trunk}, **scores})


_TORCHVISION_FEATURES, _TORCHVISION_CLASSIFIER = "features.", ("classifier.0.", "classifier.3.")
_TIMM_CLASSIFIER = ("pre_logits.fc1.", "pre_logits.fc2.")


def _caffe_names(state: Mapping[str, Tensor], trunk: list[str]) -> dict[str, Tensor]:
    """A VGG16 checkpoint of torchvision or timm under Caffe's layer names; any other one as it is."""
    if not any(name.startswith(_TORCHVISION_FEATURES) for name in state):
        return dict(state)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in trunk))
    numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith(_TORCHVISION_FEATURES)})
    prefixes = [f"{_TORCHVISION_FEATURES}{number}." for number in numbers]
    timm = any(name.startswith(_TIMM_CLASSIFIER[0]) for name in state)
    prefixes += _TIMM_CLASSIFIER if timm else _TORCHVISION_CLASSIFIER
    return {
        f"{layer}.{part}": state[prefix + part]
        for layer, prefix in zip(layers, prefixes, strict=False)
        for part in ("weight", "bias")
        if prefix + part in state
    }


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


def randomise_seeded(net: nn.Module, weights: str) -> None:
    """Draw the weights of any network anew, each layer in its own way, from the seed of `random:SEED`.

    Raises:
        WeightsError: it is not a seed.
    """
    seed = seed_of(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
