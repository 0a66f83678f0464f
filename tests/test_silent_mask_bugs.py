"""One test for every silent bug of reading masks that is known from other harnesses.

Silent: the other harness ran, printed a number, and the number was wrong. Each docstring names where the bug was
found.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnbench.datasets.codec.images import check_label, decode_label, encode_label
from fcnbench.datasets.families.voc import VOC21
from fcnbench.errors import DataCorrupt, PredictionError
from fcnbench.labelspace import voc_palette
from fcnbench.records.predictions import open_predictions
from tests.conftest import palette_png

Map = NDArray[Any]


def png(pixels: Map, mode: str) -> bytes:
    """An image of the pixels, converted to a mode, as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def colours(label: Map) -> NDArray[np.uint8]:
    """A VOC label map as its colours: what a palette PNG becomes when it is opened as RGB."""
    return np.array(voc_palette(256), np.uint8)[label]


CAT = np.array([[0, 0, 8], [255, 8, 8]], np.uint8)
"""A small label map: background, cat, and void."""


def test_a_palette_mask_is_read_as_indices_and_never_as_colours() -> None:
    """A palette PNG opened as RGB gives colours, as grey gives brightness.

    JIA-Lab-research/PFENet#12 and Haochen-Wang409/U2PL#8 (cv2 grayscale read of a palette PNG).
    """
    label = decode_label(palette_png(CAT), "2007_000129.png")
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, CAT)
    # What the other readers got from the same file.
    with Image.open(io.BytesIO(palette_png(CAT))) as opened:
        assert np.array(opened.convert("RGB"))[0, 2].tolist() == [64, 0, 0]
        assert np.array(opened.convert("L"))[0, 2] not in (8, 255)


def test_palette_masks_and_converted_masks_are_the_same_labels() -> None:
    """Palette masks of VOC mixed with converted masks of SBD: mean IU about 30.

    open-mmlab/mmsegmentation#271; the two forms in DrSleep/tensorflow-deeplab-resnet#189.
    """
    np.testing.assert_array_equal(decode_label(palette_png(CAT), "a"), decode_label(encode_label(CAT), "b"))


def test_a_canonical_mask_has_its_index_in_every_channel_however_it_is_opened() -> None:
    """A canonical mask survives readers that convert.

    JIA-Lab-research/PFENet#12, Haochen-Wang409/U2PL#8.
    """
    with Image.open(io.BytesIO(encode_label(CAT))) as opened:
        np.testing.assert_array_equal(np.array(opened), CAT)
        np.testing.assert_array_equal(np.array(opened.convert("L")), CAT)
        for channel in range(3):
            np.testing.assert_array_equal(np.array(opened.convert("RGB"))[..., channel], CAT)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_a_mask_that_is_not_one_8_bit_channel_is_refused(mode: str) -> None:
    """A mask saved as colours is reduced to one of its channels, or to its brightness.

    JIA-Lab-research/PFENet#12, open-mmlab/mmsegmentation#271.
    """
    content = png(CAT.astype(np.uint16), "I;16") if mode == "I;16" else png(colours(CAT), mode)
    with pytest.raises(DataCorrupt, match=r"mask\.png.*one channel"):
        decode_label(content, "mask.png")


def test_a_mask_saved_by_a_lossy_codec_is_refused() -> None:
    """A JPEG mask has values that no class ever had.

    No upstream thread; the same family as the masks with foreign values above.
    """
    stream = io.BytesIO()
    Image.fromarray(CAT).save(stream, "JPEG")
    with pytest.raises(DataCorrupt, match=r"mask\.jpg.*JPEG"):
        decode_label(stream.getvalue(), "mask.jpg")


@pytest.mark.parametrize("index", range(21))
def test_a_palette_mask_that_became_grey_is_found_by_its_void(index: int) -> None:
    """A palette mask that somebody saved as grey holds brightness: one channel, and wrong.

    DrSleep/tensorflow-deeplab-resnet#43 (its 220 is void), Haochen-Wang409/U2PL#8. Cat (64, 0, 0) becomes 19, a train,
    so the brightness of an object can look like a class; that of void, the outline of VOC's objects, cannot.
    """
    mask = np.array([[index, index], [255, index]], np.uint8)
    grey = decode_label(png(colours(mask), "L"), "grey.png")
    void = int(grey[1, 0])
    assert void == 220  # 0.299 * 224 + 0.587 * 224 + 0.114 * 192
    with pytest.raises(DataCorrupt, match=rf"grey\.png.*\b{void} \(1 pixels\)"):
        check_label(grey, VOC21, "grey.png")


def test_a_prediction_whose_palette_was_reordered_is_refused(tmp_path: Path) -> None:
    """A program that makes PNGs smaller sorts the palette: the image looks the same, and cat becomes aeroplane.

    No upstream thread of a harness; oxipng/oxipng#558 speaks of the palette's order as the optimiser's to choose.
    """
    opened = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8))
    opened.putpalette([*voc_palette(9)[0], *voc_palette(9)[8]])
    opened.save(tmp_path / "2007_000129.png")
    with pytest.raises(PredictionError, match="colour of class 8 at index 1"):
        open_predictions(tmp_path).read("2007_000129")


def test_a_grey_map_of_fewer_bits_is_refused_and_never_stretched() -> None:
    """Pillow stretches 4-bit grey to 0, 17, 34, ...: class 1 would be read as class 17.

    No upstream thread; the same family as masks read as colours.
    """
    header = struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\x00\x01")), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with Image.open(io.BytesIO(content)) as opened:
        assert np.array(opened).tolist() == [[0, 17]]
    with pytest.raises(DataCorrupt, match="fewer bits"):
        decode_label(content, "mask.png")
