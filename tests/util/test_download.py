"""Downloading, against a server that cuts, lies, moves and dies."""

import hashlib
import io
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.errors import DataMissing, OutputError
from fcnbench.util import download as module
from fcnbench.util.download import download
from fcnbench.util.mirrors import check_mirror
from tests.datasets.server import Behaviour
from tests.util.mirror import CONTENT, Serve, archive, left

pytestmark = pytest.mark.usefixtures("online")


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


def test_bytes_of_another_mirror_survive_a_mirror_with_wrong_responses(serve: Serve, folder: Path) -> None:
    first, third = Behaviour(CONTENT, cut_after=100_000), Behaviour(CONTENT)
    second = Behaviour(CONTENT, script=[(206, {"Content-Range": "nonsense"}, b"")])
    assert download(archive(serve(first), serve(second), serve(third)), folder).read_bytes() == CONTENT
    assert third.requests == [("GET", "bytes=300000-")]


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
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match=r"GB free, and archive\.tar needs about 0\.0 GB more"):
        download(archive(serve(behaviour)), folder)
    assert behaviour.requests == []


def test_a_disk_that_fills_up_is_not_blamed_on_the_mirror(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(io.BytesIO):
        def write(self, content: object) -> int:
            raise OSError(28, "No space left on device")

    usual = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *more: FullDisk() if path.suffix == ".part" else usual(path, *more))
    with pytest.raises(OutputError, match="No space left on device"):
        download(archive(serve(Behaviour(CONTENT))), folder)


def test_the_network_can_be_forbidden(serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    behaviour = Behaviour(CONTENT)
    with pytest.raises(DataMissing, match="FCNBENCH_OFFLINE forbids"):
        download(archive(serve(behaviour)), folder)
    assert behaviour.requests == []


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
