"""Loading weights: from `.safetensors`, `.pth` and `.caffemodel` files, or from `random:SEED`.

Nothing in a file is ever executed. The frozen up-sampling layers are constants: a file may omit them, and a file that
has them must have the bilinear kernels that the network is defined with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from fcnbench.errors import WeightsError
from fcnbench.models.weights.names import TRUNK, find_weights, seed_of
from fcnbench.models.weights.published import fetch_weights, read_caffe_state
from fcnbench.util.console import listed

_NESTED = ("model_state_dict", "state_dict")
"""Keys of training checkpoints that contain the network's state dict: torchfcn's, and the usual one."""


def load_weights(net: nn.Module, weights: str, label: str) -> None:
    """Fill a network from a file or a seed.

    Args:
        net: the network; the keys of its state dict are those of the file.
        weights: path of a `.safetensors`, `.pth` or `.caffemodel` file, the name of published weights, `random:SEED`,
            or `trunk:` and the path or name of a classification net's weights, which fill the trunk only.
        label: name of the model, for messages.

    Raises:
        WeightsError: the file does not exist, is not readable, or is made for another network.
    """
    named = find_weights(weights)
    if named.seed is not None:
        randomise(net, named.seed)
        return
    path = named.path if named.published is None else fetch_weights(named.published, read_state)
    assert path is not None
    try:
        state = read_state(path)
    except WeightsError as error:
        if named.published is None:
            raise
        raise WeightsError(error.message, f"delete {path}, and run again to download it again") from error
    if named.trunk:
        transplant(net, state, label, weights.removeprefix(TRUNK))
    else:
        fill(net, state, label, weights)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name.

    Raises:
        WeightsError: the file is missing, truncated, not a weights file, or a pickle with more than tensors.
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
    # The bytes may be anything, and the unpickler raises errors of any class.
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
        raise WeightsError(
            f"{path} contains no state dict (a mapping from names to tensors)", "save `net.state_dict()`"
        )
    return {str(name): value for name, value in state.items()}


def fill(net: nn.Module, state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Copy a state dict into a network, after checking names, shapes, dtypes, constants and values.

    Args:
        net: the network; it stays unchanged if the state dict does not fit.
        state: tensors by name; frozen up-sampling layers may be missing.
        label: name of the model, for messages.
        origin: where the tensors come from, for messages.

    Raises:
        WeightsError: the state dict does not fit, holds NaN or infinity, or its trunk is zero.
    """
    expected = net.state_dict()
    frozen = {name for name, value in net.named_parameters() if not value.requires_grad}
    state = as_convolutions(expected, state)
    _check_names(expected, state, frozen, label, origin)
    _check_shapes(expected, state, label, origin)
    for name in sorted(frozen & state.keys()):
        if not torch.equal(state[name].to(expected[name].dtype), expected[name]):
            raise WeightsError(
                f"{origin}: {name} is not the frozen bilinear kernel that {label} is defined with",
                "this net's up-sampling is fixed; register a model of your own for a learned one",
            )
    _check_values(state, label, origin)
    net.load_state_dict({**expected, **state})


def _check_names(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], frozen: set[str], label: str, origin: str
) -> None:
    missing = sorted(expected.keys() - state.keys() - frozen)
    unexpected = sorted(state.keys() - expected.keys())
    if missing or unexpected:
        faults = [f"{verb} {listed(names)}" for verb, names in (("lacks", missing), ("has also", unexpected)) if names]
        raise WeightsError(
            f"{origin} is not made for {label}: it {' and '.join(faults)}",
            "use weights whose keys are the Caffe layer names of this net, as the authors' and torchfcn's are",
        )


def _check_shapes(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Check the shapes, layouts and kinds of numbers."""
    misshapen = [name for name in expected if name in state and state[name].shape != expected[name].shape]
    if misshapen:
        name = misshapen[0]
        raise WeightsError(
            f"{origin} is not made for {label}: {name} is {tuple(state[name].shape)}, expected "
            f"{tuple(expected[name].shape)} ({len(misshapen)} tensors differ)",
            "the file is for another number of classes or another net: use one trained for this dataset",
        )
    for name, value in state.items():
        if value.layout != torch.strided or value.is_floating_point() != expected[name].is_floating_point():
            raise WeightsError(
                f"{origin}: {name} is {value.layout} of {value.dtype}, expected a dense {expected[name].dtype}",
                "export the weights as dense float32 tensors",
            )


def _check_values(state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Check that all numbers are finite and that the trunk is not all zero."""
    for name, value in state.items():
        if not bool(value.isfinite().all()):
            raise WeightsError(
                f"{origin}: {name} holds NaN or infinity", "the training diverged: use an earlier checkpoint"
            )
    trunk = [value for name, value in state.items() if name.startswith("conv") and name.endswith("weight")]
    if trunk and not any(bool(value.any()) for value in trunk):
        raise WeightsError(
            f"{origin}: all convolutions of the trunk are zero, so {label} was never trained or never loaded",
            "download the file again, or export it after the weights were loaded",
        )


def as_convolutions(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose fully connected weights have the shapes of the convolutions that they become.

    The order of their numbers is the same: (out, in * h * w), or Caffe's (1, 1, out, in * h * w), becomes
    (out, in, h, w).

    Args:
        expected: the state dict of the network.
        state: tensors by name.
    """

    def shaped(name: str, value: Tensor) -> Tensor:
        target = expected.get(name)
        fully_connected = value.dim() == 2 or (value.dim() == 4 and value.shape[:2] == (1, 1))
        if target is None or not fully_connected or value.numel() != target.numel():
            return value
        return value.reshape(target.shape) if value.shape[-2] == target.shape[0] else value

    return {name: shaped(name, value) for name, value in state.items()}


def transplant(net: nn.Module, state: Mapping[str, Tensor], label: str, origin: str) -> None:
    """Fill a network's trunk from a classification net; the score layers become zero, as before the papers' training.

    Args:
        net: the network.
        state: tensors under Caffe's layer names, or a VGG16 checkpoint of torchvision or timm, whose layers have the
            same order.
        label: name of the model, for messages.
        origin: where the tensors come from, for messages.

    Raises:
        WeightsError: a layer of the trunk is missing or has another shape.
    """
    expected = net.state_dict()
    trunk = [name for name in expected if not name.startswith(("score", "upscore"))]
    renamed = as_convolutions(expected, caffe_names(state, trunk))
    missing = [name for name in trunk if name not in renamed]
    misshapen = [name for name in trunk if name in renamed and renamed[name].shape != expected[name].shape]
    if missing or misshapen:
        raise WeightsError(
            f"{origin} does not fill the trunk of {label}: "
            + (f"it lacks {listed(missing)}" if missing else f"{listed(misshapen)} of another shape"),
            "pass a VGG16 classification checkpoint (Caffe's, torchvision's vgg16 or timm's vgg16)",
        )
    scores = {name: torch.zeros_like(value) for name, value in expected.items() if name.startswith("score")}
    net.load_state_dict({**expected, **{name: renamed[name] for name in trunk}, **scores})


_TORCHVISION_FEATURES, _TORCHVISION_CLASSIFIER = "features.", ("classifier.0.", "classifier.3.")
_TIMM_CLASSIFIER = ("pre_logits.fc1.", "pre_logits.fc2.")


def caffe_names(state: Mapping[str, Tensor], trunk: list[str]) -> dict[str, Tensor]:
    """Return a VGG16 checkpoint of torchvision or timm under Caffe's layer names; any other one as it is.

    Args:
        state: the checkpoint's tensors by name.
        trunk: names of the trunk's tensors, in the order of its layers.

    >>> list(caffe_names({"features.0.weight": torch.zeros(2, 3, 3, 3)}, ["conv1_1.weight"]))
    ['conv1_1.weight']
    """
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
    """Draw all learned weights from a seeded normal distribution (He et al., 2015); biases become 0.

    >>> layer = nn.Conv2d(3, 8, 1)
    >>> randomise(layer, seed=0)
    >>> bool(layer.weight.any()), bool(layer.bias.any())
    (True, False)
    """
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
    """Reinitialise all layers of a network with their `reset_parameters`, from the seed of `random:SEED`.

    Raises:
        WeightsError: the text is not a seed.
    """
    seed = seed_of(weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
