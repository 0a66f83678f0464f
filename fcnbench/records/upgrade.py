"""Brings records of older formats up to date: their JSON values, and the arrays beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fcnbench.metrics.counts import CONFUSION, GEO, GEO_CONFUSION, LABELS
from fcnbench.metrics.trimap import TRIMAP
from fcnbench.protocol import GIVEN, MEANS_1, UNKNOWN, Protocol
from fcnbench.records.evaluation import NEAR_TIES
from fcnbench.records.json import Arrays
from fcnbench.records.schema import VERSION
from fcnbench.util.digests import short

FAMILY = "fcnbench.record/"
"""What the format of every record starts with; its version follows."""

Content = dict[str, Any]


class LaterFormat(ValueError):
    """The format of a file is later than those that this version of fcnbench reads."""


def upgraded(content: Any) -> Content:
    """Return the JSON values of a record of any known version, as the newest version has them.

    Raises:
        ValueError: not a record, or of a version that is not known here.
        KeyError, TypeError, AttributeError: an older record lacks something.
    """
    if not isinstance(content, dict) or not str(content.get("format")).startswith(FAMILY):
        raise ValueError("it is not a record of fcnbench")
    number = str(content["format"]).removeprefix(FAMILY)
    version = int(number) if number.isdecimal() else 0
    if version > VERSION:
        raise LaterFormat(f"its format {version} is later than {VERSION}: a newer fcnbench reads it")
    while version < VERSION:
        if version not in UPGRADES:
            raise ValueError(f"its format {number} is unknown")
        content = UPGRADES[version](content)
        version += 1
    return dict(content)


def upgraded_arrays(arrays: Arrays, wanted: Collection[str]) -> Arrays:
    """Return the arrays beside a record, under the names of the newest version.

    Args:
        arrays: what the file holds.
        wanted: the counts that the record names.

    Raises:
        ValueError: an array holds totals that are not the sums of another.
    """
    if CONFUSION in arrays:
        return arrays
    for total, images in (("total", "per_image"), ("geo_total", "geo_per_image")):
        if total in arrays and (arrays[images].sum(axis=0) != arrays[total]).any():
            raise ValueError(f"{total} is not the sum of {images}")
    renamed = {_ARRAYS_1.get(name, name): values for name, values in arrays.items() if not name.endswith("total")}
    # Format 1 wrote second matrices without a scored pixel, and no score of them.
    if GEO_CONFUSION in renamed and GEO_CONFUSION not in wanted and not renamed[GEO_CONFUSION].any():
        del renamed[GEO_CONFUSION]
    return renamed


_ARRAYS_1 = {"per_image": CONFUSION, "geo_per_image": GEO_CONFUSION, "margins": NEAR_TIES, "trimap": TRIMAP}
"""Names of format 1 for the arrays, and those of format 2. Format 1 had their sums, too."""


def _from_1(content: Content) -> Content:
    """Return the values of a record of format 1 as format 2 has them."""
    old = content["protocol"]
    protocol = Protocol(
        dataset=old["dataset"],
        images=old["images"],
        total=old["total"],
        classes=old["classes"],
        ignore=old["ignore"],
        mean=MEANS_1[old["absent"]],
        infer=UNKNOWN if old["modality"] == GIVEN else old["resolution"],
        precision=old["precision"] or UNKNOWN,
        modality=old["modality"],
        labelling=old["labelling"],
        split=old["split"],
        variant=old["variant"],
        label_space=old["label_space"],
        geo=old["geo"],
    )
    if old["version"] != 1 or content["signature"] != _signatures_1(old, protocol):
        raise ValueError("signature and protocol do not fit")
    maps = {LABELS: content["predictions"]["images"]}
    moved = {
        "format": f"{FAMILY}2",
        "signature": {"short": protocol.signature(), "long": protocol.signature(long=True)},
        "protocol": {name: getattr(protocol, name) for name in protocol.__dataclass_fields__},
        "leakage": content["training"],
        "scores": _by_mean(content["scores"]),
        "intervals": _by_mean(content["intervals"]),
        "counts": _counts_1(content),
        "predictions": {"digest": content["predictions"]["digest"], "maps": maps},
    }
    if "certificate" in content:
        moved["reproducibility"] = content["certificate"]
    gone = {"training", "certificate", "margins", "trimap"}
    return {
        **{name: value for name, value in content.items() if name not in gone},
        **moved,
        "timing": _timing_1(content),
    }


def _timing_1(content: Content) -> Content:
    """Return the times; where no model ran, format 1 had an empty list of them."""
    timing = content["timing"]
    samples = timing["samples"]
    return {**timing, "samples": {} if samples == {"forward_500": []} else samples}


def _by_mean(sets: Content) -> Content:
    """Return sets of metrics under the names of format 2."""
    return {MEANS_1.get(name, name): value for name, value in sets.items()}


def _counts_1(content: Content) -> Content:
    """Return the descriptions of the arrays, which format 1 spread over the record."""
    classes = content["protocol"]["classes"]
    space, geo = content["protocol"]["label_space"], content["protocol"]["geo"]
    counts = {CONFUSION: _entry("image", [classes, classes], LABELS, space)}
    # A model without a second head left no second matrices, and no score of them.
    if "geo_pixel_acc" in content["scores"]["present"]:
        second = len(content["geo_classes"])
        counts[GEO_CONFUSION] = _entry("image", [second, second], GEO, geo)
    if "margins" in content:
        below, pixels = content["margins"]["below"], content["margins"]["pixels"]
        counts[NEAR_TIES] = _entry("image", [len(below)], "", "", {"below": below}, {"total": pixels})
    if "trimap" in content:
        curves = dict(content["trimap"])
        widths = curves.pop("widths")
        counts[TRIMAP] = _entry("split", [len(widths), classes, classes], LABELS, space, {"width": widths}, curves)
    return counts


def _entry(
    per: str,
    shape: list[int],
    label_maps: str,
    label_space: str,
    axes: Content | None = None,
    derived: Content | None = None,
) -> Content:
    return {
        "per": per,
        "shape": shape,
        "label_maps": label_maps,
        "label_space": label_space,
        "axes": axes or {},
        "derived": derived or {},
    }


def _signatures_1(old: Content, protocol: Protocol) -> Content:
    """Return the signatures that format 1 wrote for a protocol."""
    usual = {"labelling": "", "modality": "rgb", "precision": ""}
    parts = [f"{old['dataset']}#{protocol.count}"]
    parts += [old[name] for name in ("labelling", "modality") if old[name] != usual[name]]
    parts += [f"c{old['classes']}", f"ign{old['ignore']}", f"abs:{old['absent']}", old["resolution"]]
    parts += [old["precision"]] if old["precision"] else []
    long = [f"{name}={short(value) if name == 'split' else value}" for name, value in old.items()]
    return {"short": "|".join(["fcn", *parts, f"v{old['version']}"]), "long": "|".join(["fcn", *long])}


UPGRADES: dict[int, Callable[[Content], Content]] = {1: _from_1}
"""From the values of a version to those of the next one. The next version adds its step here; readers need no more."""
