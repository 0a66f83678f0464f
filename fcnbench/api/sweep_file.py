"""The file of a sweep: lists of models, datasets and precisions, and options for all of them; read into cells."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from fcnbench.errors import UsageError
from fcnbench.options import RunOptions, sweep_options
from fcnbench.protocol import PRECISIONS
from fcnbench.util.digests import digest_lines, short
from fcnbench.util.option import find_option
from fcnbench.util.paths import user_path
from fcnbench.util.text import read_text

_LISTS = ("models", "datasets", "precisions")
_TABLES = ("options", "weights", "from")

_EXAMPLE = 'models = ["fcn8s-pocket"]\ndatasets = ["pocket"]'


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        model: registered name, or `path/to/file.py:factory`.
        dataset: name of the dataset.
        precision: of the forward pass.
        weights: the model's weights; None where it brings its own.
        from_: where the dataset lies; None where it is downloaded.
        options: further keywords of `fcnbench.run`.
    """

    model: str
    dataset: str
    precision: str
    weights: str | None = None
    from_: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cell as text."""
        return f"{self.model} on {self.dataset} in {self.precision}"

    @property
    def file(self) -> str:
        """Name of the file of its outcome; another one where anything about the cell differs."""
        from fcnbench.records.model import folder_name

        digest = digest_lines([json.dumps(asdict(self), sort_keys=True)])
        return f"{folder_name(f'{self.model}-{self.dataset}-{self.precision}')}-{short(digest, 8)}.json"

    def run_options(self, board: Path) -> RunOptions:
        """Return the options of its run, which is filed below a folder of boards."""
        return RunOptions.of(
            {
                "model": self.model,
                "dataset": self.dataset,
                "weights": self.weights,
                "from_": self.from_,
                "precision": self.precision,
                "board": board,
                **self.options,
            }
        )


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file asks for.

    Attributes:
        name: the file's name without its ending.
        cells: every model on every dataset in every precision, in the file's order.
    """

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _File:
    """The content of a sweep's file, and its path for messages."""

    path: Path
    content: Mapping[str, Any]

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of names."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(f"{key} is {value!r}", 'write a list of names, like ["pocket"]')
        if len(set(value)) < len(value):
            raise self.error(f"{key} holds a name twice", "name each once")
        return tuple(value)

    def table(self, key: str, known: Iterable[str] = ()) -> dict[str, Any]:
        """Return a table; of other tables than `options` the names must be known and the values text."""
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self.error(f"{key} is {value!r}", f"write a table, [{key}]")
        if key != "options":
            if not all(isinstance(each, str) for each in value.values()):
                raise self.error(f"[{key}] holds something else than text", 'write name = "path"')
            self.refuse_unknown(value, tuple(known), f"{key}.")
        return value

    def options(self) -> dict[str, Any]:
        """Return the options of every run, by the keywords of `fcnbench.run`."""
        options: dict[str, Any] = {}
        for name, value in self.table("options").items():
            where = f"the sweep {self.path}: options.{name}"
            option = find_option(name, sweep_options(), where)
            if option.name in options:
                raise UsageError(f"{where} sets an option twice", "write it once")
            options[option.name] = option.accept(value, where)
        return options

    def refuse_unknown(self, names: Iterable[str], known: tuple[str, ...], where: str) -> None:
        """Raise an error for the first name that is not known."""
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                raise self.error(f"{where}{name} is unknown", hint)

    def error(self, text: str, hint: str) -> UsageError:
        """Return the error for a mistake in the file."""
        return UsageError(f"the sweep {self.path}: {text}", hint)


def read_sweep(path: str | Path) -> Sweep:
    r"""Read a sweep's TOML file.

    The file has the lists `models`, `datasets` and, if not only fp32 is wanted, `precisions`. Optional tables are
    `[weights]` by model, `[from]` by dataset, and `[options]` with other options of `fcnbench.run`. Paths are relative
    to the working directory.

    Raises:
        UsageError: the file can't be read, or holds something unknown.

    >>> from pathlib import Path
    >>> _ = Path("small.toml").write_text('models = ["fcn8s-pocket", "fcn32s-pocket"]\ndatasets = ["pocket"]')
    >>> [cell.name for cell in read_sweep("small.toml").cells]
    ['fcn8s-pocket on pocket in fp32', 'fcn32s-pocket on pocket in fp32']
    """
    place = user_path(path, "the sweep")
    try:
        file = _File(place, tomllib.loads(read_text(place)))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the sweep {place} can't be read: {reason}", f"write TOML like\n{_EXAMPLE}") from error
    file.refuse_unknown(file.content, (*_LISTS, *_TABLES), "")
    models, datasets, precisions = (file.names(name) for name in _LISTS)
    if not models or not datasets:
        raise UsageError(f"the sweep {place} names no models or no datasets", f"write\n{_EXAMPLE}")
    options, weights, sources = file.options(), file.table("weights", models), file.table("from", datasets)
    file.refuse_unknown(precisions, PRECISIONS, "precisions: ")
    return Sweep(
        place.stem,
        tuple(
            Cell(model, dataset, precision, weights.get(model), sources.get(dataset), options)
            for dataset, model, precision in product(datasets, models, precisions or PRECISIONS[:1])
        ),
    )
