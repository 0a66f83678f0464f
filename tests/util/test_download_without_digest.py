"""Downloading archives of which nobody published a digest: only bytes of the same version are put together."""

import json
from pathlib import Path

import pytest

from fcnbench.errors import DataMissing
from fcnbench.util.archive import Archive
from fcnbench.util.download import download
from tests.datasets.server import Behaviour
from tests.util.mirror import CONTENT, Serve, left, unknown

pytestmark = pytest.mark.usefixtures("online")


def interrupted(
    folder: Path, url: str, arrived: bytes, validator: str = '"v1"', size: int | None = len(CONTENT)
) -> None:
    """What a broken connection leaves."""
    folder.mkdir(exist_ok=True)
    (folder / "archive.tar.part").write_bytes(arrived)
    note = {"url": url, "validator": validator, "size": size}
    (folder / "archive.tar.part.json").write_text(json.dumps(note))


HALF = 500_000
REST = CONTENT[HALF:]


def test_the_rest_of_the_same_version_is_appended(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT)
    url = serve(behaviour)
    interrupted(folder, url, CONTENT[:HALF])
    assert download(unknown(url), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", f"bytes={HALF}-")]


PARTIAL_ANSWERS: dict[str, tuple[dict[str, str], bytes]] = {
    "of another version": ({"ETag": '"v2"', "Content-Range": f"bytes {HALF}-1023999/1024000"}, bytes(len(REST))),
    "of no version": ({"Content-Range": f"bytes {HALF}-1023999/1024000"}, bytes(len(REST))),
    "of another day": ({"Last-Modified": "now", "Content-Range": f"bytes {HALF}-1023999/1024000"}, bytes(len(REST))),
    "of another size": ({"ETag": '"v1"', "Content-Range": f"bytes {HALF}-1024000/1024001"}, bytes(len(REST) + 1)),
    "of unknown size": ({"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{HALF + 99}/*"}, REST[:100]),
    "that begins elsewhere": ({"ETag": '"v1"', "Content-Range": "bytes 0-1023999/1024000"}, CONTENT),
    "that begins after a gap": ({"ETag": '"v1"', "Content-Range": f"bytes {HALF + 9}-1023999/1024000"}, REST[9:]),
    "without a range": ({"ETag": '"v1"'}, REST),
    "with nonsense": ({"ETag": '"v1"', "Content-Range": "bytes none"}, REST),
    "beyond its own size": ({"ETag": '"v1"', "Content-Range": f"bytes {HALF}-2000000/1024000"}, REST),
    "with another length": (
        {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-1023999/1024000", "Content-Length": "100"},
        REST[:100],
    ),
    "that runs over its range": (
        {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{HALF + 99}/1024000", "Connection": "close"},
        REST[:100] + bytes(1000),
    ),
}


@pytest.mark.parametrize("name", PARTIAL_ANSWERS)
def test_a_part_that_does_not_fit_is_not_appended(serve: Serve, folder: Path, name: str) -> None:
    headers, body = PARTIAL_ANSWERS[name]
    behaviour = Behaviour(CONTENT, script=[(206, headers, body)])
    url = serve(behaviour)
    interrupted(folder, url, CONTENT[:HALF])
    try:
        path = download(unknown(url), folder)
    except DataMissing:  # then the next attempt, by the user, begins from the start
        assert not (folder / "archive.tar").exists()
        path = download(unknown(url), folder)
    assert path.read_bytes() == CONTENT
    assert behaviour.requests[-1] == ("GET", "")
    assert left(folder) == ["archive.tar"]


def test_a_part_that_ends_early_is_continued(serve: Serve, folder: Path) -> None:
    short = {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{HALF + 99}/1024000", "Content-Length": "100"}
    behaviour = Behaviour(CONTENT, script=[(206, short, REST[:100])])
    url = serve(behaviour)
    interrupted(folder, url, CONTENT[:HALF])
    assert download(unknown(url), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", f"bytes={HALF}-"), ("GET", f"bytes={HALF + 100}-")]


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({}, None),
        ({"Content-Range": "bytes */400000"}, None),
        ({"Content-Range": "bytes */1024000"}, len(CONTENT)),
        ({"Content-Range": "bytes */500000", "ETag": '"v2"'}, None),
        ({"Content-Range": "nonsense"}, len(CONTENT)),
    ],
)
def test_a_refused_range_does_not_prove_that_the_file_is_complete(
    serve: Serve, folder: Path, headers: dict[str, str], size: int | None
) -> None:
    behaviour = Behaviour(CONTENT, script=[(416, headers | {"Content-Length": "0"}, b"")])
    url = serve(behaviour)
    interrupted(folder, url, CONTENT[:HALF], size=size)
    assert download(unknown(url), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", f"bytes={HALF}-"), ("GET", "")]


def test_a_refused_range_after_the_last_byte_means_that_the_file_is_complete(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT)
    url = serve(behaviour)
    interrupted(folder, url, CONTENT)
    assert download(unknown(url), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", "bytes=1024000-")]


def test_a_response_with_the_whole_file_replaces_the_part(serve: Serve, folder: Path) -> None:
    url = serve(Behaviour(CONTENT, ranges=False))
    interrupted(folder, url, bytes(HALF))
    assert download(unknown(url), folder).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {"Connection": "close"}, CONTENT[:HALF]), "does not say how many bytes the file has"),
        ((200, {"Content-Length": "1024000"}, CONTENT[:HALF]), "broke off after 500000 of 1024000 bytes"),
        ((200, {"Transfer-Encoding": "chunked"}, b"10\r\n0123456789abcdef\r\n"), "broke off after"),
        ((206, {"Content-Range": "bytes 0-99/1024000"}, CONTENT[:100]), "sends the range"),
        ((200, {"Content-Encoding": "gzip", "Content-Length": "1024000"}, CONTENT), "compressed as gzip"),
        ((200, {"Content-Encoding": "br", "Content-Length": "1024000"}, CONTENT), "compressed as br"),
        ((200, {"Content-Length": "48"}, b"\n <!DOCTYPE html><title>Please sign in</title>     "[:48]), "an HTML page"),
        ((200, {"Content-Length": "40"}, b"\xef\xbb\xbf<html><title>Please sign in</title>   "[:40]), "an HTML page"),
        ((200, {"Content-Length": "38"}, b'<?xml version="1.0"?><Error></Error>  '), "an HTML page"),
        ((203, {"Content-Length": "1024000"}, CONTENT), "HTTP 203"),
    ],
)  # fmt: skip
def test_incomplete_and_wrong_files_do_not_get_the_name_of_the_archive(
    serve: Serve, folder: Path, answer: tuple[int, dict[str, str], bytes], said: str
) -> None:
    url = serve(Behaviour(CONTENT, script=[answer] * 3))
    with pytest.raises(DataMissing, match=said):
        download(unknown(url), folder)
    assert not (folder / "archive.tar").exists()
    assert download(unknown(serve(Behaviour(CONTENT))), folder).read_bytes() == CONTENT
    assert left(folder) == ["archive.tar"]


def test_a_login_page_after_a_redirect_is_not_an_archive(serve: Serve, folder: Path) -> None:
    page = serve(Behaviour(b"<!DOCTYPE html><title>Sign in</title>"))
    with pytest.raises(DataMissing, match="an HTML page instead of the archive"):
        download(unknown(serve(Behaviour(redirect=page))), folder)
    assert left(folder) == []


def test_a_content_encoding_that_the_name_declares_is_not_decoded(serve: Serve, folder: Path) -> None:
    url = serve(Behaviour(CONTENT, encoding="x-gzip"))
    assert download(unknown(url, file="archive.tar.gz"), folder).read_bytes() == CONTENT


def test_a_chunked_body_that_ends_as_it_should_is_whole(serve: Serve, folder: Path) -> None:
    body = b"10\r\n0123456789abcdef\r\n0\r\n\r\n"
    url = serve(Behaviour(CONTENT, script=[(200, {"Transfer-Encoding": "chunked"}, body)]))
    assert download(unknown(url), folder).read_bytes() == b"0123456789abcdef"


def test_without_a_digest_another_mirror_begins_from_the_start(serve: Serve, folder: Path) -> None:
    first, second = Behaviour(bytes(len(CONTENT)), cut_after=100_000), Behaviour(CONTENT)
    sized = Archive("test", "archive.tar", (serve(first), serve(second)), {}, len(CONTENT), "terms", "citation")
    assert download(sized, folder).read_bytes() == CONTENT
    assert second.requests == [("GET", "")]
