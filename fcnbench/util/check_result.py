"""What a check found: one line of a doctor's report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at.
        sound: whether it is as it should be.
        text: what was found.
    """

    subject: str
    sound: bool
    text: str
