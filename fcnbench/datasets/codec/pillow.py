"""Strict decoding with Pillow, independent of its process-wide settings.

With `ImageFile.LOAD_TRUNCATED_IMAGES`, which many scripts set, Pillow pads truncated files, and the padding would be
scored. fcnbench refuses a truncated image or label map whatever the setting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MOST_PIXELS = 1024 * 1024 * 1024 // 4 // 3
"""Pillow's default limit on the pixels of an image, above which it suspects a decompression bomb."""

_lock, _users = threading.Lock(), 0
_previous: tuple[bool, int | None] = (False, None)


class _DisturbedError(Exception):
    """Other code changed a setting while an image was decoded."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Set Pillow's settings to strict decoding inside the block, in any thread; the last block to end restores them.

    Raises:
        _DisturbedError: other code changed a setting meanwhile; see `decoded_strictly`.
    """
    global _users, _previous  # noqa: PLW0603 - Pillow's settings are process-wide
    from PIL import Image, ImageFile

    with _lock:
        if not _users:
            _previous = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
        _users += 1
        # The caller checks the number of pixels: Pillow would only warn.
        _set(truncated=False, most=None)
    try:
        yield
        if ImageFile.LOAD_TRUNCATED_IMAGES or Image.MAX_IMAGE_PIXELS is not None:
            raise _DisturbedError
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(*_previous)


def decoded_strictly(decode: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that uses `strict_pillow`: it is called again if other code changed a setting meanwhile."""

    @wraps(decode)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            try:
                return decode(*args, **kwargs)
            except _DisturbedError:
                continue

    return repeated


def _set(truncated: bool, most: int | None) -> None:
    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = truncated, most
