"""What a drift check leaves: text, Markdown for a summary, JUnit XML for a CI server, GitHub's annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from fcnbench.comparison.compare import ClassMove
from fcnbench.comparison.drift import Verdict
from fcnbench.util import files

_MOST = 10
"""Classes and images that are named; `--json` has all."""

_MARKS = {"identical": "✅", "numerical": "☑️", "drift": "❌"}


def text(verdict: Verdict) -> str:
    """For a terminal."""
    lines = [verdict.headline(), *(f"  {reason}" for reason in verdict.reasons)]
    if verdict.ties:
        lines.append(f"  {verdict.ties}")
    found = verdict.comparison
    if found is not None and found.flips:
        lines += [f"  {name}  {found.before[name]:.6f} -> {found.after[name]:.6f}" for name in found.before]
        lines += [f"  class {_class(each)}" for each in _classes(verdict)]
        lines += [f"  image {each.id}: {each.flips:,} pixels" for each in found.moved[:_MOST]]
    return "\n".join(lines)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """For a pull request's summary."""
    parts = ["# fcnbench: drift check\n"]
    for verdict in verdicts:
        parts.append(f"## {_MARKS[verdict.kind]} {verdict.headline()}\n\n`{verdict.signature}`\n")
        parts += [f"- {reason}" for reason in verdict.reasons]
        parts += [f"- {verdict.ties}"] if verdict.ties else []
        found = verdict.comparison
        if found is None or not found.flips:
            continue
        rows = [
            (
                name,
                f"{found.before[name]:.6f}",
                f"{found.after[name]:.6f}",
                f"{found.after[name] - found.before[name]:+.6f}",
            )
            for name in found.before
        ]
        parts.append(_table(("metric", "baseline", "now", "moved"), rows))
        moves = [(each.name, _iu(each.before), _iu(each.after), f"{each.moved:+.6f}") for each in _classes(verdict)]
        parts.append(_table(("class", "IU before", "IU now", "moved"), moves))
        images = [(each.id, f"{each.flips:,}", f"{each.after - each.before:+,}") for each in found.moved[:_MOST]]
        parts.append(_table(("image", "changed pixels", "right pixels"), images))
        layers = [(layer.name, layer.state, layer.text) for layer in found.layers]
        parts.append(_table(("layer", "", ""), layers))
    return "\n".join(parts) + "\n"


def junit(verdicts: Sequence[Verdict]) -> bytes:
    """For a CI server: a suite a run, a case for the verdict, each metric and each class."""
    suites = _element(None, "testsuites", name="fcnbench check")
    for verdict in verdicts:
        cases = [("verdict", "" if verdict.passed else "; ".join(verdict.reasons)), *_cases(verdict)]
        failed = sum(bool(message) for _, message in cases)
        counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
        suite = _element(suites, "testsuite", name=f"{verdict.model} on {verdict.dataset}", **counts)
        for name, message in cases:
            case = _element(suite, "testcase", classname=f"fcnbench.{verdict.model}", name=name, time="0")
            if message:
                _element(case, "failure", message=message).text = _printable(text(verdict))
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _element(parent: ElementTree.Element | None, tag: str, **attributes: str) -> ElementTree.Element:
    """An XML element below its parent, its attributes without what XML can't hold."""
    printable = {name: _printable(value) for name, value in attributes.items()}
    return ElementTree.Element(tag, printable) if parent is None else ElementTree.SubElement(parent, tag, printable)


def github_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """GitHub's workflow commands: an error for drift, a notice for noise."""
    lines = []
    for verdict in verdicts:
        if verdict.kind != "identical":
            level = "notice" if verdict.passed else "error"
            title = _escaped(f"fcnbench: {verdict.model} on {verdict.dataset}").replace(":", "%3A").replace(",", "%2C")
            lines.append(f"::{level} title={title}::{_escaped(text(verdict))}")
    return lines


def write(verdicts: Sequence[Verdict], markdown_path: Path | None, junit_path: Path | None) -> None:
    """Write the files that were asked for.

    Raises:
        OutputError: one could not be written.
    """
    if markdown_path is not None:
        files.write_bytes(markdown_path, markdown(verdicts).encode())
    if junit_path is not None:
        files.write_bytes(junit_path, junit(verdicts))


def _cases(verdict: Verdict) -> list[tuple[str, str]]:
    """Every metric and class with what is wrong with it; only drift is wrong."""
    found = verdict.comparison
    if found is None:
        return []
    allowed = verdict.allowance.tolerance or 0.0
    metrics = [(name, found.before[name], found.after[name]) for name in found.before]
    classes = [(f"IU of {each.name}", each.before or 0.0, each.after or 0.0) for each in found.classes]
    return [
        (name, f"{before:.6f} -> {after:.6f}" if not verdict.passed and abs(after - before) > allowed else "")
        for name, before, after in [*metrics, *classes]
    ]


def _classes(verdict: Verdict) -> list[ClassMove]:
    found = verdict.comparison
    return [each for each in found.classes if each.moved][:_MOST] if found is not None else []


def _class(each: ClassMove) -> str:
    return f"{each.name}: IU {_iu(each.before)} -> {_iu(each.after)}"


def _iu(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"


def _table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headers, ("---",) * len(headers), *rows]
    return (
        "\n"
        + "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
        + "\n"
    )


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _printable(message: str) -> str:
    """Without the control characters that XML can't hold."""
    return "".join(each for each in message if each.isprintable() or each in "\n\t")
