"""Downloading, against a server that cuts, lies, moves and dies."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.errors import DataMissing, OutputError
from fcnbench.util import download as module
from fcnbench.util.archive import Archive
from fcnbench.util.download import download
from fcnbench.util.mirrors import check_mirror
from tests.datasets.server import Behaviour, serving

CONTENT = bytes(range(256)) * 4000
"""About 1 MB."""


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FCNBENCH_OFFLINE")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archives"


@pytest.fixture
def serve() -> object:
    """Starts servers; each call gives an address."""
    with ExitStack() as stack:
        yield lambda behaviour: stack.enter_context(serving(behaviour))


Serve = Callable[[Behaviour], str]


def archive(*urls: str, content: bytes = CONTENT, sized: bool = True, **digests: str) -> Archive:
    """An archive with all three digests of its content, unless others are given."""
    known = digests or {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "sha1", "md5")}
    return Archive("test", "archive.tar", urls, known, len(content) if sized else None, "terms", "citation")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_leftovers_of_killed_processes_are_removed(serve: Serve, folder: Path) -> None:
    folder.mkdir()
    (folder / ".archive.tar.part.json.1-ab.tmp").write_bytes(b"half")
    (folder / ".other.tar.part.json.1-ab.tmp").write_bytes(b"another process is at work on this")
    url = serve(Behaviour(CONTENT))
    download(archive(url), folder)
    assert left(folder) == [".other.tar.part.json.1-ab.tmp", "archive.tar"]
    (folder / "archive.tar.part.json").write_bytes(b"{}")
    download(archive(url), folder)
    assert left(folder) == [".other.tar.part.json.1-ab.tmp", "archive.tar"]


def test_bytes_with_the_right_digest_get_the_name_of_the_archive(serve: Serve, folder: Path) -> None:
    path = download(archive(serve(Behaviour(CONTENT))), folder)
    assert path.read_bytes() == CONTENT
    assert left(folder) == ["archive.tar"]


def test_an_archive_on_disk_is_not_downloaded_again(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT)
    url = serve(behaviour)
    download(archive(url), folder)
    download(archive(url), folder)
    assert len(behaviour.requests) == 1


def test_a_broken_download_continues_where_it_broke(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT, cut_after=400_000, cuts=2)
    assert download(archive(serve(behaviour)), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", ""), ("GET", "bytes=400000-"), ("GET", "bytes=800000-")]


def test_a_later_process_continues_the_download(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT, cut_after=100_000, cuts=3)
    url = serve(behaviour)
    with pytest.raises(DataMissing, match="broke off after 300000 of 1024000 bytes"):
        download(archive(url), folder)
    assert left(folder) == ["archive.tar.part", "archive.tar.part.json"]
    assert download(archive(url), folder).read_bytes() == CONTENT
    assert behaviour.requests[-1] == ("GET", "bytes=300000-")


@pytest.mark.parametrize("sized", [True, False])
def test_a_server_that_ignores_ranges_sends_all_again(serve: Serve, folder: Path, sized: bool) -> None:
    behaviour = Behaviour(CONTENT, ranges=False, cut_after=500_000, cuts=1)
    assert download(archive(serve(behaviour), sized=sized), folder).read_bytes() == CONTENT
    assert left(folder) == ["archive.tar"]


def test_a_file_that_changed_meanwhile_is_downloaded_from_the_start(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(b"x" * len(CONTENT), etag='"old"', cut_after=300_000)
    url = serve(behaviour)
    with pytest.raises(DataMissing):
        download(archive(url), folder)
    behaviour.content, behaviour.etag, behaviour.cut_after = CONTENT, '"new"', None
    assert download(archive(url), folder).read_bytes() == CONTENT


def test_without_a_size_or_a_version_nothing_is_resumed(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT, etag="", cut_after=300_000, cuts=1)
    assert download(archive(serve(behaviour), sized=False), folder).read_bytes() == CONTENT
    assert [asked for _, asked in behaviour.requests] == ["", ""]


def test_another_mirror_continues_with_the_received_bytes(serve: Serve, folder: Path) -> None:
    first, second = Behaviour(CONTENT, cut_after=100_000), Behaviour(CONTENT, etag='"theirs"')
    assert download(archive(serve(first), serve(second)), folder).read_bytes() == CONTENT
    assert second.requests == [("GET", "bytes=300000-")]


def test_a_whole_part_file_only_needs_its_digest(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT)
    url = serve(behaviour)
    folder.mkdir()
    (folder / "archive.tar.part").write_bytes(CONTENT)
    (folder / "archive.tar.part.json").write_text(f'{{"url": "{url}", "validator": ""}}')
    assert download(archive(url), folder).read_bytes() == CONTENT
    assert behaviour.requests == [("GET", "bytes=1024000-")]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (Behaviour(CONTENT, html=True), "an HTML page instead of the archive"),
        (Behaviour(CONTENT, status=404), "HTTP 404 Not Found"),
        (Behaviour(CONTENT, status=403), "HTTP 403"),
        (Behaviour(CONTENT, redirect="/archive.tar"), "redirects in a circle"),
        (Behaviour(CONTENT[:-1]), "offers 1023999 bytes, expected 1024000"),
        (Behaviour(b"y" + CONTENT[1:]), r"sent sha256 [0-9a-f]{64}, expected .*sha1 .*md5"),
        (Behaviour(CONTENT + b"z", length=""), "sends more than the 1024000 bytes expected"),
        (Behaviour(CONTENT, length="1024000", cut_after=0), "broke off after 0 of 1024000 bytes"),
    ],
    ids=["html", "404", "403", "redirects", "short", "digest", "long", "nothing"],
)
def test_the_failure_of_a_mirror_is_named_and_wrong_bytes_are_dropped(
    serve: Serve, folder: Path, behaviour: Behaviour, message: str
) -> None:
    url = serve(behaviour)
    with pytest.raises(DataMissing, match=message) as caught:
        download(archive(url), folder)
    assert url in caught.value.message
    assert "--from" in caught.value.hint
    assert not (folder / "archive.tar").exists()
    # The same bytes from a good mirror afterwards, whatever the bad one left.
    assert download(archive(serve(Behaviour(CONTENT))), folder).read_bytes() == CONTENT
    assert left(folder) == ["archive.tar"]


def test_an_html_page_that_calls_itself_an_archive_is_named(serve: Serve, folder: Path) -> None:
    page = b"<!DOCTYPE html><html>We have moved.</html>"
    with pytest.raises(DataMissing, match="sent an HTML page instead of the archive"):
        download(archive(serve(Behaviour(page)), sized=False), folder)
    assert left(folder) == []


def test_the_failures_of_all_mirrors_are_in_one_message(serve: Serve, folder: Path) -> None:
    dead = serve(Behaviour(status=500))
    with pytest.raises(DataMissing) as caught:
        download(archive(dead, "http://127.0.0.1:9/archive.tar", serve(Behaviour(html=True))), folder)
    assert [text in caught.value.message for text in ("HTTP 500", "can't be reached", "HTML page")] == [True] * 3


def test_the_next_mirror_is_asked_when_one_fails(serve: Serve, folder: Path) -> None:
    urls = [serve(Behaviour(status=404)), serve(Behaviour(html=True)), serve(Behaviour(CONTENT))]
    assert download(archive(*urls), folder).read_bytes() == CONTENT


def test_a_content_encoding_is_not_decoded(serve: Serve, folder: Path) -> None:
    assert download(archive(serve(Behaviour(CONTENT, encoding="gzip"))), folder).read_bytes() == CONTENT


def test_a_server_that_stops_sending_is_given_up(serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", (1.0, 0.1))
    release = threading.Event()
    url = serve(Behaviour(CONTENT, before_body=lambda: release.wait(5)))
    with pytest.raises(DataMissing, match="stopped sending after 0 of 1024000 bytes"):
        download(archive(url), folder)
    release.set()


def test_a_disk_that_is_too_small_is_noticed_before_the_download(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = Behaviour(CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(OutputError, match=r"GB free, and archive\.tar needs about 0\.0 GB more"):
        download(archive(serve(behaviour)), folder)
    assert behaviour.requests == []


def test_a_disk_that_fills_up_is_not_blamed_on_the_mirror(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_stream", full)
    with pytest.raises(OutputError, match="No space left on device"):
        download(archive(serve(Behaviour(CONTENT))), folder)


def test_the_network_can_be_forbidden(serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    behaviour = Behaviour(CONTENT)
    with pytest.raises(DataMissing, match="FCNBENCH_OFFLINE forbids"):
        download(archive(serve(behaviour)), folder)
    assert behaviour.requests == []


SCRIPT = """
import sys
from pathlib import Path
from fcnbench.util.download import download
from fcnbench.util.archive import Archive
known = {"sha256": sys.argv[2]}
download(Archive("test", "archive.tar", (sys.argv[1],), known, int(sys.argv[3]), "", ""), Path(sys.argv[4]))
"""


def start(url: str, folder: Path) -> subprocess.Popen[bytes]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return subprocess.Popen([sys.executable, "-c", SCRIPT, url, digest, str(len(CONTENT)), str(folder)])


def test_two_processes_wait_for_each_other(serve: Serve, folder: Path) -> None:
    behaviour = Behaviour(CONTENT, before_body=lambda: time.sleep(0.5))
    url = serve(behaviour)
    processes = [start(url, folder) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert behaviour.requests == [("GET", "")]


def test_kills_at_any_moment_cost_nothing_but_time(serve: Serve, folder: Path) -> None:
    """20 processes are killed while they fetch; another then goes on to the right bytes."""
    behaviour = Behaviour(CONTENT, cut_after=60_000)
    url = serve(behaviour)
    for turn in range(20):
        process = start(url, folder)
        seen = len(behaviour.requests)
        deadline = time.monotonic() + 30
        while len(behaviour.requests) == seen and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(0.002 * turn)
        process.kill()
        process.wait()
        assert not (folder / "archive.tar").exists() or (folder / "archive.tar").read_bytes() == CONTENT
    behaviour.cut_after = None
    assert start(url, folder).wait(60) == 0
    assert (folder / "archive.tar").read_bytes() == CONTENT
    assert left(folder) == ["archive.tar"]


def test_mirrors_can_be_checked_without_a_download(serve: Serve) -> None:
    good = check_mirror(serve(Behaviour(CONTENT)), archive())
    assert (good.sound, good.answer) == (True, "1024000 bytes, application/x-tar")
    for behaviour, answer in (
        (Behaviour(status=404), "HTTP 404"),
        (Behaviour(html=True), "sends an HTML page"),
        (Behaviour(CONTENT[:10]), "10 bytes, expected 1024000"),
        (Behaviour(redirect="/archive.tar"), "redirects in a circle"),
    ):
        found = check_mirror(serve(behaviour), archive())
        assert (found.sound, found.answer) == (False, answer)
    assert check_mirror("http://127.0.0.1:9/x", archive()).answer == "can't be reached"


def test_every_source_has_mirrors_and_terms_and_digests_where_there_are_any() -> None:
    assert {"voc2012trainval", "voc2011trainval"} <= known_archives().keys()
    for entry in known_archives().values():
        assert entry.urls
        assert entry.terms
        assert entry.citation
        for algorithm, digest in [pair for form in (entry.digests, *entry.also) for pair in form.items()]:
            assert len(digest) == 2 * hashlib.new(algorithm).digest_size
            int(digest, 16)
    # Nobody published a digest of these: stores made from them are "unverified".
    assert {name for name, entry in known_archives().items() if not entry.digests} == {"nyud", "nyud-gupta", "siftflow"}


# --- archives of which nobody published a digest ---------------------------------------------------------------------


def unknown(*urls: str, file: str = "archive.tar") -> Archive:
    """An archive of which neither digest nor size is known."""
    return Archive("test", file, urls, {}, None, "terms", "citation")


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


def test_bytes_of_another_mirror_survive_a_mirror_with_wrong_responses(serve: Serve, folder: Path) -> None:
    first, third = Behaviour(CONTENT, cut_after=100_000), Behaviour(CONTENT)
    second = Behaviour(CONTENT, script=[(206, {"Content-Range": "nonsense"}, b"")])
    assert download(archive(serve(first), serve(second), serve(third)), folder).read_bytes() == CONTENT
    assert third.requests == [("GET", "bytes=300000-")]
