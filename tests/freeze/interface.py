"""The public Python API: names, signatures, errors, and what the functions return."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np

import fcnbench
from tests.freeze.masks import dumped
from tests.freeze.session import Session


def interface_files(session: Session, runs: dict[str, str]) -> dict[str, str]:
    """Return the golden files of the Python API."""
    names = {name: _described(getattr(fcnbench, name)) for name in sorted(fcnbench.__all__)}
    errors = {kind.__name__: _error(kind) for kind in _kinds(fcnbench.FcnbenchError)}
    returned = {name: _parts(value) for name, value in sorted(_returned(runs).items())}
    return {
        "api/names.json": dumped(names),
        "api/errors.json": dumped(dict(sorted(errors.items()))),
        "api/returned.json": dumped(returned),
        "api/numbers.json": dumped(_numbers()),
    }


def _described(found: object) -> Any:
    if isinstance(found, type):
        members = {name: inspect.getattr_static(found, name) for name in dir(found) if _own(found, name)}
        return {
            "class": [base.__name__ for base in found.__mro__[1:-1]],
            "call": "" if getattr(found, "_is_protocol", False) else _signature(found),
            "members": {name: _member(value) for name, value in members.items()},
        }
    return _signature(found) if callable(found) else type(found).__name__


def _own(found: type, name: str) -> bool:
    """Whether a member is public, and not of Python's own classes."""
    owner = next(base for base in found.__mro__ if name in base.__dict__)
    return not name.startswith("_") and owner.__module__.partition(".")[0] == "fcnbench"


def _member(value: Any) -> str:
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__} {_signature(value.__func__)}"
    return _signature(value) if inspect.isfunction(value) else "attribute"


def _signature(found: Any) -> str:
    """Return parameters with their kinds, annotations as written, and defaults, the same in every Python."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return "()"
    parts, keywords = [], False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not keywords:
            parts.append("*")
        keywords = keywords or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        kind = "" if each.annotation is each.empty else f": {_annotation(each.annotation)}"
        parts.append(f"{stars}{each.name}{kind}{'' if each.default is each.empty else f' = {each.default!r}'}")
    back = getattr(found, "__annotations__", {}).get("return") if inspect.isfunction(found) else None
    return f"({', '.join(parts)})" + ("" if back is None else f" -> {_annotation(back)}")


def _annotation(found: Any) -> str:
    return found if isinstance(found, str) else getattr(found, "__name__", str(found))


def _kinds(kind: type) -> list[type]:
    """Return an error class and all below it that are fcnbench's own."""
    below = [each for sub in kind.__subclasses__() for each in _kinds(sub)]
    return [each for each in (kind, *below) if each.__module__.partition(".")[0] == "fcnbench"]


def _error(kind: Any) -> dict[str, Any]:
    return {"exit_code": kind.exit_code, "bases": [base.__name__ for base in kind.__bases__]}


def _parts(value: Any) -> Any:
    """Return the public attributes of a value with the names of their types."""
    if isinstance(value, list):
        return [_parts(value[0])] if value else []
    if type(value).__module__.partition(".")[0] != "fcnbench":
        return "Path" if isinstance(value, Path) else type(value).__name__
    names = [name for name in dir(value) if not name.startswith("_")]
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    kinds = {name: "field" if name in fields else _kind(value, name) for name in names}
    return {type(value).__name__: kinds}


def _kind(value: Any, name: str) -> str:
    found = inspect.getattr_static(value, name)
    return "method" if inspect.isfunction(found) or isinstance(found, classmethod | staticmethod) else "attribute"


def _returned(runs: dict[str, str]) -> dict[str, Any]:
    coarse, fine = runs["coarse"], runs["fine"]
    run = fcnbench.run("oracle-perfect", "pocket", limit=1, board="api")
    check = fcnbench.check(coarse, record=fine)
    verified = fcnbench.verify(coarse, write=False)
    comparison = fcnbench.compare(coarse, fine)
    data = fcnbench.load_dataset("pocket")
    examined = fcnbench.examine("pocket")
    swept = fcnbench.read_sweep("sweep.toml")
    record = fcnbench.score(record=coarse)
    return {
        "run": run,
        "run().record": run.record,
        "run().record.model": run.record.model,
        "run().record.evaluation": run.record.evaluation,
        "run().record.environment": run.record.environment,
        "run().record.protocol": run.record.protocol,
        "score(record=...)": record,
        "check": check,
        "check().verdicts": check.verdicts,
        "compare": comparison,
        "compare().classes": list(comparison.classes),
        "compare().moved": list(comparison.moved),
        "lens": fcnbench.lens(coarse),
        "verify": verified,
        "verify()[0].findings": list(verified[0].findings),
        "fetch": fcnbench.fetch("pocket"),
        "load_dataset": data,
        "load_dataset()[0]": data[0],
        "load_dataset().manifest": data.manifest,
        "load_model": fcnbench.load_model("fcn32s-pocket"),
        "examine": examined,
        "examine().classes": list(examined.classes),
        "plan": fcnbench.plan("fcn8s", "voc2011val"),
        "read_sweep": swept,
        "read_board": fcnbench.read_board(Path("exact/leaderboards/v1/pocket.csv")),
        "board": fcnbench.board("exact"),
        "verify_boards": fcnbench.verify_boards("exact"),
        "list_models": fcnbench.list_models(),
        "list_datasets": fcnbench.list_datasets(),
        "scores": fcnbench.scores(np.eye(3, dtype=np.int64)),
    }


def _numbers() -> dict[str, Any]:
    """Return integers and scores of label maps that are written down by a rule."""
    index = np.arange(60 * 70).reshape(60, 70)
    ground_truth = (index * 7 % 11).astype(np.uint8)
    ground_truth[ground_truth > 3] = 255
    prediction = (index * 5 % 13 % 6).astype(np.uint8)
    matrix = fcnbench.confusion_matrix(ground_truth, prediction, 6)
    found: dict[str, Any] = {"confusion_matrix": matrix.tolist(), "dtype": str(matrix.dtype)}
    for absent in ("gt", "union"):
        scores = fcnbench.scores(matrix, absent)
        found[absent] = {name: float(f"{value:.10g}") for name, value in scores.as_dict().items()}
    return found
