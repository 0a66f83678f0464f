"""Digests: SHA-256 with its name in front, the same for the same bytes however they arrive."""

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnbench.util.digests import digest_bytes, digest_file, digest_lines, short

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""The test vectors of FIPS 180-2 for no bytes and for `abc`."""

QUICK = settings(deadline=None, max_examples=60, derandomize=True)


def test_the_published_test_vectors() -> None:
    assert digest_bytes() == digest_bytes(b"") == EMPTY
    assert digest_bytes(b"abc") == ABC


@QUICK
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_parts_are_digested_as_if_they_were_one(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert digest_bytes(*parts) == digest_bytes(whole) == f"sha256:{hashlib.sha256(whole).hexdigest()}"
    assert digest_bytes(*map(memoryview, parts)) == digest_bytes(whole)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest_bytes(*parts))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 * (1 << 20) + 5])
def test_a_file_is_digested_whole_whatever_its_size(tmp_path: Path, size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    path = tmp_path / "archive.tar"
    path.write_bytes(content)
    assert digest_file(path) == digest_bytes(content)


@pytest.mark.parametrize("ids", [[], ["2007_000033"], ["2007_000033", "2007_000042"], ["bücher", ""]])
def test_an_id_list_has_the_digest_of_its_file(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "split.txt"
    path.write_bytes("".join(f"{line}\n" for line in ids).encode())
    assert digest_lines(ids) == digest_file(path)
    assert digest_lines(iter(ids)) == digest_lines(ids)


def test_order_and_borders_of_lines_matter() -> None:
    assert digest_lines(["a", "b"]) != digest_lines(["b", "a"])
    assert digest_lines(["a", "b"]) != digest_lines(["ab"])


def test_the_short_form_is_the_first_digits_without_the_name() -> None:
    assert short(ABC) == "ba7816bf8f01"
    assert short(ABC, 4) == "ba78"
    assert short(ABC.removeprefix("sha256:")) == "ba7816bf8f01"
