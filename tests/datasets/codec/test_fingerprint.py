"""The decoder fingerprint: equal on common machines, and different if any pixel is."""

from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.datasets.codec import fingerprint as decoders
from fcnbench.datasets.codec import images, png
from fcnbench.datasets.codec.fingerprint import PROBES, USUAL, decoder_fingerprint, probe_digests


def test_the_fingerprint_is_the_usual_one() -> None:
    assert decoder_fingerprint() == USUAL
    assert set(probe_digests()) == set(PROBES)
    folder = Path(decoders.__file__).parent / "probes"
    assert {path.name for path in folder.iterdir()} == set(PROBES)


def test_faster_decoders_have_the_same_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = probe_digests()
    monkeypatch.setattr(images, "fast_decode_jpeg", lambda content: None)
    monkeypatch.setattr(png, "fast_decode_label", lambda content: None)
    assert probe_digests() == plain


def test_one_different_pixel_gives_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_one(content: bytes, name: str) -> np.ndarray:
        pixels = images.decode_image(content, name)
        pixels[0, 0, 0] ^= 1
        return pixels

    before = probe_digests()
    monkeypatch.setitem(PROBES, "halved.jpg", off_by_one)
    after = probe_digests()
    assert {name for name in before if before[name] != after[name]} == {"halved.jpg"}


def test_the_doctor_reports_it() -> None:
    found = {finding.subject: finding for finding in fcnbench.doctor()}
    assert found["decoders"].sound
    assert USUAL.removeprefix("sha256:")[:12] in found["decoders"].text
