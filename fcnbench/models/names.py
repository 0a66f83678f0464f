"""The values of `--model` and `--dense`, checked without torch, so that mistakes are reported at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fcnbench.errors import UnknownName, UsageError
from fcnbench.labelspace import IGNORE
from fcnbench.models.registry import MODELS
from fcnbench.models.schemes import PATH, SCHEMES, missing_extra
from fcnbench.util.digests import digest_text, short
from fcnbench.util.version import __version__

FILE_MARK = ".py:"
"""Distinguishes `path/to/file.py:factory` from a registered name."""

SHIFT_AND_STITCH = "shift-and-stitch"
"""The only value of `--dense`, which may be followed by a factor."""

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
        UnknownName: no model has this name, or the file does not exist.
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
