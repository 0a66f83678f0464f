"""Truncated files are refused whatever the settings of Pillow, in any thread."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

import fcnbench
from fcnbench.datasets.codec.images import decode_depth, decode_image, decode_label, encode_label
from fcnbench.errors import DataCorrupt, FcnbenchError

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


def encoded(pixels: NDArray[np.generic], kind: str) -> bytes:
    """An image file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


FILES: dict[str, tuple[bytes, Callable[[bytes, str], NDArray[np.generic]]]] = {
    "JPEG": (encoded(NOISE, "JPEG"), decode_image),
    "PNG": (encoded(NOISE, "PNG"), decode_image),
    "BMP": (encoded(NOISE, "BMP"), decode_image),
    "depth": (encoded(NOISE[..., 0].astype(np.uint16) * 250, "PNG"), decode_depth),
    "label map": (encode_label(NOISE[..., 0] % 21), decode_label),
}


@pytest.fixture(autouse=True)
def _switches() -> Iterator[None]:
    """Pillow's switches are as before after a test."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    yield
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


@pytest.mark.parametrize(("content", "decode"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_file_is_refused_and_the_setting_restored(
    content: bytes, decode: Callable[[bytes, str], NDArray[np.generic]], lenient: bool
) -> None:
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    assert decode(content, "whole").shape[:2] == (60, 80)
    for size in (len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(DataCorrupt, match="torn can't be decoded, it is truncated"):
            decode(content[:size], "torn")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


def test_a_setting_that_another_thread_changes_meanwhile_has_no_effect() -> None:
    content = FILES["PNG"][0]
    torn, stop = content[: len(content) // 2], threading.Event()

    def interfere() -> None:
        while not stop.is_set():
            ImageFile.LOAD_TRUNCATED_IMAGES = True

    thread = threading.Thread(target=interfere)
    thread.start()
    try:
        for _ in range(50):
            with pytest.raises(DataCorrupt):
                decode_image(torn, "torn")
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("bound", [None, 7, 1 << 40])
def test_the_limit_on_pixels_does_not_depend_on_pillows_setting(bound: int | None) -> None:
    Image.MAX_IMAGE_PIXELS = bound
    assert decode_image(FILES["PNG"][0], "small").shape == (60, 80, 3)
    header = encoded(np.zeros((1, 1), np.uint8), "BMP")
    huge = header[:18] + (20_000).to_bytes(4, "little") * 2 + header[26:]
    with pytest.raises(DataCorrupt, match="20000x20000 pixels, which may be a decompression bomb"):
        decode_image(huge, "bomb")
    assert bound == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("lenient", [False, True])
def test_truncated_predictions_are_not_scored(lenient: bool, tmp_path: Path) -> None:
    """wkentaro/labelme#1440: padding of truncated files became ground truth."""
    saved = tmp_path / "saved"
    fcnbench.run("oracle-perfect", board=tmp_path / "board", save_predictions=saved)
    path = saved / "val-0000.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    with pytest.raises(FcnbenchError, match=r"val-0000\.png can't be decoded, it is truncated"):
        fcnbench.score(saved, board=tmp_path / "board")
