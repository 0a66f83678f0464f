"""The values of `--model`, `--weights` and `--dense`, checked without torch, so that mistakes are reported at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fcnbench.errors import UnknownName, UsageError, WeightsError
from fcnbench.labelspace import IGNORE
from fcnbench.models.registry import MODELS, SHIPPED
from fcnbench.models.schemes import PATH, SCHEMES, missing_extra
from fcnbench.models.weights.published import Published, published
from fcnbench.util.console import listed
from fcnbench.util.digests import digest_text, short
from fcnbench.util.version import __version__

FILE_MARK = ".py:"
"""Distinguishes `path/to/file.py:factory` from a registered name."""

RANDOM = "random:"
"""Prefix of seeded random weights, `random:SEED`, for trying a model untrained."""

TRUNK = "trunk:"
"""Prefix of a classification net's weights, `trunk:PATH`, which fill the trunk; the score layers are zero."""

SHIFT_AND_STITCH = "shift-and-stitch"
"""The only value of `--dense`, which may be followed by a factor."""

_WEIGHTS_FILES = (".safetensors", ".pth", ".pt", ".caffemodel")
"""Suffixes of weights files."""

_MAX_SEED = 2**63 - 1

_SIMILARITY = 0.7
"""Similarity from which a name is suggested for a mistyped one, as in `difflib`, from 0 to 1."""

_MAX_FACTOR_DIGITS = 4
"""Most digits of a factor in `--dense`: no net has a larger stride."""

_ORACLE_NUMBERS = {"oracle-constant": (0, IGNORE - 1), "oracle-downsample": (1, 1 << 12)}
"""Smallest and largest argument of the oracles that take a number: a class index, a factor."""


@dataclass(frozen=True)
class ModelName:
    """The parts of a model's name. `path` or `scheme` is set, or neither for a registered name.

    Attributes:
        display: the name in records and messages, without folders of this machine.
        provider: the distribution or file that the factory comes from.
        version: the distribution's version, or the start of the file's digest.
        argument: the factory's name in the file, the scheme's argument, or the registered name.
        path: the Python file of `path/to/file.py:factory`.
        scheme: the word before the colon of `scheme:argument`.
    """

    display: str
    provider: str
    version: str
    argument: str
    path: Path | None = None
    scheme: str = ""

    @property
    def builtin(self) -> bool:
        """Whether it is one of fcnbench's networks, for which weights may be published."""
        return self.provider == "fcnbench" and not self.scheme


def find_model(name: str) -> ModelName:
    """Find the model that a name refers to, without importing it.

    Args:
        name: a registered name, `path/to/file.py:factory`, or `scheme:argument`.

    Raises:
        UnknownName: no model has this name, or the file does not exist.
        ModelPluginError: several packages registered the name.
        ModelError: the scheme's package is not installed.
        UsageError: the argument of an oracle is not a number in its range.

    >>> find_model("oracle-constant:3").scheme
    'oracle-constant'
    """
    if FILE_MARK in name:
        return _in_file(name)
    word, colon, argument = name.partition(":")
    if word in SCHEMES:
        return _of_scheme(word, argument)
    if name.endswith(".py"):
        if not Path(name).expanduser().is_file():
            raise UnknownName(f"--model {name}: there is no file {name}", "write path/to/file.py:factory")
        raise UnknownName(f"--model {name} names no factory in that file", f"write {name}:factory")
    if name not in MODELS.entries() and (near := difflib.get_close_matches(word, SCHEMES, 1, _SIMILARITY)):
        raise UnknownName(f"no model is called {name!r}", f"did you mean {near[0]}{colon}{argument}?")
    entry = MODELS.find(name)
    return ModelName(name, entry.provider, entry.version, name)


def _in_file(name: str) -> ModelName:
    location, _, attribute = name.rpartition(":")
    path = Path(location).expanduser()
    if not path.is_file():
        raise UnknownName(f"--model {name}: there is no file {path}", "write path/to/file.py:factory")
    return ModelName(f"{path.name}:{attribute}", path.name, short(digest_text(path)), attribute, path=path)


def _of_scheme(word: str, argument: str) -> ModelName:
    scheme = SCHEMES[word]
    if not argument and not scheme.optional:
        raise UnknownName(f"--model {word}: lacks its {scheme.argument}", f"write {word}:{scheme.argument}")
    if scheme.argument == PATH and not Path(argument).expanduser().is_file():
        raise UnknownName(
            f"--model {word}:{argument}: there is no file {Path(argument).expanduser()}", f"write {word}:{PATH}"
        )
    if argument and word in _ORACLE_NUMBERS:
        whole_number(argument.partition(":")[0], word)
    if scheme.package and find_spec(scheme.package) is None:
        raise missing_extra(word)
    # The folders of a path are those of this machine; they do not describe the model.
    label = Path(argument).name if scheme.argument == PATH else argument
    return ModelName(f"{word}:{label}" if label else word, "fcnbench", __version__, argument, scheme=word)


def whole_number(text: str, oracle: str) -> int:
    """Return the number in an oracle's argument.

    Raises:
        UsageError: the argument is not a whole number in the oracle's range.

    >>> whole_number("8", "oracle-downsample")
    8
    """
    lowest, highest = _ORACLE_NUMBERS[oracle]
    if not text.isdecimal() or len(text) > len(str(highest)) or not lowest <= int(text) <= highest:
        raise UsageError(
            f"{oracle}:{text}: a whole number {lowest}..{highest} expected", f"write for example {oracle}:8"
        )
    return int(text)


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


def dense_factor(dense: str) -> int | None:
    """Return the factor F of `--dense shift-and-stitch:F`; None for `shift-and-stitch`.

    Raises:
        UsageError: the value has another form.

    >>> dense_factor("shift-and-stitch:4")
    4
    """
    word, _, factor = dense.partition(":")
    if word != SHIFT_AND_STITCH or (
        factor and not (factor.isdecimal() and len(factor) <= _MAX_FACTOR_DIGITS and int(factor))
    ):
        raise UsageError(f"--dense {dense} is unknown", f"write {SHIFT_AND_STITCH}, or {SHIFT_AND_STITCH}:4")
    return int(factor) if factor else None
