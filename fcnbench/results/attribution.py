"""Why two runs may differ: what lies under a number, layer by layer, in the order that a picture goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from fcnbench.ground.digests import short
from fcnbench.results.record import Record

State = Literal["same", "differs", "unknown"]

_DECODERS = ("pillow", "simplejpeg", "deflate")
"""Packages that decode; the others are the layer `versions`."""


@dataclass(frozen=True)
class Layer:
    """One layer of two runs.

    Attributes:
        name: data, decoder, preprocessing, weights, versions, device or code.
        state: whether it is the same in both; `unknown` where neither says anything.
        text: what differs, as `A -> B`; what it is where it is the same.
    """

    name: str
    state: State
    text: str


def layers(first: Record, second: Record) -> list[Layer]:
    """All layers in order; the first that differs is where to look first."""
    found = [_layer(name, facts(first), facts(second)) for name, facts in _LAYERS.items()]
    checks = [record.environment.device_check for record in (first, second)]
    if not any(checks):
        return found
    # A check explains no difference by itself: the same device may have been checked for one of the runs alone.
    said = "; ".join(
        f"{name} {check.told() if check else 'not checked'}" for name, check in zip("AB", checks, strict=True)
    )
    return [replace(layer, text=f"{layer.text}; {said}") if layer.name == "device" else layer for layer in found]


def first_difference(found: list[Layer]) -> Layer | None:
    """The first layer that differs; None where all that is known is the same."""
    return next((layer for layer in found if layer.state == "differs"), None)


def _layer(name: str, before: dict[str, str], after: dict[str, str]) -> Layer:
    pairs = {what: (before.get(what, ""), after.get(what, "")) for what in dict.fromkeys([*before, *after])}
    differing = [f"{what} {one or 'none'} -> {two or 'none'}" for what, (one, two) in pairs.items() if one != two]
    if differing:
        return Layer(name, "differs", ", ".join(differing))
    said = [f"{what} {value}" for what, value in before.items() if value]
    return Layer(name, "same", ", ".join(said)) if said else Layer(name, "unknown", "neither record says")


def _data(record: Record) -> dict[str, str]:
    protocol = record.protocol
    return {
        "label maps": short(record.data.labels),
        "all pixels": short(record.data.fingerprint),
        "images": protocol.count,
        "release": protocol.labelling or protocol.variant,
    }


def _decoder(record: Record) -> dict[str, str]:
    packages = record.environment.packages
    return {"pixels": short(record.environment.decoder)} | {name: packages.get(name, "") for name in _DECODERS}


def _preprocessing(record: Record) -> dict[str, str]:
    labels = record.model.labels
    return {
        "prepared by": record.model.preprocessing,
        "from": record.protocol.modality,
        "at": record.protocol.resolution,
        "classes mapped": ", ".join(sorted(labels)) if labels else "",
    }


def _weights(record: Record) -> dict[str, str]:
    return {"digest": short(record.model.weights_digest or ""), "file": record.model.weights or ""}


def _versions(record: Record) -> dict[str, str]:
    packages = {name: version for name, version in record.environment.packages.items() if name not in _DECODERS}
    packages.pop("fcnbench", None)
    names = ("torch", "torchvision", "numpy", "pyarrow")
    return {name: packages.get(name, "") for name in dict.fromkeys([*names, *packages])} | {
        "python": record.environment.python
    }


def _device(record: Record) -> dict[str, str]:
    environment, execution = record.environment, record.evaluation.execution
    return {
        "type": environment.device,
        "on": environment.device_name,
        "precision": record.protocol.precision,
        "forward": execution.forward if execution else "",
        "batch": str(execution.batch) if execution else "",
        "threads": str(environment.threads),
        "CUDA": environment.cuda,
        "driver": environment.driver,
        "system": environment.system,
    }


def _code(record: Record) -> dict[str, str]:
    model = record.model
    return {
        "model": model.name,
        "from": f"{model.provider} {model.version}".strip(),
        "fcnbench": record.fcnbench,
        "revision": record.environment.revision[:12],
    }


_LAYERS: dict[str, Callable[[Record], dict[str, str]]] = {
    "data": _data,
    "decoder": _decoder,
    "preprocessing": _preprocessing,
    "weights": _weights,
    "versions": _versions,
    "device": _device,
    "code": _code,
}
