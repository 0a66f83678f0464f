"""What a model file says about itself: its input's mean, deviation and channel order, its classes, and its output.

An ONNX file says it in its metadata, which other programs write into as well: their keys are left alone. A TorchScript
or export archive says it in the extra file `fcnbench.json`, where every key is ours. Whatever is said has to be right:
a mean on another scale changes every score, and nothing else would tell.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from fcnbench.errors import ModelError
from fcnbench.models.preprocess import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB
from fcnbench.util.console import listed

EXTRA = "fcnbench.json"
"""Extra file in TorchScript archives and `torch.export` programs."""

KEYS = ("mean", "std", "order", "classes", "output")
"""What a file can say."""

_ORDERS = ("RGB", "BGR")

_PLANES = 3

_SMALLEST = 1e-6
"""Smallest deviation: that of 16-bit values on a scale of 0..1 is ten times as much."""

_ALIASES = {
    "mean": ("meanrgb", "rgbmean", "meanvalue", "meanvalues"),
    "std": ("stds", "stdev", "stdevs", "stddev", "stddevs", "stdrgb", "rgbstd", "deviation", "standarddeviation"),
    "order": ("channels", "channelorder", "channelsorder", "colororder", "colourorder", "rgborder"),
    "classes": ("class",),
}
"""Other words for a key, letters only."""

_PREFIXES = ("fcnbench", "image", "pixel", "input", "norm", "normalize", "normalization")
"""Words that are put before `mean` and `std`, likewise."""


@dataclass(frozen=True)
class About:
    """What a model file says about itself, and what holds where it says nothing.

    Attributes:
        mean: subtracted from RGB on a scale of 0..1, three numbers from 0 to 1.
        std: divides that, three numbers above 0, at most 1.
        bgr: whether the network takes blue first.
        classes: class names in channel order, all different; empty where they are not named.
        output: name of the output that holds the logits; of an unnamed one its number, counted from 0; None where it is
            not named.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN_RGB
    std: tuple[float, ...] = IMAGENET_STD_RGB
    bgr: bool = False
    classes: tuple[str, ...] = ()
    output: str | None = None


def about_onnx(path: Path, metadata: Mapping[str, str]) -> About:
    """Read the metadata of an ONNX file: values are comma-separated, keys of other programs do not matter.

    Raises:
        ModelError: a value is not what it should be, or a key is one of ours in another spelling.
    """
    for key in metadata:
        if key not in KEYS and (ours := meant(key)):
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


def about_archive(path: Path, text: str | bytes) -> About:
    """Read the extra file `fcnbench.json` of an archive; an empty text where the archive has none.

    Raises:
        ModelError: it is not a JSON object, has an unknown key, or a value is not what it should be.
    """
    if not text:
        return About()
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{EXTRA} in {path} is not JSON: {error}", "write it again") from error
    if not isinstance(found, dict):
        raise ModelError(
            f"{EXTRA} in {path} holds a {type(found).__name__}, expected a JSON object with some of the keys "
            f"{', '.join(KEYS)}",
            'write it as {"mean": [0.485, 0.456, 0.406], ...}',
        )
    for key in found:
        if key not in KEYS:
            ours = meant(key)
            raise ModelError(
                f"{EXTRA} in {path} has an unknown key {key!r}, expected some of {', '.join(KEYS)}",
                f"rename it to {ours!r}" if ours else "leave it out",
            )
    return _checked(path, found)


def meant(key: str) -> str:
    """Return the key of ours that another one looks like; empty where it looks like none.

    It does if, in letters alone and without case, it is ours, a usual other word for it, such a word behind `image`,
    `pixel`, `input` and the like, or one letter away from ours: one too many, one missing, another one, or two swapped.

    >>> meant("Mean"), meant("means"), meant("image_std"), meant("oder"), meant("author"), meant("stride")
    ('mean', 'mean', 'std', 'order', '', '')
    """
    letters = re.sub(r"[^a-z]", "", key.casefold())
    for prefix in _PREFIXES:
        rest = letters.removeprefix(prefix)
        if rest != letters and (found := _word(rest)) and (found in ("mean", "std") or prefix == "fcnbench"):
            return found
    return _word(letters) or next((ours for ours in KEYS if _one_letter_away(letters, ours)), "")


def _word(letters: str) -> str:
    return next((ours for ours in KEYS if letters == ours or letters in _ALIASES.get(ours, ())), "")


def _one_letter_away(word: str, ours: str) -> bool:
    if len(word) > len(ours):
        return any(word[:at] + word[at + 1 :] == ours for at in range(len(word)))
    if len(word) < len(ours):
        # Two letters are too few to mean anything.
        return len(word) > 2 and any(ours[:at] + ours[at + 1 :] == word for at in range(len(ours)))
    differ = [at for at in range(len(ours)) if word[at] != ours[at]]
    if len(differ) == 2 and differ[1] == differ[0] + 1:
        return word[differ[0]] == ours[differ[1]] and word[differ[1]] == ours[differ[0]]
    return len(differ) == 1


def _checked(path: Path, found: Mapping[str, Any]) -> About:
    return About(
        mean=_planes(path, "mean", found["mean"]) if "mean" in found else IMAGENET_MEAN_RGB,
        std=_planes(path, "std", found["std"]) if "std" in found else IMAGENET_STD_RGB,
        bgr="order" in found and _order(path, found["order"]) == "BGR",
        classes=_classes(path, found["classes"]) if "classes" in found else (),
        output=_output(path, found["output"]) if "output" in found else None,
    )


def _planes(path: Path, key: str, values: Any) -> tuple[float, ...]:
    """The three numbers of a mean or a deviation."""
    low = _SMALLEST if key == "std" else 0.0
    expected = f"expected three numbers from {low:g} to 1, one for each of red, green and blue on a scale of 0..1"
    if not isinstance(values, list) or any(type(value) not in (int, float) for value in values):
        _refuse(path, f"{key} is {values!r}, {expected}")
    if len(values) != _PLANES:
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
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        _refuse(
            path, f"classes names {listed(doubled)} more than once, expected another name for every channel", "classes"
        )
    return names


def _output(path: Path, value: Any) -> str:
    if type(value) is int and value >= 0:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        _refuse(path, f"output is {value!r}, expected the name of the output that holds the logits", "output")
    return value.strip()


def _all_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _without_doubles(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _refuse(path: Path, problem: str, part: str = "input") -> NoReturn:
    raise ModelError(
        f"{path} describes its {part} wrongly: {problem}", "write what the network was trained with"
    ) from None
