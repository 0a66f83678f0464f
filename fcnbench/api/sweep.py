"""`run --sweep`: models x data sets x precisions from a file, one after the other, or each where a scheduler puts it.

Every cell's outcome is a small file of its own below the board's folder, written when the cell is done: the same
command goes on from there, and many processes may work on one sweep.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import FcnbenchError, Interrupted, UsageError
from fcnbench.protocol import PRECISIONS
from fcnbench.util import files, paths
from fcnbench.util.console import note, quiet, track
from fcnbench.util.digests import digest_lines, short
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    from fcnbench.records.identity import Identity
    from fcnbench.records.model import Record

FOLDER = "sweeps"
"""Where the outcomes lie, in the folder of `submissions/` and `leaderboards/`."""

_LISTS = ("models", "datasets", "precisions")
_TABLES = ("options", "weights", "from")

_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "accept_terms": bool,
    "allow_partial": bool,
    "batch": int,
    "certify": bool,
    "compiled": bool,
    "dense": str,
    "device": str,
    "fast": bool,
    "limit": int,
    "margins": bool,
    "trials": int,
}
"""What `[options]` may hold: the arguments of `fcnbench.run` that make sense for every cell."""

_EXAMPLE = 'models = ["fcn8s-pocket"]\ndatasets = ["pocket"]'


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        model: registered name, or `path/to/file.py:factory`.
        dataset: name of the task.
        precision: arithmetic of the forward pass.
        weights: the model's weights; None where it brings its own.
        from_: where the data set lies; None where it is downloaded.
        options: further arguments of `fcnbench.run`.
    """

    model: str
    dataset: str
    precision: str
    weights: str | None = None
    from_: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.model} on {self.dataset} in {self.precision}"

    @property
    def file(self) -> str:
        """Name of the file of its outcome; another one where anything about the cell is otherwise."""
        from fcnbench.records.model import folder_name

        digest = digest_lines([json.dumps(asdict(self), sort_keys=True)])
        return f"{folder_name(f'{self.model}-{self.dataset}-{self.precision}')}-{short(digest, 8)}.json"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        cell: the cell.
        record: path of its record, from the folder that holds `submissions/`; None where it failed.
        error: class, message, hint and exit code of what went wrong; None where nothing did.
        created: time of the run in UTC, ISO 8601; empty where it failed.
        taken_over: whether the record is an earlier call's.
        identity: everything that the result depends on: it is taken over only while that stays as it is.
    """

    cell: Cell
    record: str | None
    error: Mapping[str, Any] | None
    created: str = ""
    taken_over: bool = False
    identity: Identity | None = None


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file asks for.

    Attributes:
        name: the file's name without its ending.
        cells: every model on every data set in every precision, in the file's order.
    """

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Swept:
    """A sweep that has been gone through.

    Attributes:
        outcomes: one a cell.
        board: folder that holds `submissions/`.
    """

    outcomes: tuple[Outcome, ...]
    board: Path

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The cells that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    def record(self, outcome: Outcome) -> Record | None:
        """The record of an outcome; None where the cell failed.

        Raises:
            ResultsError: it can't be read any more.
        """
        from fcnbench.records.files import load

        return None if outcome.record is None else load(self.board / outcome.record)


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep's TOML file.

    Lists `models` and `datasets`, and `precisions` where fp32 is not all; tables `[weights]` by model, `[from]` by data
    set, and `[options]` with further arguments of `fcnbench.run`. Paths are taken from the current folder.

    Raises:
        UsageError: it can't be read, or asks for something unknown.
    """
    place = Path(path).expanduser()
    try:
        content = tomllib.loads(read_text(place))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the sweep {place} can't be read: {reason}", f"write TOML like\n{_EXAMPLE}") from error
    _refuse_unknown(place, content, (*_LISTS, *_TABLES), "")
    models, datasets, precisions = (_names(place, content, name) for name in _LISTS)
    if not models or not datasets:
        raise UsageError(f"the sweep {place} names no models or no data sets", f"write\n{_EXAMPLE}")
    options, weights, sources = (_table(place, content, name) for name in _TABLES)
    _refuse_unknown(place, options, tuple(_OPTIONS), "options.")
    for name, value in options.items():
        # A truth value is a number to Python, and not to a person.
        if not isinstance(value, _OPTIONS[name]) or (_OPTIONS[name] is int and isinstance(value, bool)):
            raise UsageError(f"the sweep {place}: options.{name} is {value!r}", f"write a {_OPTIONS[name]}")
    _refuse_unknown(place, weights, models, "weights.")
    _refuse_unknown(place, sources, datasets, "from.")
    _refuse_unknown(place, dict.fromkeys(precisions), PRECISIONS, "precisions: ")
    return Sweep(
        place.stem,
        tuple(
            Cell(model, dataset, precision, weights.get(model), sources.get(dataset), options)
            for dataset, model, precision in product(datasets, models, precisions or PRECISIONS[:1])
        ),
    )


def sweep(path: str | Path, *, board: str | Path | None = None) -> Swept:
    """Run every cell of a sweep that has no record yet; what fails is written down, and the next one is run.

    Args:
        path: the sweep's TOML file, see `read_sweep`.
        board: folder of `submissions/` and `leaderboards/`, by default `$FCNBENCH_BOARD`, else `fcnbench-results`;
            outcomes lie in `sweeps/` there.

    Raises:
        UsageError: the file can't be read, or asks for something unknown.
        Interrupted: stopped by the user; the same call goes on from there.
        OutputError: an outcome could not be written.
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
    """Run one cell of a sweep, unless it has a record under the same identity.

    Any process may do it, on any machine that shares the board's folder.

    Args:
        plan: the sweep.
        cell: one of its cells.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        Interrupted: stopped by the user.
        OutputError: the outcome could not be written.
    """
    from fcnbench.api.run import run_unless
    from fcnbench.evaluation.distributed import process_group
    from fcnbench.options import RunOptions

    root = paths.results(board)
    path = root / FOLDER / plan.name / cell.file
    with process_group() as ranks:
        known = _known(cell, ranks.broadcast_from_rank0(lambda: _stored(root, path)))
    arguments = {"weights": cell.weights, "from_": cell.from_, "precision": cell.precision, **cell.options}
    try:
        earlier = known.identity if known is not None else None
        done = run_unless(RunOptions(cell.model, cell.dataset, board=root, **arguments), earlier)
        if done is None and known is not None:
            note(f"taken over from the run of {known.created}: {known.record}")
            return known
        assert done is not None
        record = done.path.relative_to(root).as_posix()
        outcome = Outcome(cell, record, None, done.record.created, identity=done.identity)
    except Interrupted:
        raise
    except FcnbenchError as error:
        outcome = Outcome(cell, None, _told(error, error.message, error.hint, error.exit_code))
    # One cell may fail in ways that nobody thought of; the others are wanted all the same.
    except Exception as error:  # noqa: BLE001
        outcome = Outcome(cell, None, _told(error, str(error), "run it by itself", FcnbenchError.exit_code))
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


def _told(error: Exception, message: str, hint: str, exit_code: int) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": message, "next": hint, "exit_code": exit_code}


def _names(place: Path, content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UsageError(f"the sweep {place}: {name} is {found!r}", 'write a list of names, like ["pocket"]')
    if len(set(found)) < len(found):
        raise UsageError(f"the sweep {place}: {name} holds a name twice", "name each once")
    return tuple(found)


def _table(place: Path, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"the sweep {place}: {name} is {found!r}", f"write a table, [{name}]")
    if name != "options" and not all(isinstance(value, str) for value in found.values()):
        raise UsageError(f"the sweep {place}: [{name}] holds something else than text", 'write name = "path"')
    return found


def _refuse_unknown(place: Path, given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise UsageError(f"the sweep {place}: {where}{name} is unknown", hint)
