"""`run --sweep`: models x datasets x precisions of a file, one after the other, or each where a scheduler puts it.

Every cell's outcome is a small file of its own below the board's folder, written when the cell is done: the same
command goes on from there, and many processes may work on one sweep. `sweep_file.py` reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.api.sweep_file import Cell, Sweep, read_sweep
from fcnbench.errors import FcnbenchError, Interrupted, UsageError
from fcnbench.util import files, paths
from fcnbench.util.console import note, quiet, track
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    from fcnbench.records.identity import Identity
    from fcnbench.records.model import Record

FOLDER = "sweeps"
"""The folder of the outcomes, in the folder of `submissions/` and `leaderboards/`."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a cell.

    Attributes:
        cell: the cell.
        record: path of its record, from the folder that holds `submissions/`; None where it failed.
        error: class, message, hint and exit code of what went wrong; None where nothing did.
        created: time of the run in UTC, ISO 8601; empty where it failed.
        taken_over: whether the record is that of an earlier call.
        identity: everything that the result depends on; the record is taken over only while that is unchanged.
    """

    cell: Cell
    record: str | None
    error: Mapping[str, Any] | None
    created: str = ""
    taken_over: bool = False
    identity: Identity | None = None


@dataclass(frozen=True, repr=False)
class Swept:
    """A finished sweep.

    Attributes:
        outcomes: one per cell.
        board: folder that holds `submissions/`.
    """

    outcomes: tuple[Outcome, ...]
    board: Path

    def __repr__(self) -> str:
        return f"<Swept: {len(self.outcomes) - len(self.failed)} of {len(self.outcomes)} cells have a record>"

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The cells that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    def record(self, outcome: Outcome) -> Record | None:
        """Return the record of an outcome; None where the cell failed.

        Raises:
            ResultsError: it can't be read any more.
        """
        from fcnbench.records.files import load

        return None if outcome.record is None else load(self.board / outcome.record)


def sweep(path: str | Path, *, board: str | Path | None = None) -> Swept:
    r"""Run every cell of a sweep that has no record yet; a cell that fails does not stop the others.

    Args:
        path: the sweep's TOML file, see `read_sweep`.
        board: folder of `submissions/` and `leaderboards/`, by default `$FCNBENCH_BOARD`, else `fcnbench-results`;
            outcomes are written below `sweeps/` there.

    Raises:
        UsageError: the file can't be read, or holds something unknown.
        Interrupted: stopped by the user; the same call continues the sweep.
        OutputError: an outcome could not be written.

    >>> import fcnbench
    >>> from pathlib import Path
    >>> _ = Path("one.toml").write_text('models = ["fcn8s-pocket"]\ndatasets = ["pocket"]\n[options]\nlimit = 1')
    >>> fcnbench.sweep("one.toml")
    <Swept: 1 of 1 cells have a record>
    """
    plan, root = read_sweep(path), paths.results(board)
    files.check_writable(root / FOLDER)
    from fcnbench.evaluation.distributed import process_group

    outcomes = []
    with quiet(not process_group().is_rank0):
        for number, cell in enumerate(track(plan.cells, f"sweep {plan.name}", "cell"), start=1):
            note(f"[{number}/{len(plan.cells)}] {cell.name}")
            outcomes.append(run_cell(plan, cell, board=root))
    return Swept(tuple(outcomes), root)


def run_cell(plan: Sweep, cell: Cell, *, board: str | Path | None = None) -> Outcome:
    """Run one cell (model, dataset and precision) of a sweep, unless it has a record and nothing has changed since.

    This can be called in any process, on any machine that shares the folder of the board.

    Args:
        plan: the sweep.
        cell: one of its cells.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        Interrupted: stopped by the user.
        OutputError: the outcome could not be written.
        UsageError: `plan` or `cell` is something else.

    >>> cell = Cell("fcn8s-pocket", "pocket", "fp32", options={"limit": 1})
    >>> run_cell(Sweep("one", (cell,)), cell).error is None
    True
    """
    if not isinstance(plan, Sweep) or not isinstance(cell, Cell):
        found = f"{type(plan).__name__} and {type(cell).__name__}"
        raise UsageError(f"run_cell takes a Sweep and one of its cells, not {found}", "pass what read_sweep gives")
    from fcnbench.api.run import run_unless
    from fcnbench.evaluation.distributed import process_group

    root = paths.results(board)
    path = root / FOLDER / plan.name / cell.file
    with process_group() as ranks:
        known = _known(cell, ranks.broadcast_from_rank0(lambda: _stored(root, path)))
    try:
        earlier = known.identity if known is not None else None
        run = run_unless(cell.run_options(root), earlier)
        if run is None and known is not None:
            note(f"taken over from the run of {known.created}: {known.record}")
            return known
        assert run is not None
        record = run.path.relative_to(root).as_posix()
        outcome = Outcome(cell, record, None, run.record.created, identity=run.identity)
    except Interrupted:
        raise
    except FcnbenchError as error:
        outcome = Outcome(cell, None, _described(error, error.message, error.hint, error.exit_code))
    # A fault of the code in one cell does not stop the others.
    except Exception as error:  # noqa: BLE001
        outcome = Outcome(cell, None, _described(error, str(error), "run it by itself", FcnbenchError.exit_code))
    if outcome.error is not None:
        note(f"failed: {outcome.error['error']}: {outcome.error['message']}")
    if process_group().is_rank0:
        paths.keep_out_of_git(root)
        files.write_json(path, asdict(outcome))
    return outcome


def _stored(root: Path, path: Path) -> dict[str, Any] | None:
    """Return the stored outcome of an earlier call if its record is still there; a failed cell is tried again."""
    try:
        content = json.loads(read_text(path))
        record, created = content["record"], str(content["created"])
        if record is None or not (root / record).is_file():
            return None
        parts, facts = content["identity"]["parts"], content["identity"]["facts"]
        if not all(isinstance(each, str) for given in (parts, facts) for item in dict(given).items() for each in item):
            return None
        return {"record": record, "created": created, "parts": dict(parts), "facts": dict(facts)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _known(cell: Cell, stored: dict[str, Any] | None) -> Outcome | None:
    """Return the outcome of `_stored`; None where there is none."""
    from fcnbench.records.identity import Identity

    if stored is None:
        return None
    identity = Identity(stored["parts"], stored["facts"])
    return Outcome(cell, stored["record"], None, stored["created"], taken_over=True, identity=identity)


def _described(error: Exception, message: str, hint: str, exit_code: int) -> dict[str, Any]:
    """Return an error as JSON values."""
    return {"error": type(error).__name__, "message": message, "next": hint, "exit_code": exit_code}
