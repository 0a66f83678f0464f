"""The plain PNG reader: Pillow's pixels or nothing, and its limits."""

import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcnbench.datasets.codec.images import decode_label, encode_label
from fcnbench.datasets.codec.png import fast_decode_label, read_png
from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import VOC_PALETTE
from tests.conftest import palette_png
from tests.second_copy import second_copy

Decode = Callable[[bytes], np.ndarray | None]

LABEL = np.random.default_rng(0).integers(0, 22, (19, 31), np.uint8)


def saved(mode: str = "L", label: np.ndarray = LABEL, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(label).convert(mode).save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.fixture(params=["deflate", "zlib"])
def decode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Decode:
    """The reader with both ways to unpack: the extra's and Python's own."""
    if request.param == "deflate":
        pytest.importorskip("deflate")
    else:
        monkeypatch.setitem(sys.modules, "deflate", None)  # importing it fails
    reader: Decode = second_copy("fcnbench.datasets.codec.png").fast_decode_label
    return reader


@pytest.mark.parametrize("content", [palette_png(LABEL), encode_label(LABEL), encode_label(LABEL, VOC_PALETTE)])
def test_plain_label_maps_are_decoded_to_writable_arrays(content: bytes, decode: Decode) -> None:
    found = decode(content)
    np.testing.assert_array_equal(found, LABEL)
    found[0, 0] = 7  # not a view of something read-only


def test_filtered_rows_are_left_to_pillow() -> None:
    # Pillow filters grey rows where that pays.
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    content = saved(label=smooth)
    assert fast_decode_label(content) is None
    np.testing.assert_array_equal(decode_label(content, "smooth"), smooth)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_other_kinds_are_left_to_pillow(mode: str) -> None:
    content = saved("RGB" if mode == "I;16" else mode)
    if mode == "I;16":
        stream = io.BytesIO()
        Image.fromarray(LABEL.astype(np.uint16)).save(stream, "PNG")
        content = stream.getvalue()
    assert fast_decode_label(content) is None
    with pytest.raises(DataCorrupt, match="one channel"):
        decode_label(content, "x")


def test_grey_of_fewer_bits_is_refused_and_not_rescaled() -> None:
    """Pillow gives 0, 17, 34, ... for 0, 1, 2 of a 4-bit grey PNG: whether the writer meant that, nobody can know."""
    rows = b"".join(b"\x00" + bytes([0x01, 0x23]) for _ in range(2))
    chunks = [(b"IHDR", (4).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes([4, 0, 0, 0, 0]))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )
    with Image.open(io.BytesIO(content)) as image:
        assert np.array(image)[0].tolist() == [0, 17, 34, 51]
    with pytest.raises(DataCorrupt, match="with fewer bits"):
        decode_label(content, "x")


def test_palettes_of_fewer_bits_keep_their_indices() -> None:
    label = LABEL % 4
    image = Image.fromarray(label)
    image.putpalette([value for colour in VOC_PALETTE[:4] for value in colour])
    stream = io.BytesIO()
    image.save(stream, "PNG", bits=2)
    assert read_png(stream.getvalue()).depth == 2
    np.testing.assert_array_equal(decode_label(stream.getvalue(), "x"), label)


def test_the_content_of_the_chunks() -> None:
    found = read_png(palette_png(LABEL))
    assert (found.width, found.height, found.depth, found.colour, found.interlaced) == (31, 19, 8, 3, False)
    assert found.palette[:6] == bytes([0, 0, 0, 128, 0, 0])
    assert read_png(b"GIF89a") is None


def test_a_stream_that_unpacks_to_more_or_less_than_the_header_says_is_left_to_pillow(decode: Decode) -> None:
    whole = palette_png(LABEL)
    found = read_png(whole)
    for rows in (b"\0" * (19 * 32 + 5), b"\0" * 100, b"\0" * 10**7):
        content = whole.replace(found.packed, b"")
        start = content.index(b"IDAT")
        packed = zlib.compress(rows)
        crc = zlib.crc32(b"IDAT" + packed).to_bytes(4, "big")
        content = whole[: start - 4] + len(packed).to_bytes(4, "big") + b"IDAT" + packed + crc
        content += b"\0\0\0\0IEND\xaeB`\x82"
        assert decode(content) is None


@settings(deadline=None, max_examples=300, derandomize=True)
@given(position=st.integers(0, len(palette_png(LABEL)) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_label_map_is_never_decoded_to_other_labels(position: int, value: int, cut: bool) -> None:
    whole = palette_png(LABEL)
    content = whole[:position] if cut else whole[:position] + bytes([value]) + whole[position + 1 :]
    found = fast_decode_label(content)
    assert found is None or np.array_equal(found, LABEL)


def test_real_label_maps_have_pillows_indices(shared: Path) -> None:
    for path in sorted((shared / "data/VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))[::10]:
        with Image.open(path) as image:
            np.testing.assert_array_equal(fast_decode_label(path.read_bytes()), np.array(image))
