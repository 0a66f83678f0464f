"""The metadata of a model file: mean, deviation and channel order of its input, its classes, and its output.

An ONNX file has them in its metadata, where other programs have keys too: those are ignored. A TorchScript or export
archive has them in the extra file `fcnbench.json`, where every key is fcnbench's. All values are checked: a mean on
another scale, for example, would change every score without any other sign.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from fcnbench.errors import ModelError
from fcnbench.models.preprocess import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB
from fcnbench.util.console import listed
from fcnbench.util.text import unique_keys

EXTRA = "fcnbench.json"
"""Name of the extra file in TorchScript archives and `torch.export` programs."""

KEYS = ("mean", "std", "order", "classes", "output")
"""The keys of the metadata."""

_ORDERS = ("RGB", "BGR")

_CHANNELS = 3

_MIN_STD = 1e-6
"""Smallest allowed deviation; a tenth of one step of 16-bit values on a scale of 0..1."""

_ALIASES = {
    "mean": ("meanrgb", "rgbmean", "meanvalue", "meanvalues"),
    "std": ("stds", "stdev", "stdevs", "stddev", "stddevs", "stdrgb", "rgbstd", "deviation", "standarddeviation"),
    "order": ("channels", "channelorder", "channelsorder", "colororder", "colourorder", "rgborder"),
    "classes": ("class",),
}
"""Other usual words for a key, reduced to their letters."""

_PREFIXES = ("fcnbench", "image", "pixel", "input", "norm", "normalize", "normalization")
"""Usual prefixes of `mean` and `std`, reduced to their letters."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of a model file; the defaults apply where it states nothing.

    Attributes:
        mean: three numbers from 0 to 1, subtracted from RGB on a scale of 0..1.
        std: three numbers above 0 and at most 1, by which the difference is divided.
        bgr: whether the network takes BGR.
        classes: class names in channel order, all different; empty if the file does not name them.
        output: name of the output that contains the logits, or the index of an unnamed output; None if the file does
            not name one.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN_RGB
    std: tuple[float, ...] = IMAGENET_STD_RGB
    bgr: bool = False
    classes: tuple[str, ...] = ()
    output: str | None = None


def read_onnx_metadata(path: Path, metadata: Mapping[str, str]) -> Metadata:
    """Read the metadata of an ONNX file. Values are comma-separated; keys of other programs are ignored.

    Raises:
        ModelError: a value is invalid, or a key looks like a misspelled one of fcnbench.
    """
    for key in metadata:
        if key not in KEYS and (ours := similar_key(key)):
            raise ModelError(
                f"the metadata of {path} has a key {key!r}, which is not {ours!r} and looks like it",
                f"rename the key to {ours!r}, or, if it means something else, to a name that does not look like it",
            )
    parts: dict[str, Any] = {
        key: [part.strip() for part in metadata[key].split(",")] for key in KEYS if key in metadata
    }
    for key in ("mean", "std"):
        if key in parts:
            parts[key] = [_number(path, key, part) for part in parts[key]]
    parts |= {key: metadata[key] for key in ("order", "output") if key in metadata}
    return _checked(path, parts)


def read_archive_metadata(path: Path, text: str | bytes) -> Metadata:
    """Read the extra file `fcnbench.json` of an archive.

    Args:
        path: the archive, for messages.
        text: content of the extra file; empty if the archive has none.

    Raises:
        ModelError: the text is not a JSON object, has an unknown key, or a value is invalid.
    """
    if not text:
        return Metadata()
    try:
        content = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{EXTRA} in {path} is not JSON: {error}", "export the model again") from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{EXTRA} in {path} holds a {type(content).__name__}, expected a JSON object with some of the keys "
            f"{', '.join(KEYS)}",
            'write it as {"mean": [0.485, 0.456, 0.406], ...}',
        )
    for key in content:
        if key not in KEYS:
            ours = similar_key(key)
            raise ModelError(
                f"{EXTRA} in {path} has an unknown key {key!r}, expected some of {', '.join(KEYS)}",
                f"rename it to {ours!r}" if ours else "remove it",
            )
    return _checked(path, content)


def similar_key(key: str) -> str:
    """Return the key of fcnbench that another key resembles; empty if it resembles none.

    Only letters count, without case. A key resembles one of fcnbench if it equals it, is another usual word for it, has
    a usual prefix before such a word (`image`, `pixel`, `input` and so on), or differs by one letter: one too many, one
    missing, one replaced, or two swapped.

    >>> [similar_key(key) for key in ("Mean", "means", "image_std", "oder", "author", "stride")]
    ['mean', 'mean', 'std', 'order', '', '']
    """
    letters = re.sub(r"[^a-z]", "", key.casefold())
    for prefix in _PREFIXES:
        rest = letters.removeprefix(prefix)
        if rest != letters and (key := _word(rest)) and (key in ("mean", "std") or prefix == "fcnbench"):
            return key
    return _word(letters) or next((ours for ours in KEYS if _one_letter_away(letters, ours)), "")


def _word(letters: str) -> str:
    """Return the key that equals a word or has it as an alias; empty if there is none."""
    return next((ours for ours in KEYS if letters == ours or letters in _ALIASES.get(ours, ())), "")


def _one_letter_away(word: str, ours: str) -> bool:
    if len(word) > len(ours):
        return any(word[:index] + word[index + 1 :] == ours for index in range(len(word)))
    if len(word) < len(ours):
        # A key of two letters, such as "sd", is too short to be a misspelling.
        return len(word) > 2 and any(ours[:index] + ours[index + 1 :] == word for index in range(len(ours)))
    different = [index for index in range(len(ours)) if word[index] != ours[index]]
    if len(different) == 2 and different[1] == different[0] + 1:
        first, second = different
        return word[first] == ours[second] and word[second] == ours[first]
    return len(different) == 1


def _checked(path: Path, content: Mapping[str, Any]) -> Metadata:
    return Metadata(
        mean=_channel_numbers(path, "mean", content["mean"]) if "mean" in content else IMAGENET_MEAN_RGB,
        std=_channel_numbers(path, "std", content["std"]) if "std" in content else IMAGENET_STD_RGB,
        bgr="order" in content and _order(path, content["order"]) == "BGR",
        classes=_classes(path, content["classes"]) if "classes" in content else (),
        output=_output(path, content["output"]) if "output" in content else None,
    )


def _channel_numbers(path: Path, key: str, values: Any) -> tuple[float, ...]:
    """Return the three numbers of a mean or a deviation."""
    low = _MIN_STD if key == "std" else 0.0
    expected = f"expected three numbers from {low:g} to 1, one for each of red, green and blue on a scale of 0..1"
    if not isinstance(values, list) or any(type(value) not in (int, float) for value in values):
        _refuse(path, f"{key} is {values!r}, {expected}")
    if len(values) != _CHANNELS:
        _refuse(path, f"{key} has {len(values)} numbers, {expected}")
    if not all(math.isfinite(value) and low <= value <= 1 for value in values):
        scale = "; divide by 255" if any(1 < value <= 255 for value in values) else ""
        _refuse(path, f"{key} is ({', '.join(f'{value:g}' for value in values)}), {expected}{scale}")
    return tuple(float(value) for value in values)


def _number(path: Path, key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        _refuse(path, f"{key} holds {text!r}, expected three numbers separated by commas")


def _order(path: Path, value: Any) -> str:
    letters = value if isinstance(value, str) else "".join(value) if _all_text(value) else ""
    order = re.sub(r"[\s,]", "", letters).upper()
    if order not in _ORDERS:
        _refuse(path, f"order is {value!r}, expected {' or '.join(_ORDERS)}")
    return order


def _classes(path: Path, value: Any) -> tuple[str, ...]:
    if not _all_text(value) or not value:
        _refuse(path, f"classes is {value!r}, expected a list of class names", "classes")
    names = tuple(name.strip() for name in value)
    if not all(names):
        _refuse(
            path,
            f"classes has an empty name at channel {names.index('')}, expected a name for every channel",
            "classes",
        )
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        _refuse(
            path,
            f"classes names {listed(duplicates)} more than once, expected another name for every channel",
            "classes",
        )
    return names


def _output(path: Path, value: Any) -> str:
    if type(value) is int and value >= 0:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        _refuse(path, f"output is {value!r}, expected the name of the output that holds the logits", "output")
    return value.strip()


def _all_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _refuse(path: Path, problem: str, part: str = "input") -> NoReturn:
    raise ModelError(
        f"{path} describes its {part} wrongly: {problem}", "write what the network was trained with"
    ) from None
