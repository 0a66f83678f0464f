"""The protocol: everything that can change a number, in one frozen object, and its one-line signature.

The signature is generated from the object's fields, so a new field shows in it without anybody thinking of it.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

from fcnbench.ground.digests import short

PROTOCOL_VERSION = 1
"""Raised whenever the same inputs would give other numbers than before."""

AbsentPolicy = Literal["present", "reference"]
"""Which classes the means run over: `present` = those with true pixels, `reference` = the reference's nanmean."""


def _rule(short_form: str = "") -> Any:
    """A protocol field; `short_form` is its pattern in the short signature, empty to leave it to the long one."""
    return field(metadata={"short": short_form})


@dataclass(frozen=True)
class Protocol:
    """What was scored, and how.

    Attributes:
        dataset: name of the task.
        images: number of images scored.
        total: number of images in the task's split.
        split: digest of the split's id list, one id a line.
        variant: the release that the pixels come from, for example `VOC2012`.
        modality: what the model sees: `rgb`.
        label_space: name of the label space.
        classes: number of classes C.
        ignore: truth value that is not scored.
        absent: policy for classes without true pixels.
        resolution: `native` = whole image, own size, one scale, no flip.
        precision: arithmetic of the forward pass: `fp32`, with TF32 off.
        version: protocol version.
    """

    dataset: str = _rule("{dataset}#{count}")
    images: int = _rule()
    total: int = _rule()
    split: str = _rule()
    variant: str = _rule()
    modality: str = _rule()
    label_space: str = _rule()
    classes: int = _rule("c{classes}")
    ignore: int = _rule("ign{ignore}")
    absent: AbsentPolicy = _rule("abs:{absent}")
    resolution: str = _rule("{resolution}")
    precision: str = _rule("{precision}")
    version: int = _rule("v{version}")

    @property
    def partial(self) -> bool:
        """True when some image of the split was not scored."""
        return self.images != self.total

    @property
    def count(self) -> str:
        """`n` for a whole split, `n/N` for a part."""
        return f"{self.images}/{self.total}" if self.partial else str(self.total)

    def signature(self, long: bool = False) -> str:
        """One line that says the protocol, like `fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1`.

        Args:
            long: print every field as `name=value`, digests cut to 12 digits.
        """
        if long:
            return "|".join(["fcn", *(f"{rule.name}={_printed(getattr(self, rule.name))}" for rule in fields(self))])
        values = {rule.name: getattr(self, rule.name) for rule in fields(self)} | {"count": self.count}
        return "|".join(["fcn", *(_short_form(rule).format_map(values) for rule in fields(self) if _short_form(rule))])


def _short_form(rule: Field[Any]) -> str:
    return str(rule.metadata["short"])


def _printed(value: object) -> str:
    return short(value) if isinstance(value, str) and value.startswith("sha256:") else str(value)
