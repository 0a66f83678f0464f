"""The identity of a run: everything that can change an image's integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """Everything that a result depends on; a stored result is reused only under an equal one.

    Attributes:
        parts: what is known before the first image, by name, the user's code first.
        facts: source files and versions of packages that took part, by name.
    """

    parts: Mapping[str, str]
    facts: Mapping[str, str]
