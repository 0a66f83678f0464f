"""Progress as plain lines: how often, with rate and remaining time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fcnbench.util import console
from fcnbench.util.console import note, progress, quiet, track
from fcnbench.util.progress_lines import ProgressLines, duration


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


def lines(clock: Clock, said: list[str], total: int | None, unit: str = "image", done: int = 0) -> ProgressLines:
    return ProgressLines(total, "fcn8s-pocket on pocket", unit, done, interval=30, write=said.append, clock=clock)


def test_a_line_has_count_rate_and_remaining_time(clock: Clock, said: list[str]) -> None:
    bar = lines(clock, said, 736)
    for _ in range(120):
        clock.now += 0.25
        bar.update()
    assert said == ["fcn8s-pocket on pocket: 120 of 736 images, 4.0 images/s, 2 min 34 s left"]


def test_one_line_per_interval(clock: Clock, said: list[str]) -> None:
    bar = lines(clock, said, 1000)
    times = []
    for step in range(1, 1001):
        clock.now += 0.1
        bar.update()
        if len(said) > len(times):
            times.append(round(step * 0.1))
    assert times == [30, 60, 90]


def test_a_job_shorter_than_the_interval_writes_no_line(clock: Clock, said: list[str]) -> None:
    bar = lines(clock, said, 299)
    for _ in range(299):
        clock.now += 0.1
        bar.update()
    assert said == []


@pytest.mark.parametrize(
    ("total", "unit", "done", "seconds", "steps", "expected"),
    [
        (None, "image", 0, 40, 10, "10 images, 4.0 s per image"),
        (3, "cell", 0, 100, 1, "1 of 3 cells, 100.0 s per cell, 3 min 20 s left"),
        (1, "record", 0, 31, 1, "1 of 1 record, 31.0 s per record, done in 31 s"),
        (20, "pass", 0, 40, 60, "60 passes, 1.5 passes/s"),
        (100_000_000, "byte", 0, 40, 20_000_000, "20.0 of 100.0 MB, 0.5 MB/s, 2 min 40 s left"),
        (None, "byte", 0, 40, 20_000_000, "20.0 MB, 0.5 MB/s"),
        # Steps of an interrupted job count for the total, not for the rate.
        (736, "image", 500, 50, 100, "600 of 736 images, 2.0 images/s, 1 min 8 s left"),
        (736, "image", 500, 50, 0, "500 of 736 images"),
        (0, "image", 0, 50, 5, "5 images, 10.0 s per image"),
    ],
)
def test_totals_units_and_resumed_jobs(
    total: int | None, unit: str, done: int, seconds: float, steps: int, expected: str
) -> None:
    clock, said = Clock(), list[str]()
    bar = lines(clock, said, total, unit, done)
    clock.now += seconds
    bar.update(steps)
    assert said == [f"fcn8s-pocket on pocket: {expected}"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"), (7_500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_quiet_process_writes_no_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "LINE_INTERVAL", 0)
    with quiet(), progress(2, "job") as bar:
        bar.update()
    assert capsys.readouterr().err == ""
    with progress(2, "job") as bar:
        bar.update()
    assert capsys.readouterr().err.startswith("job: 1 of 2 images, ")


def test_track_advances_when_an_item_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "LINE_INTERVAL", 0)
    seen = []
    for item in track(["a", "b"], "read", "record"):
        seen.append((item, capsys.readouterr().err.partition(",")[0]))
    assert seen == [("a", ""), ("b", "read: 1 of 2 records")]


RUN = """
import sys
from fcnbench.util import console
console.LINE_INTERVAL = float(sys.argv[1])
from fcnbench.cli.main import main
sys.exit(main(["run", "--model", "oracle-perfect", "--limit", "5", "--board", sys.argv[2]]))
"""


@pytest.mark.parametrize("interval", ["0", "1000"])
def test_a_run_into_a_pipe_writes_plain_lines_and_a_short_one_none(interval: str, tmp_path: object) -> None:
    done = subprocess.run([sys.executable, "-c", RUN, interval, str(tmp_path)], capture_output=True, check=True)
    text = done.stderr.decode()
    assert ("oracle-perfect on pocket: 3 of 5 images, " in text) == (interval == "0")
    assert ("canonicalise pocket: " in text) == (interval == "0")
    assert "\r" not in text
    assert "\x1b" not in text


BAR = """
from fcnbench.util import console
console.BAR_DELAY = 0
with console.progress(3, "job") as bar:
    bar.update()
    console.note("a note")
    bar.update()
console.note("another")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("columns", [0, 100])
def test_a_terminal_gets_the_bar_and_notes_beside_it(columns: int) -> None:
    text = on_terminal(BAR, columns)
    assert "job:  33%|" in text
    assert "| 1/3 [" in text
    assert "job: 1 of 3 images" not in text
    # A note stands on a line of its own.
    assert "\ra note\r\n" in text
    assert text.endswith("another\r\n")


def on_terminal(code: str, columns: int) -> str:
    """What a program writes to standard error that is a terminal; one of 0 columns does not tell its width."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs) as child:
        os.close(theirs)
        written = b""
        # Linux ends a terminal that nobody writes to any more with an error, others with nothing.
        try:
            while piece := os.read(ours, 4096):
                written += piece
        except OSError:
            pass
        os.close(ours)
    assert child.returncode == 0
    return written.decode()


def test_without_a_console_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(console, "LINE_INTERVAL", 1000)
    with progress(1, "job") as bar:
        bar.update()


def test_help_imports_no_tqdm() -> None:
    code = (
        "import sys\n"
        "from fcnbench.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('tqdm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_notes_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    note("one")
    assert capsys.readouterr().err == "one\n"
