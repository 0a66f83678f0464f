"""Pillow's process-wide switches, held while fcnbench decodes.

With `ImageFile.LOAD_TRUNCATED_IMAGES` on, as many scripts set it, Pillow fills what is missing of a truncated file with
padding, which would be scored. A label map or an image that is not whole is refused here, whatever Pillow was told.
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
"""Pillow's own bound on the pixels of an image that it does not take for a decompression bomb."""

_lock, _users = threading.Lock(), 0
_found: tuple[bool, int | None] = (False, None)


class _DisturbedError(Exception):
    """Other code changed a switch while an image was decoded."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Decode strictly inside the block, in any thread; the switches are restored when the last block ends.

    Raises:
        _DisturbedError: other code changed a switch meanwhile; see `decoded_strictly`.
    """
    global _users, _found  # noqa: PLW0603 - Pillow's switches are the process's
    from PIL import Image, ImageFile

    with _lock:
        if not _users:
            _found = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
        _users += 1
        # Sizes are checked by whoever decodes: Pillow would only warn of most.
        _set(truncated=False, most=None)
    try:
        yield
        if ImageFile.LOAD_TRUNCATED_IMAGES or Image.MAX_IMAGE_PIXELS is not None:
            raise _DisturbedError
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(*_found)


def decoded_strictly(decode: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that decodes under `strict_pillow`: it is called again if other code interfered."""

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
