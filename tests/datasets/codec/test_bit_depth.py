"""Images of more than 8 bits per channel are refused in every format; none is cut or rescaled silently."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from fcnbench.datasets.codec.bit_depth import header_bits
from fcnbench.datasets.codec.images import decode_depth, decode_hha, decode_image, encode_depth, encode_ppm
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataCorrupt
from tests.datasets import native

HEIGHT, WIDTH = 6, 8
RAMP = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
COLOURS = np.stack([RAMP, RAMP * 2, RAMP * 5], 2).astype(np.uint8)


def saved(image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(channels: int, transparent: bool = False) -> bytes:
    """A PNG of 16 bits: grey, grey with alpha, colours, or colours with alpha."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    pixels = np.stack([RAMP * 1000 + channel for channel in range(channels)], 2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0))
    colour = chunk(b"tRNS", struct.pack(f">{channels}H", *range(channels))) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + header + colour + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(channels: int, bits: int, kind: int = 1) -> bytes:
    """An uncompressed TIFF of one strip, little-endian; `kind` is its SampleFormat."""
    numbers = {(8, 1): "<u1", (8, 2): "<i1", (16, 1): "<u2", (16, 2): "<i2", (32, 1): "<u4", (32, 3): "<f4"}
    pixels = np.stack([RAMP] * channels, 2).astype(numbers[bits, kind]).tobytes()
    several = 8 + len(pixels)
    entries = [
        (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, channels, bits if channels < 3 else several),
        (259, 3, 1, 1), (262, 3, 1, 2 if channels >= 3 else 1), (273, 4, 1, 8), (277, 3, 1, channels),
        (278, 4, 1, HEIGHT), (279, 4, 1, len(pixels)),
        (339, 3, channels, kind if channels < 3 else several + 2 * channels),
    ]  # fmt: skip
    arrays = struct.pack(f"<{channels}H", *[bits] * channels) + struct.pack(f"<{channels}H", *[kind] * channels)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, several + len(arrays)) + pixels + arrays + directory + bytes(4)


def patched(content: bytes, marker: bytes, offset: int, value: int) -> bytes:
    at = content.index(marker) + len(marker) + offset
    return content[:at] + bytes([value]) + content[at + 1 :]


DEEP = {
    "png grey": lambda: png16(1),
    "png grey with alpha": lambda: png16(2),
    "png colours": lambda: png16(3),
    "png colours with alpha": lambda: png16(4),
    "png grey, one transparent": lambda: png16(1, True),
    "png colours, one transparent": lambda: png16(3, True),
    "png by Pillow": lambda: saved((RAMP * 1000).astype(np.uint16), "PNG"),
    "ppm": lambda: b"P6\n8 6\n65535\n" + np.stack([RAMP * 1000] * 3, 2).astype(">u2").tobytes(),
    "ppm of 10 bits": lambda: b"P6 8 6 1023 " + np.stack([RAMP * 20] * 3, 2).astype(">u2").tobytes(),
    "ppm with a comment": lambda: b"P6\n# made\n8 6\n# here\n4095\n" + np.stack([RAMP] * 3, 2).astype(">u2").tobytes(),
    "ppm as text": lambda: b"P3\n8 6\n1000\n" + b" ".join(b"%d" % value for value in np.repeat(RAMP, 3)),
    "pgm": lambda: encode_depth((RAMP * 1000).astype(np.uint16)),
    "pgm as text": lambda: b"P2\n8 6\n300\n" + b" ".join(b"%d" % value for value in RAMP.reshape(-1)),
    "tiff grey": lambda: tiff(1, 16),
    "tiff grey, signed": lambda: tiff(1, 16, 2),
    "tiff bytes, signed": lambda: tiff(1, 8, 2),
    "tiff colours": lambda: tiff(3, 16),
    "tiff integers": lambda: saved((RAMP * 1000).astype(np.int32), "TIFF"),
    "tiff floats": lambda: saved((RAMP / 48).astype(np.float32), "TIFF"),
    "tiff floats of one's own": lambda: tiff(1, 32, 3),
    "jpeg of 12 bits": lambda: patched(saved(COLOURS, "JPEG"), b"\xff\xc0\x00\x11", 0, 12),
    "grey jpeg of 12 bits": lambda: patched(saved(RAMP.astype(np.uint8), "JPEG"), b"\xff\xc0\x00\x0b", 0, 12),
    "progressive jpeg": lambda: patched(saved(COLOURS, "JPEG", progressive=True), b"\xff\xc2\x00\x11", 0, 12),
    "jpeg 2000 grey": lambda: saved(Image.fromarray((RAMP * 1000).astype(np.uint16)), "JPEG2000"),
    "jpeg 2000 colours": lambda: patched(saved(COLOURS, "JPEG2000"), b"\xff\x4f\xff\x51", 38, 15),
    "jpeg 2000, third channel": lambda: patched(saved(COLOURS, "JPEG2000"), b"\xff\x4f\xff\x51", 44, 11),
    "jpeg 2000, signed": lambda: patched(saved(COLOURS, "JPEG2000"), b"\xff\x4f\xff\x51", 38, 0x87),
    "avif of 10 bits": lambda: patched(saved(COLOURS, "AVIF"), b"av1C", 2, 0x40),
    "avif of 12 bits": lambda: patched(saved(COLOURS, "AVIF"), b"av1C", 2, 0x60),
    "a format that may hold more": lambda: saved(COLOURS, "SGI"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_refused(name: str) -> None:
    for part, codec in (("2000", "jpg_2000"), ("avif", "avif")):
        if part in name and not features.check(codec):
            pytest.skip(f"Pillow has no {codec}")
    with pytest.raises(DataCorrupt, match=r"expected (at most 8 bits|a format that is known to hold 8 bits)") as caught:
        decode_image(DEEP[name](), "image.xyz")
    assert caught.value.message.startswith("image.xyz ")
    assert "8" in caught.value.hint


def test_the_message_states_the_number_of_bits() -> None:
    for name, said in (
        ("png colours", "it has 16 bits per channel"),
        ("png grey", "it has 16 bits per channel"),
        ("tiff grey, signed", "it has 16 bits per channel"),
        ("jpeg of 12 bits", "it has 12 bits per channel"),
        ("tiff floats", "it has 32 bits per channel"),
        ("tiff bytes, signed", "it holds signed numbers"),
        ("ppm of 10 bits", "it has 10 bits per channel"),
        ("a format that may hold more", "is a SGI image, expected a format that is known to hold 8 bits"),
    ):
        with pytest.raises(DataCorrupt, match=said):
            decode_image(DEEP[name](), "it")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "TIFF", "TGA", "WEBP", "JPEG2000", "PCX", "QOI"])
def test_images_of_8_bits_are_decoded_as_pillow_does(kind: str) -> None:
    modes = {"GIF": ["P", "L"], "QOI": ["RGB"], "PPM": ["RGB", "L", "1"], "JPEG2000": ["RGB", "L"], "WEBP": ["RGB"]}
    for mode in modes.get(kind, ["RGB", "L", "P", "1"]):
        options = {"lossless": True} if kind == "WEBP" else {}
        try:
            content = saved(Image.fromarray(COLOURS).convert(mode), kind, **options)
        except (OSError, KeyError):  # this Pillow does not write it
            continue
        with Image.open(io.BytesIO(content)) as image:
            expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(decode_image(content, "it"), expected)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_fewer_bits_fills_the_range(bits: int) -> None:
    rows = b"".join(b"\0" + bytes([0b11100100] * 2) for _ in range(HEIGHT))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16 // bits, HEIGHT, bits, 0, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    wanted = {1: [255, 255, 255, 0, 0, 255, 0, 0], 2: [255, 170, 85, 0], 4: [238, 68]}[bits]
    assert decode_image(content, "it")[0, :, 0].tolist() == wanted * 2


def test_alpha_and_transparent_colours_are_ignored_without_a_warning() -> None:
    alpha = np.dstack([COLOURS, (RAMP * 5).astype(np.uint8)])
    palette = Image.fromarray(COLOURS).quantize(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(decode_image(saved(alpha, "PNG"), "it"), COLOURS)
        grey = decode_image(saved(Image.fromarray(alpha).convert("LA"), "PNG"), "it")
        np.testing.assert_array_equal(grey[..., 0], np.asarray(Image.fromarray(COLOURS).convert("L")))
        found = decode_image(saved(palette, "PNG", transparency=bytes(range(0, 80, 10))), "it")
        np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))
        np.testing.assert_array_equal(decode_image(saved(COLOURS, "PNG", transparency=(0, 0, 0)), "it"), COLOURS)


def test_cmyk_is_converted_by_pillows_formula() -> None:
    content = saved(Image.fromarray(COLOURS).convert("CMYK"), "JPEG", quality=100)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(content, "it"), expected)


def test_headers_give_the_number_of_bits_and_damaged_ones_give_none() -> None:
    assert header_bits(encode_ppm(COLOURS)) == 8
    assert header_bits(saved(COLOURS, "JPEG")) == 8
    assert header_bits(saved(COLOURS, "PNG")) == 8
    for head in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"P6 3", b"\xff\x4f\xff\x51\x00"):
        assert header_bits(head) is None


def test_hha_has_three_channels_of_8_bits() -> None:
    np.testing.assert_array_equal(decode_hha(saved(COLOURS, "PNG"), "it"), COLOURS)
    with pytest.raises(DataCorrupt, match=r"mode L; HHA has three channels"):
        decode_hha(saved(RAMP.astype(np.uint8), "PNG"), "it")
    with pytest.raises(DataCorrupt, match="16 bits per channel"):
        decode_hha(png16(3), "it")


def test_a_depth_map_that_pillow_would_rescale_is_refused() -> None:
    depth = (RAMP * 100).astype(np.uint16)
    np.testing.assert_array_equal(decode_depth(encode_depth(depth), "it"), depth)
    np.testing.assert_array_equal(decode_depth(saved(depth, "PNG"), "it"), depth)
    for largest in (b"9999", b"40000"):
        with pytest.raises(DataCorrupt, match="its depths would be rescaled"):
            decode_depth(encode_depth(depth).replace(b"65535", largest), "it")


@pytest.mark.parametrize("kind", ["images", "hha"])
def test_depth_maps_among_the_images_of_nyudv2_are_refused(tmp_path: Path, kind: str) -> None:
    sample_id = published_split("nyud-test").ids[0]
    content = dict(native.nyud([sample_id]))
    content[f"nyud/data/{kind}/img_{sample_id}.png"] = content[f"nyud/data/depth/img_{sample_id}.png"]
    with pytest.raises(DataCorrupt, match="has 16 bits per channel, expected at most 8 bits per channel"):
        load_dataset("nyudv2test", native.write(content, tmp_path / "native"), allow_partial=True)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int64"])
def test_images_in_nyudv2s_hdf5_that_are_not_uint8_are_refused(tmp_path: Path, dtype: str) -> None:
    import h5py

    path = tmp_path / "nyu_depth_v2_labeled.mat"
    native.nyu_raw(path, 1)
    with h5py.File(path, "r+") as file:
        images = file["images"][:].astype(dtype)
        del file["images"]
        file["images"] = images
    with pytest.raises(DataCorrupt, match=rf"'images' holds {dtype}, expected uint8"):
        load_dataset("nyudv2test", path, allow_partial=True)
