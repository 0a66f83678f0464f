"""One word per thing, the field's: words that the project has left behind do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

ROOTS = ("fcnbench", "tests", "docs", "README.md", "CONTRIBUTING.md")
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
        r'"pictures"',  # a key of manifests and of the JSON of `fetch`
        r"terms = |\"terms\": ",  # the words of those who publish the data
        r'"picture",|^picture$',  # a class of NYU Depth V2 and PASCAL-Context
    ),
}
"""What may stay: names in files that older versions wrote, and other people's words."""

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
