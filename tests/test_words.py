"""One word per thing, the field's: words that the project has left behind do not come back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.freeze import GOLDEN

ROOTS = ("fcnbench", "benchmarks", "examples", "tests", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Where the words are looked for."""

KINDS = {".py", ".md", ".toml", ".json", ".html", ".css", ".js", ".svg", ".txt", ".j2"}
THIS = Path(__file__)

WORDS = {
    "image, not picture": r"(?i)picture",
    "again, or recompute, not anew": r"(?i)\banew\b",
    "broadcast or all-gather, not rollcall": r"(?i)\broll[ _-]?call",
    "ground truth or label map, not truth map": r"(?i)truth[ _-]map",
    "is not a, not is no": r"(?i)(?<!\bthere )(?<!\bwhere )\b(is|are) no (?!(longer|more|less|later|one|other)\b)",
    "describe or format, not told": r"(?i)\btold\b",
    "a noun, not Look": r"\bclass Look\b",
    "dataset, not data set": r"(?i)\bdata[ _-]sets?\b",
}

ALLOWED = {
    "image, not picture": (
        r'"--pictures"',  # the older name of an option
        r'_RENAMED = \{"pictures": "images"\}',  # the older name of a key of manifests, upgraded when read
        r'"pictures" (if|not in) |`pictures`.* `images`',  # its tests and its documentation
        r"terms = |\"terms\": ",  # terms as users accepted them: another text would ask for consent again
        r'"picture",|^picture$',  # a class of NYU Depth V2 and PASCAL-Context
    ),
}
"""What may stay: names in files that older versions wrote, accepted terms, and names of classes."""

FROZEN = ("tests/golden",)
"""Output as it was; its own test compares it."""


def texts() -> list[Path]:
    """Return the files whose words are checked."""
    found = []
    for root in (REPOSITORY / name for name in ROOTS):
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        found += [path for path in files if path.is_file() and path.suffix in KINDS and path != THIS]
    return [path for path in found if not path.relative_to(REPOSITORY).as_posix().startswith(FROZEN)]


def hits(rule: str, text: str) -> list[int]:
    """Return the numbers of the lines that break a rule."""
    allowed = ALLOWED.get(rule, ())
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(WORDS[rule], line) and not any(re.search(each, line) for each in allowed)
    ]


@pytest.mark.parametrize("rule", WORDS)
def test_the_fields_words_are_used(rule: str) -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY).as_posix()}:{number}"
        for path in texts()
        for number in hits(rule, path.read_text(encoding="utf-8"))
    ]
    assert not wrong, f"{rule}: {', '.join(wrong)}"


def test_files_are_checked() -> None:
    assert len(texts()) > 300
    assert {path.relative_to(REPOSITORY).parts[0] for path in texts()} == set(ROOTS)


def keys(content: object) -> set[str]:
    """Return the names that JSON objects have at any depth."""
    if isinstance(content, dict):
        return set(content).union(*map(keys, content.values()))
    return set().union(*map(keys, content)) if isinstance(content, list) else set()


@pytest.mark.parametrize("rule", WORDS)
def test_the_keys_of_json_are_the_fields_words(rule: str) -> None:
    found = {
        key
        for path in sorted((GOLDEN / "json").glob("*.json"))
        for key in keys(json.loads(path.read_text(encoding="utf-8")))
    } | keys(json.loads((GOLDEN / "formats/keys.json").read_text(encoding="utf-8")))
    assert {"images", "confusion"} <= found
    assert [key for key in sorted(found) if hits(rule, key)] == []


@pytest.mark.parametrize(
    "text",
    [
        "there is no board",
        "it is no longer there",
        "is no more than 3",
        "where there are no images",
        "it retold nothing",
    ],
)
def test_ordinary_sentences_pass(text: str) -> None:
    assert [rule for rule in WORDS if hits(rule, text)] == []


@pytest.mark.parametrize(
    "text", ["x is no class", "these are no numbers", "a Data Set", "truth_map", "Pictures", "roll call"]
)
def test_left_words_are_seen(text: str) -> None:
    assert [rule for rule in WORDS if hits(rule, text)]
