"""Pseudo-random integers that are equal on every platform and with every version of every library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of integers: SHA-256 of a key and a counter.

    The probabilities of m values differ by less than m / 2**64.

    >>> draws = Draws("key")
    >>> draws.integer(1, 6), draws.choice("abc")
    (1, 'a')
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._count = 0

    def integer(self, low: int, high: int) -> int:
        """Return an integer in [low, high], both ends included."""
        block = hashlib.sha256(f"{self._key}/{self._count}".encode()).digest()
        self._count += 1
        return low + int.from_bytes(block[:8], "big") % (high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.integer(0, len(options) - 1)]
