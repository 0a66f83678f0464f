"""What `--model`, `--weights` and `--dense` name, found without torch, so that a wrong name is reported at once."""

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
"""What tells `path/to/file.py:factory` from a registered name."""

RANDOM = "random:"
"""Prefix of seeded random weights, `random:SEED`: they try the machinery and score like noise."""

TRUNK = "trunk:"
"""Prefix of a classification net's file whose layers become the trunk, `trunk:PATH`; score layers stay zero."""

SHIFT_AND_STITCH = "shift-and-stitch"
"""The one way of running densely that `--dense` knows."""

_WEIGHTS_FILES = (".safetensors", ".pth", ".pt", ".caffemodel")
"""Endings that only a file of weights has."""

_MAX_SEED = 2**63 - 1

_ALIKE = 0.7
"""How much of two names must be the same for one to be the other mistyped, from 0 to 1."""

_FACTOR_DIGITS = 4
"""Digits of a factor for running densely, at most: no net has a larger stride."""

_ORACLE_NUMBERS = {"oracle-constant": (0, IGNORE - 1), "oracle-downsample": (1, 1 << 12)}
"""The numbers that oracles take: a class, a factor."""


@dataclass(frozen=True)
class ModelName:
    """A model's name, taken apart; one of `path` and `scheme` is set, or neither for a registered name.

    Attributes:
        display: how records and messages call the model, without the machine's folders.
        provider: distribution or file that its factory comes from.
        version: the distribution's version, or the start of the file's digest.
        path: the Python file of `path/to/file.py:factory`.
        scheme: the word before the colon of `scheme:argument`.
        argument: the factory's name in the file, the scheme's argument, or the registered name.
        given: the model itself, where it is given as an object; None for a name.
    """

    display: str
    provider: str
    version: str
    argument: str
    path: Path | None = None
    scheme: str = ""
    given: object = None

    @property
    def builtin(self) -> bool:
        """Whether it is one of the package's own networks, for which weights may be published."""
        return self.provider == "fcnbench" and not self.scheme and self.given is None


def find_model(name: object) -> ModelName:
    """Find what a model's name stands for; nothing of the model is imported.

    Args:
        name: registered name, `path/to/file.py:factory`, or `scheme:argument`; or the model itself: a
            `torch.nn.Module`, an object with `prepare` and `logits`, or a factory.

    Raises:
        UnknownName: no model is called so, or the file is not there.
        ModelPluginError: several packages registered the name.
        ModelError: the scheme's package is not installed.
        UsageError: an oracle's number is not one, or an object is not a model.

    >>> find_model("oracle-constant:3").scheme
    'oracle-constant'
    """
    if not isinstance(name, str):
        # An object that is a model comes from code that has imported torch.
        from fcnbench.models.objects import name_of

        return name_of(name)
    if FILE_MARK in name:
        return _in_file(name)
    word, colon, argument = name.partition(":")
    if word in SCHEMES:
        return _of_scheme(word, argument)
    if name.endswith(".py"):
        if not Path(name).expanduser().is_file():
            raise UnknownName(f"--model {name}: there is no file {name}", "write path/to/file.py:factory")
        raise UnknownName(f"--model {name} names no factory in that file", f"write {name}:factory")
    if name not in MODELS.entries() and (near := difflib.get_close_matches(word, SCHEMES, 1, _ALIKE)):
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
    # A path's folders say something about a machine, not about the model.
    shown = Path(argument).name if scheme.argument == PATH else argument
    return ModelName(f"{word}:{shown}" if shown else word, "fcnbench", __version__, argument, scheme=word)


def whole_number(text: str, oracle: str) -> int:
    """Return the number that an oracle is given.

    Raises:
        UsageError: it is not a whole number in the oracle's range.
    """
    lowest, highest = _ORACLE_NUMBERS[oracle]
    if not text.isdecimal() or len(text) > len(str(highest)) or not lowest <= int(text) <= highest:
        raise UsageError(
            f"{oracle}:{text}: a whole number {lowest}..{highest} expected", f"write for example {oracle}:8"
        )
    return int(text)


@dataclass(frozen=True)
class WeightsName:
    """What `--weights` says of a built-in network's weights: one of `seed`, `published` and `path` is set.

    Attributes:
        text: as it was written.
        seed: of random weights.
        published: the entry of published weights.
        path: a file.
        trunk: whether they fill the trunk alone.
    """

    text: str
    seed: int | None = None
    published: Published | None = None
    path: Path | None = None
    trunk: bool = False


def find_weights(text: str) -> WeightsName:
    """Find what `--weights` names.

    Args:
        text: `random:SEED`, a name of published weights, or the path of a file, the last two also behind `trunk:`.

    Raises:
        WeightsError: no seed, no such file, and no published weights of that name.

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
            f"there is no weights file {path}" + ("" if path.suffix or near else ", and no weights are published so"),
            f"did you mean {near[0]}?"
            if near
            else "pass --weights the path of a .safetensors, .pth or .caffemodel file, the name of published weights, "
            "or random:SEED",
        )
    return WeightsName(text, path=path, trunk=trunk)


def seed_of(text: str) -> int:
    """Return the seed of `random:SEED`.

    Raises:
        WeightsError: it is not a seed.
    """
    digits = text.removeprefix(RANDOM)
    if not digits.isdecimal() or len(digits) > len(str(_MAX_SEED)) or int(digits) > _MAX_SEED:
        raise WeightsError(f"{text!r} is not a seed", "write random:SEED with a whole number, for example random:0")
    return int(digits)


def check_weights(model: ModelName, weights: str) -> WeightsName | None:
    """Check what can be checked of `--weights` before a model is imported; None where only the model can tell.

    Raises:
        WeightsError: there are no such weights.
    """
    if model.builtin:
        found = find_weights(weights)
        # Training alone tells fcn32s-fixed from fcn32s.
        if found.published is not None and not found.trunk:
            entry = found.published
            if entry.model != model.argument.removesuffix("-fixed"):
                made_for = f"--model {entry.model}" if entry.model else f"--weights trunk:{entry.name}"
                raise WeightsError(
                    f"the weights {entry.name} are not made for {model.argument}", f"did you mean {made_for}?"
                )
        return found
    if weights.startswith(RANDOM) and model.scheme:
        seed_of(weights)
    path = Path(weights).expanduser()
    if model.scheme and path.suffix in _WEIGHTS_FILES and not path.is_file():
        raise WeightsError(f"there is no weights file {path}", "pass --weights the path of a file, or random:SEED")
    return None


def own_weights(model: str, num_classes: int, label_space: str = "") -> Published | None:
    """Return the published weights that a built-in network takes when none are named; None if it ships with its own.

    Args:
        model: name of the network.
        num_classes: number of classes of its score layer.
        label_space: name of the label space; by default any with so many classes.

    Raises:
        WeightsError: it has none for these classes.

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
    """Return the published weights that a built-in network takes when none are named: the first of its catalogue.

    Args:
        model: name of the network.
        num_classes: number of classes of its score layer.
        label_space: name of the label space; by default any with so many classes.

    Raises:
        WeightsError: nobody published any for this network and label space.

    >>> default_weights("fcn8s", 21).name
    'fcn8s-heavy-pascal'
    """
    known = [entry for entry in published().values() if entry.model == model]
    for entry in known:
        if entry.num_classes == num_classes and label_space in ("", entry.label_space):
            return entry
    own = "pass --weights PATH (.pth, .safetensors or .caffemodel with the reference's layer names)"
    untrained = f"--weights random:0 to try {model} untrained"
    wanted = label_space or f"{num_classes} classes"
    if not known:
        raise WeightsError(f"{model} needs weights, and nobody published any for it", f"{own}, or {untrained}")
    spaces = listed(sorted({entry.label_space for entry in known}))
    raise WeightsError(
        f"{model} needs weights, and those published for it are for {spaces}, not for {wanted}",
        f"choose a dataset with these classes (`fcnbench list datasets`), {own}, or {untrained}",
    )


def dense_factor(dense: str) -> int | None:
    """Return the factor of `--dense shift-and-stitch:F`; None where it names none.

    Raises:
        UsageError: it is something else.

    >>> dense_factor("shift-and-stitch:4")
    4
    """
    word, _, factor = dense.partition(":")
    if word != SHIFT_AND_STITCH or (
        factor and not (factor.isdecimal() and len(factor) <= _FACTOR_DIGITS and int(factor))
    ):
        raise UsageError(f"--dense {dense} is unknown", f"write {SHIFT_AND_STITCH}, or {SHIFT_AND_STITCH}:4")
    return int(factor) if factor else None
