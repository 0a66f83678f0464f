"""Downloads by several processes, and by processes that are killed."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fcnbench.util.download import download
from tests.datasets.server import Behaviour
from tests.kills import kills_at_every_write
from tests.util.mirror import CONTENT, Serve, archive, left

pytestmark = pytest.mark.usefixtures("online")

WAITS = """
import sys
from pathlib import Path
from filelock import FileLock
from fcnbench.util.archive import Archive
from fcnbench.util.download import download

acquire = FileLock.acquire


def say_and_acquire(self, *arguments, **options):
    print("waits", flush=True)
    return acquire(self, *arguments, **options)


FileLock.acquire = say_and_acquire
url, digest, size, folder = sys.argv[1:]
download(Archive("test", "archive.tar", (url,), {"sha256": digest}, int(size), "", ""), Path(folder))
"""


def test_processes_wait_for_each_other(serve: Serve, folder: Path) -> None:
    everybody = threading.Event()
    behaviour = Behaviour(CONTENT, before_body=lambda: everybody.wait(120))
    known = archive(serve(behaviour))
    command = [sys.executable, "-c", WAITS, *known.urls, known.digests["sha256"], str(len(CONTENT)), str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    # One of them has the lock and gets no byte before the others wait for it.
    assert [process.stdout.readline() for process in processes if process.stdout] == ["waits\n"] * 3
    everybody.set()
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert behaviour.requests == [("GET", "")]


def download_here(folder: Path, url: str) -> None:
    """Download the archive."""
    download(archive(url), folder)


def test_kills_at_every_write_cost_nothing_but_time(serve: Serve, folder: Path) -> None:
    """A process is killed while it downloads over three connections; another goes on to the right bytes."""
    behaviour = Behaviour(CONTENT, cut_after=400_000)
    url = serve(behaviour)
    events, resumed = [], []
    for killed in kills_at_every_write(download_here, folder, url):
        events.append(killed.event)
        target = killed.folder / "archive.tar"
        assert not target.exists() or target.read_bytes() == CONTENT
        behaviour.requests.clear()
        assert download(archive(url), killed.folder).read_bytes() == CONTENT
        resumed.append(behaviour.requests[0][1] if behaviour.requests else "whole")
        assert left(killed.folder) == ["archive.tar"]
    assert sum(event.startswith("write half of") and event.endswith("archive.tar.part") for event in events) >= 4
    assert events.count("rename archive.tar.part") == 1
    # Nothing at first, then more and more, then all.
    assert resumed[0] == ""
    assert resumed[-1] == "whole"
    assert len(set(resumed)) > 4
