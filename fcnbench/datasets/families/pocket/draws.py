"""Random integers that are the same on every platform and in every version of every library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of integers made from a key: SHA-256 of the key and a counter.

    The spread over a range of m values is uneven by less than m / 2**64.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._count = 0

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        block = hashlib.sha256(f"{self._key}/{self._count}".encode()).digest()
        self._count += 1
        return low + int.from_bytes(block[:8], "big") % (high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]
