"""The protocol of a score: everything that can change the number, in one frozen object, and its one-line signature.

A signature is a list of `key:value` pairs behind a first word that carries the version of the rules:

    fcn2|data:voc2011val#736|classes:21|ignore:255|mean:gt|infer:native|prec:fp32

Every signature has the keys of `ALWAYS`. Any other key appears only where its value is not the usual one, so a new
option never changes the signature of a run that does not use it. The long form has every key, and the digest of the
split. Signatures of the first version (`fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1`) are still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from fcnbench.errors import UsageError
from fcnbench.util.digests import short

RULES_VERSION = 2
"""Raised whenever the same inputs would give other numbers, or a signature another form."""

GIVEN = "files"
"""The input where predictions were given as files: what their maker saw, and in which precision, is not known."""

UNKNOWN = "unknown"
"""Inference and precision of predictions that were given as files."""

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""Formats of the forward pass: float32 held to float32; TensorFloat-32 in products; the two halves by autocast."""

COMPILED = "+compile"
"""What follows the precision where the network was compiled by `torch.compile`."""

MeanOver = Literal["gt", "union"]
"""The classes that mean IU runs over: those in the ground truth (the papers' rule), or those in the ground truth or the
predictions (the nanmean of the reference implementation's `score.py`)."""

ALWAYS = ("data", "classes", "ignore", "mean", "infer", "prec")
"""Keys that every signature has, in order."""

_EXAMPLE = "fcn2|data:voc2011val#736|classes:21|ignore:255|mean:gt|infer:native|prec:fp32"


def _rule(key: str = "", usual: str | None = None, *, long_only: bool = False) -> Any:
    """Declare a field of the protocol.

    Args:
        key: its key in signatures; empty for a field that is part of another key.
        usual: the value that the short signature leaves out; None where the short signature always has the key.
        long_only: whether the long signature alone has the key.
    """
    return field(metadata={"key": key, "usual": usual, "long_only": long_only})


@dataclass(frozen=True)
class Protocol:
    """What was scored, and how.

    Attributes:
        dataset: name of the dataset.
        images: number of images scored.
        total: number of images in the dataset's split.
        split: digest of the split's id list, one id per line.
        variant: the release that the pixels come from, for example `VOC2012`.
        labelling: name of the labelling, if the dataset has several that differ; else empty.
        modality: the model's input: `rgb`, `depth`, `hha`, or several joined by `+`; `truth` for an oracle, `files`
            if predictions were given as files.
        label_space: name of the label space.
        geo: name of the second label space; empty if there is none.
        classes: number of classes C.
        ignore: ground-truth value that is not scored.
        mean: classes over which the means are taken: `gt`, those in the ground truth; `union`, those in the ground
            truth or the predictions.
        infer: `native` if the model is given the whole image at its original size, once, without flipping; `unknown`
            if predictions were given as files.
        precision: precision of the forward pass: `fp32`, with TF32 off, or another of `PRECISIONS`, followed by
            `+compile` if the network was compiled; `unknown` if predictions were given as files.
        version: version of the rules.

    Raises:
        ValueError: numbers that contradict each other, or text that a signature can't hold.

    >>> Protocol(
    ...     dataset="pocket", images=2, total=64, classes=8, ignore=255, mean="gt", infer="native", precision="fp32",
    ...     modality="rgb", labelling="", split="", variant="v1", label_space="pocket8", geo="",
    ... ).signature()
    'fcn2|data:pocket#2/64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32'
    """

    dataset: str = _rule("data")
    images: int = _rule()
    total: int = _rule()
    classes: int = _rule("classes")
    ignore: int = _rule("ignore")
    mean: MeanOver = _rule("mean")
    infer: str = _rule("infer")
    precision: str = _rule("prec")
    modality: str = _rule("input", usual="rgb")
    labelling: str = _rule("labels", usual="")
    split: str = _rule("split", long_only=True)
    variant: str = _rule("release", long_only=True)
    label_space: str = _rule("space", long_only=True)
    geo: str = _rule("geo", long_only=True)
    version: int = RULES_VERSION

    def __post_init__(self) -> None:
        if not 1 <= self.images <= self.total:
            raise ValueError(f"{self.images} of {self.total} images were scored")
        if not 1 <= self.classes <= 255 or not 0 <= self.ignore <= 255:
            raise ValueError(f"{self.classes} classes and the ignore value {self.ignore} do not fit into 8 bits")
        if self.mean not in get_args(MeanOver):
            raise ValueError(f"the mean runs over {self.mean!r}, expected one of {', '.join(get_args(MeanOver))}")
        if self.version != RULES_VERSION:
            raise ValueError(f"version {self.version} of the rules is not {RULES_VERSION}")
        texts = [text for text in vars(self).values() if isinstance(text, str)]
        if not self.dataset or any("|" in text or len(text.splitlines()) > 1 for text in texts):
            raise ValueError("a name is empty, or holds '|' or a line break")

    @property
    def partial(self) -> bool:
        """Whether some image of the split was not scored."""
        return self.images != self.total

    @property
    def count(self) -> str:
        """`n` for a whole split, `n/N` for a part."""
        return f"{self.images}/{self.total}" if self.partial else str(self.total)

    def pairs(self, long: bool = False) -> dict[str, str]:
        """Return the values of the signature by key.

        Args:
            long: every key, digests cut to 12 digits.
        """
        chosen = {}
        for rule in fields(self):
            key, usual = _key(rule), rule.metadata.get("usual")
            value = getattr(self, rule.name)
            if key == "data":
                value = f"{self.dataset}#{self.count}"
            if key and (long or (not rule.metadata["long_only"] and value != usual)):
                chosen[key] = _printed(value)
        return chosen

    def signature(self, long: bool = False) -> str:
        """Return the protocol in one line.

        Args:
            long: every key, digests cut to 12 digits.

        >>> choices_of("fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:tf32").precision
        'tf32'
        """
        return "|".join([f"fcn{self.version}", *(f"{key}:{value}" for key, value in self.pairs(long).items())])

    def with_unknowns_of(self, other: Protocol) -> Protocol:
        """Return a copy to compare with another: what stored predictions leave unknown is taken from the other."""
        if GIVEN in (self.modality, other.modality):
            return replace(self, modality=other.modality, infer=other.infer, precision=other.precision)
        return self

    def departures(self, signature: str) -> list[str]:
        """Return the differences from another signature, one sentence per key; empty if there are none.

        Args:
            signature: short or long, of any known version.

        Raises:
            UsageError: it is not a signature.
        """
        theirs, ours = read_signature(signature), self.pairs(long=True)
        usual = {_key(rule): rule.metadata["usual"] for rule in fields(self) if rule.metadata.get("usual") is not None}
        sentences = []
        for key in dict.fromkeys([*ours, *theirs]):
            # A short signature says nothing of the split's digest and the like.
            there = theirs.get(key, usual.get(key))
            here = ours.get(key)
            if there is not None and there != here:
                sentences.append(f"{key} is {here or 'not set'} here, {there or 'not set'} in the signature")
        return sentences


@dataclass(frozen=True)
class Choices:
    """What a signature lets a run choose.

    Attributes:
        dataset: name of the dataset.
        mean: classes that mean IU runs over.
        precision: precision of the forward pass; empty where predictions were given as files.
    """

    dataset: str
    mean: MeanOver = "gt"
    precision: str = "fp32"


def choices_of(signature: str) -> Choices:
    """Return what a signature lets a run choose.

    Raises:
        UsageError: it is not a signature.

    >>> choices_of("fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1")
    Choices(dataset='voc2011val', mean='gt', precision='fp32')
    """
    pairs = read_signature(signature)
    means: dict[str, MeanOver] = {name: name for name in get_args(MeanOver)}
    precision = "" if pairs["prec"] == UNKNOWN else pairs["prec"]
    if pairs["mean"] not in means or (precision and precision.removesuffix(COMPILED) not in PRECISIONS):
        raise _not_a_signature(signature)
    return Choices(pairs["data"].rpartition("#")[0], means[pairs["mean"]], precision)


def read_signature(signature: str) -> dict[str, str]:
    """Return the values of a signature by key; one of the first version in the keys of this one.

    Args:
        signature: short or long.

    Raises:
        UsageError: it is not a signature, or one of a later version.

    >>> read_signature("fcn|pocket#8/64|c8|ign255|abs:reference|native|fp32|v1")["mean"]
    'union'
    """
    first, *parts = signature.strip().split("|")
    if first == "fcn":
        pairs = _long_pairs_1(parts) if any(part.startswith("dataset=") for part in parts) else _pairs_1(parts)
    elif first == f"fcn{RULES_VERSION}":
        split = [part.partition(":") for part in parts]
        pairs = {key: value for key, mark, value in split if mark}
        if len(pairs) != len(parts):
            raise _not_a_signature(signature)
    elif first.startswith("fcn") and first[3:].isdecimal() and int(first[3:]) > RULES_VERSION:
        raise UsageError(f"{signature!r} is a signature of a later version of fcnbench", "install a newer fcnbench")
    else:
        raise _not_a_signature(signature)
    if not all(pairs.get(key) for key in ALWAYS) or "#" not in pairs["data"]:
        raise _not_a_signature(signature)
    return pairs


def is_long(signature: str) -> bool:
    """Return whether a signature is in the long form, with every key."""
    return "|split:" in signature or "|split=" in signature


def precision_of(signature: str) -> str:
    """Return the precision that a signature names; empty where it names none, or is not a signature."""
    try:
        return choices_of(signature).precision
    except UsageError:
        return ""


MEANS_1: Mapping[str, MeanOver] = {"present": "gt", "reference": "union"}
"""Names of the first version for the classes that mean IU runs over."""


def _pairs_1(parts: list[str]) -> dict[str, str]:
    """Return the pairs of a short signature of the first version, whose parts had an order instead of keys."""
    pairs = {"data": parts[0] if parts else ""}
    prefixes = {"c": "classes", "ign": "ignore"}
    for part in parts[1:]:
        word = part.rstrip("0123456789")
        if part.startswith("abs:"):
            pairs["mean"] = MEANS_1.get(part.removeprefix("abs:"), "")
        elif word in prefixes and word != part:
            pairs[prefixes[word]] = part.removeprefix(word)
        elif part == "native":
            pairs["infer"] = part
        elif part.removesuffix(COMPILED) in PRECISIONS:
            pairs["prec"] = part
        elif part == GIVEN or "rgb" in part.split("+") or part in ("truth", "depth", "hha", "depth+hha"):
            pairs["input"] = part
        elif part != "v1":
            pairs["labels"] = part
    return pairs | ({"infer": UNKNOWN, "prec": UNKNOWN} if pairs.get("input") == GIVEN else {})


_KEYS_1 = {
    "labelling": "labels", "modality": "input", "split": "split", "variant": "release", "label_space": "space",
    "geo": "geo", "classes": "classes", "ignore": "ignore", "resolution": "infer", "precision": "prec",
}  # fmt: skip
"""Keys of the long signatures of the first version, and those of this one."""


def _long_pairs_1(parts: list[str]) -> dict[str, str]:
    """Return the pairs of a long signature of the first version, `name=value` for every field."""
    named = dict(part.partition("=")[::2] for part in parts)
    images, total = named.get("images", ""), named.get("total", "")
    pairs = {key: named[name] for name, key in _KEYS_1.items() if name in named}
    pairs["data"] = f"{named['dataset']}#{images if images == total else f'{images}/{total}'}"
    pairs["mean"] = MEANS_1.get(named.get("absent", ""), "")
    return pairs | ({"infer": UNKNOWN, "prec": UNKNOWN} if pairs.get("input") == GIVEN else {})


def _not_a_signature(text: str) -> UsageError:
    return UsageError(f"{text!r} is not a signature of fcnbench", f"copy one from a record or a board, like {_EXAMPLE}")


def _key(rule: Field[Any]) -> str:
    return str(rule.metadata.get("key", ""))


def _printed(value: object) -> str:
    return short(value) if isinstance(value, str) and value.startswith("sha256:") else str(value)
