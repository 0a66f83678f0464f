"""Reports of a drift check: text for a terminal, Markdown, JUnit XML and GitHub's workflow commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from fcnbench.comparison.compare import ClassMove, Comparison
from fcnbench.comparison.drift import Verdict
from fcnbench.util import files

_MOST = 10
"""Classes and images that are listed; `--json` has all."""

_MARKS = {"identical": "✅", "numerical": "☑️", "drift": "❌"}


def text(verdict: Verdict) -> str:
    """Format a verdict for a terminal."""
    lines = [verdict.headline(), *(f"  {reason}" for reason in verdict.reasons)]
    if verdict.ties:
        lines.append(f"  {verdict.ties}")
    comparison = verdict.comparison
    if comparison is not None and comparison.flips:
        lines += [
            f"  {name}  {comparison.before[name]:.6f} -> {comparison.after[name]:.6f}" for name in comparison.before
        ]
        lines += [f"  class {_class(move)}" for move in _moved_classes(comparison)]
        lines += [f"  image {move.id}: {move.flips:,} pixels" for move in comparison.moved[:_MOST]]
    return "\n".join(lines)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """Format verdicts as Markdown, for the summary of a pull request."""
    parts = ["# fcnbench: drift check\n"]
    for verdict in verdicts:
        parts.append(f"## {_MARKS[verdict.kind]} {verdict.headline()}\n\n`{verdict.signature}`\n")
        parts += [f"- {reason}" for reason in verdict.reasons]
        parts += [f"- {verdict.ties}"] if verdict.ties else []
        if verdict.comparison is not None and verdict.comparison.flips:
            parts += _tables(verdict.comparison)
    return "\n".join(parts) + "\n"


def _tables(comparison: Comparison) -> list[str]:
    """Return the Markdown tables of metrics, classes, images and layers."""
    metrics = [
        (name, f"{before:.6f}", f"{after:.6f}", f"{after - before:+.6f}")
        for name, before, after in (
            (name, comparison.before[name], comparison.after[name]) for name in comparison.before
        )
    ]
    classes = [
        (move.name, _iu(move.before), _iu(move.after), f"{move.moved:+.6f}") for move in _moved_classes(comparison)
    ]
    images = [(move.id, f"{move.flips:,}", f"{move.after - move.before:+,}") for move in comparison.moved[:_MOST]]
    layers = [(layer.name, layer.state, layer.text) for layer in comparison.layers]
    return [
        _table(("metric", "baseline", "now", "moved"), metrics),
        _table(("class", "IU before", "IU now", "moved"), classes),
        _table(("image", "changed pixels", "right pixels"), images),
        _table(("layer", "", ""), layers),
    ]


def junit(verdicts: Sequence[Verdict]) -> bytes:
    """Format verdicts as JUnit XML: one suite per run, with cases for the verdict, each metric and each class."""
    suites = _element(None, "testsuites", name="fcnbench check")
    for verdict in verdicts:
        cases = [_Case("verdict", "" if verdict.passed else "; ".join(verdict.reasons)), *_cases(verdict)]
        failed = sum(bool(case.failure) for case in cases)
        counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
        suite = _element(suites, "testsuite", name=f"{verdict.model} on {verdict.dataset}", **counts)
        for case in cases:
            element = _element(suite, "testcase", classname=f"fcnbench.{verdict.model}", name=case.name, time="0")
            if case.failure:
                _element(element, "failure", message=case.failure).text = _printable(text(verdict))
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def github_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return GitHub's workflow commands: an error for drift, a notice for numerical noise."""
    lines = []
    for verdict in verdicts:
        if verdict.kind != "identical":
            level = "notice" if verdict.passed else "error"
            title = _escaped(f"fcnbench: {verdict.model} on {verdict.dataset}").replace(":", "%3A").replace(",", "%2C")
            lines.append(f"::{level} title={title}::{_escaped(text(verdict))}")
    return lines


def write(verdicts: Sequence[Verdict], markdown_path: Path | None, junit_path: Path | None) -> None:
    """Write the reports whose paths are given.

    Raises:
        OutputError: a file could not be written.
    """
    if markdown_path is not None:
        files.write_bytes(markdown_path, markdown(verdicts).encode())
    if junit_path is not None:
        files.write_bytes(junit_path, junit(verdicts))


@dataclass(frozen=True)
class _Case:
    """One JUnit test case; `failure` is empty where it passed."""

    name: str
    failure: str


def _cases(verdict: Verdict) -> list[_Case]:
    """Return one case per metric and class; a case fails only where the verdict is drift and the value moved."""
    comparison = verdict.comparison
    if comparison is None:
        return []
    allowed = verdict.allowance.tolerance or 0.0
    values = [(name, comparison.before[name], comparison.after[name]) for name in comparison.before]
    values += [(f"IU of {move.name}", move.before or 0.0, move.after or 0.0) for move in comparison.classes]
    return [
        _Case(name, f"{before:.6f} -> {after:.6f}" if not verdict.passed and abs(after - before) > allowed else "")
        for name, before, after in values
    ]


def _element(parent: ElementTree.Element | None, tag: str, **attributes: str) -> ElementTree.Element:
    """Add an XML element below its parent, without the characters that XML can't hold."""
    printable = {name: _printable(value) for name, value in attributes.items()}
    return ElementTree.Element(tag, printable) if parent is None else ElementTree.SubElement(parent, tag, printable)


def _moved_classes(comparison: Comparison) -> list[ClassMove]:
    return [move for move in comparison.classes if move.moved][:_MOST]


def _class(move: ClassMove) -> str:
    return f"{move.name}: IU {_iu(move.before)} -> {_iu(move.after)}"


def _iu(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"


def _table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headers, ("---",) * len(headers), *rows]
    cells = [" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines]
    return "\n" + "\n".join(f"| {line} |" for line in cells) + "\n"


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _printable(message: str) -> str:
    """Remove the control characters that XML can't hold."""
    return "".join(letter for letter in message if letter.isprintable() or letter in "\n\t")
