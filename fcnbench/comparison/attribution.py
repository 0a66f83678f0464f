"""Why two runs may differ: what lies under a number, layer by layer.

The model's own code comes first: whoever changed it looks for nothing else. The other layers are in the order that an
image goes through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fcnbench.records.model import Record
from fcnbench.util.digests import short

State = Literal["same", "differs", "unknown"]

_ALWAYS = ("torch", "torchvision", "numpy", "pyarrow")
"""Packages that take part in every run of a model; others may be imported for something else."""

_DECODERS = ("pillow", "simplejpeg", "deflate")
"""Packages that decode; the others are the layer `versions`."""


@dataclass(frozen=True)
class Layer:
    """One layer of two runs.

    Attributes:
        name: code, data, decoder, preprocessing, weights, versions or device.
        state: whether it is the same in both; `unknown` where neither says anything.
        text: what differs, as `A -> B`; what it is where it is the same.
    """

    name: str
    state: State
    text: str


def layers(first: Record, second: Record) -> list[Layer]:
    """All layers in order; the first that differs is where to look first."""
    found = [
        _layer("code", *_codes(first, second)),
        *(_layer(name, facts(first), facts(second)) for name, facts in _LAYERS.items()),
        _layer("versions", *_versions(first, second)),
        _layer("device", _device(first), _device(second)),
    ]
    checks = [record.environment.device_check for record in (first, second)]
    if not any(checks):
        return found
    # A check explains no difference by itself: the same device may have been checked for one of the runs alone.
    said = "; ".join(
        f"{name} {check.describe() if check else 'not checked'}" for name, check in zip("AB", checks, strict=True)
    )
    return [
        Layer(layer.name, layer.state, f"{layer.text}; {said}") if layer.name == "device" else layer for layer in found
    ]


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
        "at": record.protocol.infer,
        "classes mapped": ", ".join(sorted(labels)) if labels else "",
    }


def _weights(record: Record) -> dict[str, str]:
    return {"digest": short(record.model.weights_digest or ""), "file": record.model.weights or ""}


def _versions(first: Record, second: Record) -> tuple[dict[str, str], dict[str, str]]:
    """Versions of what takes part in every run; of other packages those that both runs imported, where they differ."""
    one, two = first.environment.packages, second.environment.packages
    more = [name for name in one if name in two and one[name] != two[name]]
    names = [name for name in dict.fromkeys([*_ALWAYS, *more]) if name not in (*_DECODERS, "fcnbench")]

    def facts(record: Record) -> dict[str, str]:
        packages = record.environment.packages
        return {name: packages.get(name, "") for name in names} | {
            "python": record.environment.python,
            "fcnbench": record.fcnbench,
            "revision": record.environment.revision[:12],
        }

    return facts(first), facts(second)


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


def _codes(first: Record, second: Record) -> tuple[dict[str, str], dict[str, str]]:
    """The model's name and provider, and its source files, where both records name them."""
    both = first.code is not None and second.code is not None
    return _code(first, files=both), _code(second, files=both)


def _code(record: Record, *, files: bool) -> dict[str, str]:
    model, code = record.model, record.code
    facts = {"model": model.name, "from": f"{model.provider} {model.version}".strip()}
    if code is None or not files:
        return facts
    return facts | {
        **{name: short(digest) for name, digest in code.files.items()},
        "repository": f"{code.revision[:12]}{' with changes' * code.dirty}",
    }


_LAYERS: dict[str, Callable[[Record], dict[str, str]]] = {
    "data": _data,
    "decoder": _decoder,
    "preprocessing": _preprocessing,
    "weights": _weights,
}
