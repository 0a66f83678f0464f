"""What of an output is frozen: keys, integers and digests; not times, paths, versions and names of this machine.

A number that another processor may give slightly otherwise is written as `"~0.9304"`: it may differ a little.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import fcnbench

_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+00:00|Z)")
_SPEED_BOARD = re.compile(r"speed/[^/\s\"]+\.csv")
_DEVICE_FILE = re.compile(r"devices/[^/\s\"]+\.json")
_SECONDS = re.compile(r"\b\d+(\.\d+)? (s|ms|MiB|images/s)\b")

MASKED = frozenset({
    "median", "p90", "p99", "mean", "seconds", "images_per_second", "peak_memory", "forward_500_ms", "median_ms",
    "p90_ms", "p99_ms", "mean_ms", "images_per_s", "of_ceiling", "ceiling_flops", "ceiling_bytes", "joules", "samples",
    "parts", "slowed", "flops", "bytes", "gflops", "device", "threads", "torch", "machine", "clocks", "packages",
    "python", "system", "cpu", "cores", "device_name", "cuda", "driver", "decoder", "revision",
})  # fmt: skip
"""Keys whose values belong to a machine or an hour."""

_VERSIONS = frozenset({"fcnbench", "version", "provider_version", "tier_version"})

LOOSE_COUNTS = frozenset({"predicted_pixels", "flips", "right", "before", "after", "confusion"})
"""Keys of integers that a network's near ties may move."""

_LAYERS = "decoder|versions|device"
"""Layers of a comparison whose text names packages and devices."""

_LAYER_ROW = re.compile(rf"^({_LAYERS}) +(\w+) .*(?:\n {{8,}}\S.*)*", re.MULTILINE)
_LAYER_CELL = re.compile(rf"^\| ({_LAYERS}) \| (\w+) \| .* \|$", re.MULTILINE)
_LAST_RULE = re.compile(r"^(-+ +-+ +)-{20,}$", re.MULTILINE)

_FOREIGN = re.compile(r"(can't be used here|can't be read as weights|broken\.toml can't be read): .*")
"""Messages that end in words of PyTorch or Python."""

_LISTS = re.compile(r"\[\s*\n\s*([^\[\]{}]*?)\s*\n\s*\]")
_OBJECTS = re.compile(r"\{\s*\n\s*([^\[\]{}]*?)\s*\n\s*\}")
_WIDE = 110


def scrubbed(text: str, root: Path) -> str:
    """Return a text with names of runs, times and folders of this session replaced."""
    for form in (json.dumps(str(root))[1:-1], str(root), root.as_posix()):
        text = text.replace(form, "<root>")
    text = _TIME.sub("<time>", _RUN.sub("<run>", text))
    text = _DEVICE_FILE.sub("devices/<device>.json", _SPEED_BOARD.sub("speed/<machine>.csv", text.replace("\\", "/")))
    return _FOREIGN.sub(r"\1: <foreign>", _SECONDS.sub(r"<number> \2", text))


def without_machine(text: str) -> str:
    """Return what a person reads of a comparison without packages and devices, and without widths that follow them."""
    text = _LAYER_ROW.sub(r"\1 \2 <machine>", text)
    return _LAST_RULE.sub(r"\1<rule>", _LAYER_CELL.sub(r"| \1 | \2 | <machine> |", text))


def masked(value: Any, root: Path, network: bool = False, key: str = "") -> Any:
    """Return JSON values with those masked that differ between machines; all keys stay.

    Args:
        value: the values.
        root: folder of the session.
        network: whether a network's logits stand behind the numbers.
        key: the key that the value belongs to.
    """
    if isinstance(value, dict):
        if "state" in value and value.get("name") in _LAYERS.split("|"):
            return {**value, "text": "<machine>"}
        return {scrubbed(name, root): _masked_entry(name, each, root, network) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each, root, network, key) for each in value]
    if isinstance(value, str):
        return "<version>" if key in _VERSIONS and value == fcnbench.__version__ else scrubbed(value, root)
    if isinstance(value, float):
        return about(value) if network else float(f"{value:.10g}")
    if network and isinstance(value, int) and not isinstance(value, bool) and key in LOOSE_COUNTS:
        return about(value)
    return value


def _masked_entry(key: str, value: Any, root: Path, network: bool) -> Any:
    if network and key in ("predictions_digest", "digest") and value is not None:
        return "<digest>"
    if key in MASKED and value is not None:
        return dict.fromkeys(value, "<masked>") if key == "parts" else "<masked>"
    if key == "reproducibility" and value is not None:
        return tree(value)
    return masked(value, root, network, key)


def tree(value: Any, keep: frozenset[str] = frozenset(), key: str = "") -> Any:
    """Return the keys of JSON values with the names of their types; a list shows its first element.

    Args:
        value: the values.
        keep: keys whose values stay; a list of objects with one of them is shown whole.
        key: the key that the value belongs to.
    """
    if isinstance(value, dict):
        return {name: each if name in keep else tree(each, keep, name) for name, each in value.items()}
    if isinstance(value, list):
        named = [each for each in value if isinstance(each, dict) and keep & each.keys()]
        return [tree(each, keep, key) for each in (named or value[:1])]
    return {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}[type(value)]


def about(value: float) -> str:
    """Return a number that may differ a little, as text: four decimals, or an integer."""
    return f"~{value}" if isinstance(value, int) else f"~{value:.4f}"


_NOTHING = "~0.0000"


def near(golden: str, fresh: str) -> bool:
    """Whether two numbers written by `about` are close: two percent, and 0.01 or 30 pixels more."""
    there, here = float(golden[1:]), float(fresh[1:])
    return abs(there - here) <= 0.02 * abs(there) + (0.01 if "." in golden else 30)


def dumped(content: Any) -> str:
    """Return JSON text for people and diffs: one value per line, but small objects and lists of values on one line."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    text = _LISTS.sub(lambda match: f"[{_one_line(match[1])}]", text)
    return _OBJECTS.sub(_object, text) + "\n"


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text)


def _object(match: re.Match[str]) -> str:
    line = f"{{{_one_line(match[1])}}}"
    return line if len(line) <= _WIDE else match[0]


def settled(golden: str, fresh: str) -> str:
    """Return a fresh text with the golden one's numbers where both are close enough."""
    try:
        return dumped(_settled(json.loads(golden), json.loads(fresh)))
    except ValueError:
        return fresh


def _settled(golden: Any, fresh: Any) -> Any:
    if isinstance(golden, dict) and isinstance(fresh, dict):
        return {name: _settled(golden.get(name), each) for name, each in fresh.items()}
    if isinstance(golden, list) and isinstance(fresh, list) and len(golden) == len(fresh):
        return [_settled(there, here) for there, here in zip(golden, fresh, strict=True)]
    # A class that is predicted nowhere has no IU; one pixel more, and it has one.
    there, here = (_NOTHING if value is None else value for value in (golden, fresh))
    if isinstance(there, str) and isinstance(here, str) and there[:1] == here[:1] == "~" and near(there, here):
        return golden
    return fresh
