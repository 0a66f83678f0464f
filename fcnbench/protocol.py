"""The protocol: everything that can change a number, in one frozen object, and its one-line signature.

The signature is generated from the object's fields, so a new field shows in it without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from fcnbench.errors import UsageError
from fcnbench.util.digests import short

PROTOCOL_VERSION = 1
"""Raised whenever the same inputs would give other numbers than before."""

GIVEN = "files"
"""The modality where predictions were given as files: nobody knows what their maker saw, or in which arithmetic."""

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""Formats of the forward pass: float32 held to float32; TensorFloat-32 in products; the two halves by autocast."""

COMPILED = "+compile"
"""What follows the precision where the network was compiled by `torch.compile`."""

AbsentPolicy = Literal["present", "reference"]
"""Which classes the means run over: `present` = those with true pixels, `reference` = the reference's nanmean."""


def _rule(short_form: str = "", unsaid: str | None = None) -> Any:
    """A protocol field.

    Args:
        short_form: its pattern in the short signature, empty to leave it to the long one.
        unsaid: the usual value, which the short signature leaves out.
    """
    return field(metadata={"short": short_form, "unsaid": unsaid})


@dataclass(frozen=True)
class Protocol:
    """What was scored, and how.

    Attributes:
        dataset: name of the task.
        images: number of images scored.
        total: number of images in the task's split.
        split: digest of the split's id list, one id a line.
        variant: the release that the pixels come from, for example `VOC2012`.
        labelling: which of several labellings of the task that are known to differ; empty where there is one.
        modality: what the model sees: `rgb`, `depth`, `hha`, or several joined by `+`; `truth` for an oracle, `files`
            where predictions were given as files.
        label_space: name of the label space.
        geo: name of the second label space that is scored beside it; empty where there is none.
        classes: number of classes C.
        ignore: truth value that is not scored.
        absent: policy for classes without true pixels.
        resolution: `native` = whole image, own size, one scale, no flip.
        precision: arithmetic of the forward pass: `fp32`, with TF32 off, or another of `PRECISIONS`, and `+compile`
            where the network was compiled; empty where predictions were given as files.
        version: protocol version.
    """

    dataset: str = _rule("{dataset}#{count}")
    images: int = _rule()
    total: int = _rule()
    split: str = _rule()
    variant: str = _rule()
    labelling: str = _rule("{labelling}", unsaid="")
    modality: str = _rule("{modality}", unsaid="rgb")
    label_space: str = _rule()
    geo: str = _rule()
    classes: int = _rule("c{classes}")
    ignore: int = _rule("ign{ignore}")
    absent: AbsentPolicy = _rule("abs:{absent}")
    resolution: str = _rule("{resolution}")
    precision: str = _rule("{precision}", unsaid="")
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
        said = [rule for rule in fields(self) if _short_form(rule) and values[rule.name] != rule.metadata.get("unsaid")]
        return "|".join(["fcn", *(_short_form(rule).format_map(values) for rule in said)])

    def seen_as(self, other: Protocol) -> Protocol:
        """This protocol, as far as it can be held against another: what stored predictions do not say is left open."""
        if GIVEN in (self.modality, other.modality):
            return replace(self, modality=other.modality, precision=other.precision)
        return self

    def departures(self, signature: str) -> list[str]:
        """What another signature, short or long, says otherwise, a sentence a part; none where it says the same."""
        theirs, ours = signature.strip().split("|"), self.signature(long=is_long(signature)).split("|")
        if is_long(signature):
            there, here = (dict(part.partition("=")[::2] for part in parts[1:]) for parts in (theirs, ours))
            names = [name for name in dict.fromkeys([*there, *here]) if there.get(name) != here.get(name)]
            return [
                f"{name} is {here.get(name, 'unknown')!r} here, not {there.get(name, 'unsaid')!r}" for name in names
            ]
        said = [part for part in theirs if part not in ours]
        unsaid = [part for part in ours if part not in theirs]
        return [f"{part!r} is not so here" for part in said] + [
            f"{part!r} is so here, and not in it" for part in unsaid
        ]


def is_long(signature: str) -> bool:
    """Whether a signature is in the long form, `name=value` for every field."""
    return "|dataset=" in signature


@dataclass(frozen=True)
class Choices:
    """What a signature lets a run choose.

    Attributes:
        dataset: name of the task.
        absent: the policy for absent classes.
        precision: arithmetic of the forward pass; empty where predictions were given as files.
    """

    dataset: str
    absent: AbsentPolicy = "present"
    precision: str = "fp32"


def choices_of(signature: str) -> Choices:
    """What a signature lets a run choose.

    Raises:
        UsageError: it is no signature.
    """
    parts = signature.strip().split("|")
    if is_long(signature):
        named = dict(part.partition("=")[::2] for part in parts[1:])
        dataset, absent, precision = (named.get(name, "") for name in ("dataset", "absent", "precision"))
    else:
        dataset = parts[1].partition("#")[0] if len(parts) > 1 and "#" in parts[1] else ""
        absent = next((part.removeprefix("abs:") for part in parts if part.startswith("abs:")), "")
        precision = precision_among(parts)
    policies: dict[str, AbsentPolicy] = {policy: policy for policy in get_args(AbsentPolicy)}
    if parts[0] != "fcn" or not dataset or absent not in policies:
        raise UsageError(
            f"{signature!r} is no signature of fcnbench",
            "copy one from a record or a board, like fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1",
        )
    return Choices(dataset, policies[absent], precision)


def precision_among(parts: Sequence[str]) -> str:
    """The arithmetic that the parts of a short signature name; empty where they name none."""
    return next((part for part in parts if part.removesuffix(COMPILED) in PRECISIONS), "")


def _short_form(rule: Field[Any]) -> str:
    return str(rule.metadata["short"])


def _printed(value: object) -> str:
    return short(value) if isinstance(value, str) and value.startswith("sha256:") else str(value)
