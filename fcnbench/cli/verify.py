"""`fcnbench verify`: does a submission hold what it says?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from fcnbench.cli.command import Command, add_data, add_json, add_rerun, print_json
from fcnbench.errors import CheckFailed

if TYPE_CHECKING:
    from fcnbench.leaderboard.verification import Verification


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench verify`."""
    parser.add_argument("path", metavar="PATH", help="a record.json, its folder, or a folder of submissions")
    parser.add_argument("--rerun", action="store_true", help="run the model again, and compare")
    add_rerun(parser)
    parser.add_argument("--dry", action="store_true", help="write no verification.json")
    parser.add_argument("--markdown", metavar="FILE", help="write the findings there, for a comment")
    add_data(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Verify, and print what was found; exit code 1 if anything is wrong."""
    from pathlib import Path

    from fcnbench.api.submit import verify
    from fcnbench.records.location import VERIFICATION_NAME
    from fcnbench.util import files

    found = verify(
        options.path,
        rerun=options.rerun,
        weights=options.weights,
        from_=options.from_,
        allow_partial=options.allow_partial,
        accept_terms=options.accept_terms,
        device=options.device,
        budget=options.budget,
        tolerance=options.tolerance,
        write=not options.dry,
    )
    sound = all(each.sound for each in found)
    if options.markdown is not None:
        files.write_bytes(Path(options.markdown).expanduser(), _markdown(found).encode())
    if options.json:
        print_json({"sound": sound, "submissions": [as_json(each) for each in found]})
    else:
        print("\n\n".join(text(each) for each in found))
        written = [] if options.dry else [f"findings  {each.path.with_name(VERIFICATION_NAME)}" for each in found]
        written += [] if options.dry else ["boards show new tiers after `fcnbench board build`"]
        written += [] if options.markdown is None else [f"markdown  {options.markdown}"]
        print(*(["", *written] if written else []), sep="\n", end="\n" * bool(written))
    return 0 if sound else CheckFailed.exit_code


def text(found: Verification) -> str:
    """A submission and what was found about it."""
    lines = [f"{_name(found)}: {found.tier}"]
    lines += [f"{'ok    ' if each.sound else 'WRONG '}  {each.subject}: {each.text}" for each in found.findings]
    return "\n".join(lines)


def as_json(found: Verification) -> dict[str, Any]:
    """The same as JSON values."""
    findings = [asdict(finding) for finding in found.findings]
    return {"record": str(found.path), "sound": found.sound, "tier": found.tier, "findings": findings}


def _markdown(found: list[Verification]) -> str:
    parts = ["# fcnbench: submissions\n"]
    for each in found:
        mark = "✅" if each.sound else "❌"
        parts.append(f"## {mark} {_harmless(_name(each))}: {each.tier}\n")
        parts.append("| | | |\n| --- | --- | --- |")
        for finding in each.findings:
            said = _harmless(finding.text)
            parts.append(f"| {'✅' if finding.sound else '❌'} | {finding.subject} | {said} |")
        parts.append("")
    return "\n".join(parts)


def _harmless(text: str) -> str:
    """Text from strangers that neither marks up, nor links, nor calls anybody in a comment."""
    plain = escape(" ".join(text.split()))
    return "".join(f"&#{ord(letter)};" if letter in "|@*`[]~\\" else letter for letter in plain)


def _name(found: Verification) -> str:
    return "/".join(found.path.parent.parts[-3:])


COMMAND = Command("verify", "check a submission, and raise its tier", add_options, execute)
