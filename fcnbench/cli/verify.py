"""`fcnbench verify`: check submissions, and print the findings."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed

if TYPE_CHECKING:
    from fcnbench.leaderboard.verification import Verification


def execute(options: argparse.Namespace) -> int:
    """Verify, and print the findings; return exit code 1 if anything is wrong."""
    from pathlib import Path

    from fcnbench.api.submit import verify
    from fcnbench.records.location import VERIFICATION_NAME
    from fcnbench.util import files

    verifications = verify(**arguments(options))
    sound = all(each.sound for each in verifications)
    if options.markdown is not None:
        files.write_bytes(Path(options.markdown).expanduser(), _markdown(verifications).encode())
    if options.json:
        print_json({"sound": sound, "submissions": [as_json(each) for each in verifications]})
    else:
        print("\n\n".join(text(each) for each in verifications))
        written = []
        if options.write:
            written += [f"findings  {each.path.with_name(VERIFICATION_NAME)}" for each in verifications]
            written += ["boards show new tiers after `fcnbench board build`"]
        if options.markdown is not None:
            written += [f"markdown  {options.markdown}"]
        print(*(["", *written] if written else []), sep="\n", end="\n" * bool(written))
    return 0 if sound else CheckFailed.exit_code


def text(verification: Verification) -> str:
    """Return a submission and its findings as text."""
    lines = [f"{_name(verification)}: {verification.tier}"]
    lines += [f"{'ok    ' if each.sound else 'WRONG '}  {each.subject}: {each.text}" for each in verification.findings]
    return "\n".join(lines)


def as_json(verification: Verification) -> dict[str, Any]:
    """Return a submission and its findings as JSON values."""
    findings = [asdict(finding) for finding in verification.findings]
    return {
        "record": str(verification.path),
        "sound": verification.sound,
        "tier": verification.tier,
        "findings": findings,
    }


def _markdown(verifications: list[Verification]) -> str:
    parts = ["# fcnbench: submissions\n"]
    for each in verifications:
        mark = "✅" if each.sound else "❌"
        parts.append(f"## {mark} {_harmless(_name(each))}: {each.tier}\n")
        parts.append("| | | |\n| --- | --- | --- |")
        for finding in each.findings:
            said = _harmless(finding.text)
            parts.append(f"| {'✅' if finding.sound else '❌'} | {finding.subject} | {said} |")
        parts.append("")
    return "\n".join(parts)


def _harmless(text: str) -> str:
    """Return text from strangers with its markup, links and mentions escaped."""
    plain = escape(" ".join(text.split()))
    return "".join(f"&#{ord(letter)};" if letter in "|@*`[]~\\" else letter for letter in plain)


def _name(verification: Verification) -> str:
    return "/".join(verification.path.parent.parts[-3:])
