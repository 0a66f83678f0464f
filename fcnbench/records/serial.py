"""Between dataclasses and JSON files: dataclasses are the schema, msgspec checks and converts.

A field whose default is None is left out where it is None, so that a later version can add fields without changing the
files of those who do not use them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

from fcnbench.util.text import unique_keys

T = TypeVar("T")

_LONGEST = 300
"""Characters of a validator's message: it may quote a whole object."""


def to_json(value: Any) -> Any:
    """Return a dataclass as JSON values: dicts, lists, numbers, text and None.

    >>> from fcnbench.records.evaluation import Summary
    >>> to_json(Summary(1.0, 2.0, 3.0, 1.5))
    {'median': 1.0, 'p90': 2.0, 'p99': 3.0, 'mean': 1.5}
    """
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((each, getattr(value, each.name)) for each in fields(value))
        return {each.name: to_json(found) for each, found in pairs if not (found is None and each.default is None)}
    if isinstance(value, Mapping):
        return {str(name): to_json(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(found) for found in value]
    return value


def from_json(content: Any, kind: type[T]) -> T:
    """Return JSON values as a dataclass.

    Args:
        content: dicts, lists, numbers, text and None.
        kind: the dataclass.

    Raises:
        ValueError: they are something else; the sentence says where.
    """
    try:
        value = msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)[:_LONGEST]) from error
    if (where := _unknown(content, value)) is not None:
        raise ValueError(f"unknown field {where}: a newer fcnbench may have written it")
    return value


def parse(text: str) -> Any:
    """Return the JSON values of a text; NaN, infinities, a key that occurs twice and half a character are refused.

    Raises:
        ValueError: it is not JSON, or two readers may understand it in two ways.
        RecursionError: it is nested too deeply.

    >>> parse('{"mean_iu": 0.9, "mean_iu": 0.1}')
    Traceback (most recent call last):
        ...
    ValueError: the key 'mean_iu' occurs twice
    """
    content = json.loads(text, parse_constant=_no_constant, object_pairs_hook=unique_keys)
    if "\\u" in text:
        # An escaped half of a surrogate pair is a text that no file, page or board can hold.
        json.dumps(content, ensure_ascii=False).encode()
    return content


def schema_of(kind: type, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass; every object of it is closed."""
    schema = msgspec.json.schema(kind)
    for definition in schema.get("$defs", {}).values():
        if definition.get("type") == "object" and "properties" in definition:
            definition["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _unknown(given: Any, understood: Any) -> str | None:
    """Return the path of the first field that was given and not understood; None where there is none."""
    if isinstance(given, dict):
        known = understood if isinstance(understood, Mapping) else vars(understood)
        for name, value in given.items():
            if name not in known:
                return str(name)
            if isinstance(value, dict | list) and (deeper := _unknown(value, known[name])) is not None:
                return f"{name}{deeper}" if deeper.startswith("[") else f"{name}.{deeper}"
    elif given and isinstance(given[0], dict | list):  # the items of a list are of one kind
        for index, (one, other) in enumerate(zip(given, understood, strict=True)):
            if (deeper := _unknown(one, other)) is not None:
                return f"[{index}]{deeper}" if deeper.startswith("[") else f"[{index}].{deeper}"
    return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
