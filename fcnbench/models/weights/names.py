"""The values of `--weights`, checked without torch, so that mistakes are reported at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from fcnbench.errors import WeightsError
from fcnbench.models.names import ModelName
from fcnbench.models.registry import SHIPPED
from fcnbench.models.weights.published import Published, published
from fcnbench.util.console import listed

RANDOM = "random:"
"""Prefix of seeded random weights, `random:SEED`, for trying a model untrained."""

TRUNK = "trunk:"
"""Prefix of a classification net's weights, `trunk:PATH`, which fill the trunk; the score layers are zero."""

_WEIGHTS_FILES = (".safetensors", ".pth", ".pt", ".caffemodel")
"""Suffixes of weights files."""

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class WeightsName:
    """The weights of a built-in network that `--weights` names: `seed`, `published` or `path` is set.

    Attributes:
        text: the value of `--weights`.
        seed: the seed of random weights.
        published: the entry of published weights.
        path: the weights file.
        trunk: whether the weights fill the trunk only.
    """

    text: str
    seed: int | None = None
    published: Published | None = None
    path: Path | None = None
    trunk: bool = False


def find_weights(text: str) -> WeightsName:
    """Find the weights that a value of `--weights` names.

    Args:
        text: `random:SEED`, the name of published weights, or the path of a file; the latter two also after `trunk:`.

    Raises:
        WeightsError: the seed is invalid, or there is neither such a file nor published weights with this name.

    >>> find_weights("random:7").seed
    7
    """
    if text.startswith(RANDOM):
        return WeightsName(text, seed=seed_of(text))
    origin = text.removeprefix(TRUNK)
    trunk = origin != text
    if origin in published():
        return WeightsName(text, published=published()[origin], trunk=trunk)
    path = Path(origin).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(origin, published(), 1, 0.8)
        raise WeightsError(
            f"there is no weights file {path}"
            + ("" if path.suffix or near else ", and no published weights have this name"),
            f"did you mean {near[0]}?"
            if near
            else "pass --weights the path of a .safetensors, .pth or .caffemodel file, the name of published weights, "
            "or random:SEED",
        )
    return WeightsName(text, path=path, trunk=trunk)


def seed_of(text: str) -> int:
    """Return the seed of `random:SEED`.

    Raises:
        WeightsError: the text is not `random:` and a whole number below 2^63.

    >>> seed_of("random:7")
    7
    """
    digits = text.removeprefix(RANDOM)
    if not digits.isdecimal() or len(digits) > len(str(_MAX_SEED)) or int(digits) > _MAX_SEED:
        raise WeightsError(f"{text!r} is not a seed", "write random:SEED with a whole number, for example random:0")
    return int(digits)


def check_weights(model: ModelName, weights: str) -> WeightsName | None:
    """Check `--weights` as far as that is possible before the model is imported.

    Args:
        model: the model.
        weights: the value of `--weights`.

    Returns:
        The weights of a built-in network; None for other models, which interpret the value themselves.

    Raises:
        WeightsError: there are no such weights, or they belong to another network.
    """
    if model.builtin:
        named = find_weights(weights)
        entry = named.published
        # fcn32s-fixed is the network of fcn32s; they differ in training only.
        network = model.argument.removesuffix("-fixed")
        if entry is not None and not named.trunk and entry.model != network:
            made_for = f"--model {entry.model}" if entry.model else f"--weights trunk:{entry.name}"
            raise WeightsError(
                f"the weights {entry.name} are not made for {model.argument}", f"did you mean {made_for}?"
            )
        return named
    if weights.startswith(RANDOM) and model.scheme:
        seed_of(weights)
    path = Path(weights).expanduser()
    if model.scheme and path.suffix in _WEIGHTS_FILES and not path.is_file():
        raise WeightsError(f"there is no weights file {path}", "pass --weights the path of a file, or random:SEED")
    return None


def own_weights(model: str, num_classes: int, label_space: str = "") -> Published | None:
    """Return the published weights that a built-in network uses by default; None if its weights ship with fcnbench.

    Args:
        model: name of the network.
        num_classes: number of classes of its score layer.
        label_space: name of the label space; empty for any with that many classes.

    Raises:
        WeightsError: it has no weights for these classes.

    >>> own_weights("fcn8s-pocket", 8) is None
    True
    """
    if model not in SHIPPED:
        return default_weights(model, num_classes, label_space)
    if num_classes != SHIPPED[model]:
        raise WeightsError(
            f"the weights that {model} ships with are for {SHIPPED[model]} classes, and the dataset has {num_classes}",
            "choose another model (`fcnbench list models`), or pass --weights",
        )
    return None


def default_weights(model: str, num_classes: int, label_space: str = "") -> Published:
    """Return the published weights that a built-in network uses by default: the first that fit in the catalogue.

    Args:
        model: name of the network.
        num_classes: number of classes of its score layer.
        label_space: name of the label space; empty for any with that many classes.

    Raises:
        WeightsError: no weights for this network and label space are published.

    >>> default_weights("fcn8s", 21).name
    'fcn8s-heavy-pascal'
    """
    entries = [entry for entry in published().values() if entry.model == model]
    for entry in entries:
        if entry.num_classes == num_classes and label_space in ("", entry.label_space):
            return entry
    use_file = "pass --weights PATH (.pth, .safetensors or .caffemodel with the reference's layer names)"
    untrained = f"--weights random:0 to try {model} untrained"
    classes = label_space or f"{num_classes} classes"
    if not entries:
        raise WeightsError(f"{model} needs weights, and none are published for it", f"{use_file}, or {untrained}")
    spaces = listed(sorted({entry.label_space for entry in entries}))
    raise WeightsError(
        f"{model} needs weights, and those published for it are for {spaces}, not for {classes}",
        f"choose a dataset with these classes (`fcnbench list datasets`), {use_file}, or {untrained}",
    )
