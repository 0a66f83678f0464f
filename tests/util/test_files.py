"""Atomic files and folders: the old content or the new one, never a part, and no leftovers."""

import errno
import json
import math
import os
import threading
from pathlib import Path

import pytest

from fcnbench.errors import OutputError
from fcnbench.util.files import (
    TEMPORARY_SUFFIX,
    atomic_file,
    check_writable,
    locked,
    publish_folder,
    remove_leftovers,
    scratch_folder,
    write_bytes,
    write_json,
)
from tests.kills import kills_at_every_write


def listing(folder: Path) -> list[str]:
    """Every name below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def write_half(path: Path, failure: BaseException) -> None:
    """Write a part of a file, then fail."""
    with atomic_file(path) as stream:
        stream.write(b"half of the n")
        raise failure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of the test's own."""
    path = tmp_path / "results"
    path.mkdir()
    return path


# --- one file --------------------------------------------------------------------------------------------------------


def test_a_file_is_written_and_its_folders_are_created(folder: Path) -> None:
    path = folder / "a" / "b" / "record.json"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert listing(folder) == ["a", "a/b", "a/b/record.json"]


def test_an_older_file_is_replaced(folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(b"old and longer")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert listing(folder) == ["record.json"]


def test_readers_see_the_old_content_until_the_block_has_ended(folder: Path) -> None:
    path = folder / "board.csv"
    path.write_bytes(b"old")
    with atomic_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_unfinished_content_has_a_temporary_name_beside_the_target(folder: Path) -> None:
    with atomic_file(folder / "board.csv"):
        [name] = listing(folder)
        assert name.endswith(TEMPORARY_SUFFIX)


@pytest.mark.parametrize("failure", [ValueError, KeyError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_an_exception_inside_the_block_leaves_the_old_content_and_no_temporary_file(
    folder: Path, failure: type[BaseException], existed: bool
) -> None:
    path = folder / "record.json"
    if existed:
        path.write_bytes(b"old")
    with pytest.raises(failure):
        write_half(path, failure())
    assert listing(folder) == (["record.json"] if existed else [])
    assert not existed or path.read_bytes() == b"old"


def test_a_full_disk_is_an_output_error_and_leaves_the_old_content(folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(b"old")
    with pytest.raises(OutputError) as caught:
        write_half(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(path) in caught.value.message
    assert os.strerror(errno.ENOSPC) in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert listing(folder) == ["record.json"]


def test_a_rename_that_fails_is_an_output_error_and_leaves_no_temporary_file(folder: Path) -> None:
    (folder / "record.json" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"record\.json"):
        write_bytes(folder / "record.json", b"new")
    assert listing(folder) == ["record.json", "record.json/inside"]


@pytest.mark.parametrize("below", ["record.json", "deeper/record.json"])
def test_a_file_instead_of_a_folder_is_an_output_error(folder: Path, below: str) -> None:
    (folder / "blocked").write_bytes(b"I am a file")
    path = folder / "blocked" / below
    with pytest.raises(OutputError) as caught:
        write_bytes(path, b"new")
    assert str(path) in caught.value.message
    assert caught.value.exit_code == 5
    assert isinstance(caught.value.__cause__, OSError)
    assert listing(folder) == ["blocked"]
    assert (folder / "blocked").read_bytes() == b"I am a file"


def test_many_writers_leave_the_content_of_one(folder: Path) -> None:
    path = folder / "board.csv"
    contents = [bytes([65 + writer]) * 100_000 for writer in range(6)]
    write_bytes(path, contents[0])
    torn: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            content = path.read_bytes()
            if len(content) != 100_000 or len(set(content)) != 1:
                torn.append(len(content))

    writers = [threading.Thread(target=write_bytes, args=(path, content)) for content in contents]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert torn == []
    assert path.read_bytes() in contents
    assert listing(folder) == ["board.csv"]


def replace_content(folder: Path) -> None:
    """Replace the content of a file."""
    write_bytes(folder / "record.json", NEW)


NEW = b"n" * 100_000
"""Longer than the buffer of a file."""


@pytest.mark.parametrize("existed", [True, False])
def test_a_process_killed_at_any_write_leaves_the_old_file_or_the_new_one(folder: Path, existed: bool) -> None:
    if existed:
        (folder / "record.json").write_bytes(b"old")
    seen, events = [], []
    for killed in kills_at_every_write(replace_content, folder):
        path = killed.folder / "record.json"
        seen.append(path.read_bytes() if path.exists() else None)
        events.append(killed.event.split()[0])
        leftovers = [name for name in listing(killed.folder) if name != "record.json"]
        assert all(name.endswith(TEMPORARY_SUFFIX) for name in leftovers)
        # They are ignored, do not stand in the way, and can be removed.
        write_bytes(path, b"newer")
        remove_leftovers(killed.folder)
        assert listing(killed.folder) == ["record.json"]
        assert path.read_bytes() == b"newer"
    old = b"old" if existed else None
    assert events[:5] == ["mkdir", "open", "write", "write", "rename"]
    assert seen == [old] * 5 + [NEW] * (len(seen) - 5)


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_is_indented_utf8_with_a_final_line_feed(folder: Path) -> None:
    path = folder / "record.json"
    content = {"model": "fcn8s", "note": "größer", "scores": {"mean_iu": 1 / 3}, "pixels": 2**60 + 1}
    write_json(path, content)
    text = path.read_bytes().decode("utf-8")
    assert json.loads(text) == content
    assert "größer" in text
    assert '\n  "model": "fcn8s"' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_with_nan_or_infinity_is_refused_and_the_old_content_stays(folder: Path, value: float) -> None:
    path = folder / "record.json"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"scores": [1.0, value]})
    assert path.read_bytes() == b"old"
    assert listing(folder) == ["record.json"]


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_scratch_folder_is_empty_inside_its_parent_and_removed(folder: Path) -> None:
    with scratch_folder(folder / "stores") as scratch:
        assert scratch.parent == folder / "stores"
        assert list(scratch.iterdir()) == []
        assert scratch.name.endswith(TEMPORARY_SUFFIX)
        (scratch / "deep").mkdir()
        (scratch / "deep" / "data.parquet").write_bytes(b"data")
    assert listing(folder) == ["stores"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_scratch_folder_is_removed_when_its_block_fails(folder: Path, failure: type[BaseException]) -> None:

    def fill_half() -> None:
        with scratch_folder(folder) as scratch:
            (scratch / "data.parquet").write_bytes(b"data")
            raise failure

    with pytest.raises(failure):
        fill_half()
    assert listing(folder) == []


def test_a_scratch_folder_that_cannot_be_made_is_an_output_error(folder: Path) -> None:
    (folder / "blocked").write_bytes(b"I am a file")
    with pytest.raises(OutputError, match="blocked"), scratch_folder(folder / "blocked"):
        pytest.fail("the block must not run")
    assert listing(folder) == ["blocked"]


def test_a_write_that_fails_in_a_scratch_folder_is_an_output_error(folder: Path) -> None:
    with pytest.raises(OutputError), scratch_folder(folder) as scratch:
        (scratch / "no such folder" / "data.parquet").write_bytes(b"data")
    assert listing(folder) == []


def test_a_published_folder_keeps_its_content_under_its_name(folder: Path) -> None:
    with scratch_folder(folder) as scratch:
        (scratch / "data.parquet").write_bytes(b"data")
        publish_folder(scratch, folder / "voc2011val")
    assert listing(folder) == ["voc2011val", "voc2011val/data.parquet"]


def test_publishing_onto_a_folder_replaces_its_files(folder: Path) -> None:
    target = folder / "voc2011val"
    target.mkdir()
    (target / "data.parquet").write_bytes(b"torn")
    with scratch_folder(folder) as scratch:
        (scratch / "data.parquet").write_bytes(b"data")
        (scratch / "manifest.json").write_bytes(b"{}")
        publish_folder(scratch, target)
    assert listing(folder) == ["voc2011val", "voc2011val/data.parquet", "voc2011val/manifest.json"]
    assert (target / "data.parquet").read_bytes() == b"data"


def test_publishing_onto_a_file_is_refused_and_leaves_it(folder: Path) -> None:
    target = folder / "voc2011val"
    target.write_bytes(b"in the way")
    with scratch_folder(folder) as scratch:
        (scratch / "data.parquet").write_bytes(b"data")
        with pytest.raises(OutputError):
            publish_folder(scratch, target)
    assert listing(folder) == ["voc2011val"]
    assert target.read_bytes() == b"in the way"


def test_an_error_about_an_unrelated_file_is_not_a_failed_write(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), scratch_folder(folder):
        (folder / "nowhere").read_bytes()
    with pytest.raises(FileNotFoundError, match="nowhere"), atomic_file(folder / "target"):
        (folder / "nowhere").read_bytes()
    assert listing(folder) == []


STORE = {"data.parquet": b"data", "manifest.json": b"{}"}


def publish_store(folder: Path) -> None:
    """Publish a folder of two files."""
    with scratch_folder(folder) as scratch:
        for name, content in STORE.items():
            write_bytes(scratch / name, content)
        publish_folder(scratch, folder / "store")


@pytest.mark.parametrize("existed", [True, False])
def test_a_process_killed_at_any_write_leaves_a_whole_published_folder(folder: Path, existed: bool) -> None:
    if existed:
        publish_store(folder)
    published = []
    for killed in kills_at_every_write(publish_store, folder):
        target = killed.folder / "store"
        published.append(target.exists())
        assert not target.exists() or {path.name: path.read_bytes() for path in target.iterdir()} == STORE
        remove_leftovers(killed.folder)
        publish_store(killed.folder)
        assert listing(killed.folder) == ["store", "store/data.parquet", "store/manifest.json"]
    assert len(published) > 10
    # The folder appears with the last change: no kill comes after it.
    assert set(published) == {existed}


def test_publishing_that_fails_keeps_the_older_folder(folder: Path) -> None:
    target = folder / "voc2011val"
    target.mkdir()
    (target / "older.parquet").write_bytes(b"old")
    with pytest.raises(OutputError, match="voc2011val"):
        publish_folder(folder / "no such scratch", target)
    assert listing(folder) == ["voc2011val", "voc2011val/older.parquet"]


def test_publishing_below_a_file_is_an_output_error(folder: Path) -> None:
    (folder / "blocked").write_bytes(b"I am a file")
    with pytest.raises(OutputError), scratch_folder(folder) as scratch:
        publish_folder(scratch, folder / "blocked" / "voc2011val")
    assert listing(folder) == ["blocked"]


def test_only_leftovers_are_removed(folder: Path) -> None:
    (folder / f".store.1-ab{TEMPORARY_SUFFIX}").mkdir()
    (folder / f".store.1-ab{TEMPORARY_SUFFIX}" / "data.parquet").write_bytes(b"data")
    (folder / f".record.json.1-ab{TEMPORARY_SUFFIX}").write_bytes(b"half")
    kept = ["hidden.tmp", ".hidden", "store", "store/.inside.tmp", "record.json"]
    (folder / "store").mkdir()
    for name in kept:
        if name != "store":
            (folder / name).write_bytes(b"kept")
    remove_leftovers(folder)
    assert listing(folder) == sorted(kept)


# --- locks and probes ------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_at_a_time_and_released_after_an_exception(folder: Path) -> None:
    path = folder / "deep" / "store.lock"
    order: list[str] = []
    held = threading.Event()

    def second() -> None:
        held.wait(10)
        with locked(path):
            order.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()

    def first() -> None:
        with locked(path):
            held.set()
            waiting.join(0.3)
            order.append("first")
            raise ValueError("the job failed")

    with pytest.raises(ValueError, match="the job failed"):
        first()
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_lock_that_cannot_be_created_is_an_output_error(folder: Path) -> None:
    (folder / "blocked").write_bytes(b"I am a file")
    with pytest.raises(OutputError, match="blocked"), locked(folder / "blocked" / "store.lock"):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_a_writable_folder_passes_and_nothing_is_created(folder: Path, below: str) -> None:
    check_writable(folder / below)
    assert listing(folder) == []


@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_a_file_instead_of_a_folder_is_noticed_before_a_long_job(folder: Path, below: str) -> None:
    (folder / "blocked").write_bytes(b"I am a file")
    with pytest.raises(OutputError, match="blocked"):
        check_writable(folder / "blocked" / below)
    assert listing(folder) == ["blocked"]
