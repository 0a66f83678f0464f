"""The result of one check, as `doctor` and `verify` list them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckResult:
    """One checked subject.

    Attributes:
        subject: the subject, such as `home folder`; the beginning of a printed line.
        sound: whether the check passed.
        text: details, one sentence or a list of facts.

    >>> CheckResult("pocket", True, "64 images drawn").sound
    True
    """

    subject: str
    sound: bool
    text: str
