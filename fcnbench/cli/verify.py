"""`fcnbench verify`: does a submission hold what it says?"""

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
    """Verify, and print what was found; exit code 1 if anything is wrong."""
    from pathlib import Path

    from fcnbench.api.submit import verify
    from fcnbench.records.location import VERIFICATION_NAME
    from fcnbench.util import files

    found = verify(**arguments(options))
    sound = all(each.sound for each in found)
    if options.markdown is not None:
        files.write_bytes(Path(options.markdown).expanduser(), _markdown(found).encode())
    if options.json:
        print_json({"sound": sound, "submissions": [as_json(each) for each in found]})
    else:
        print("\n\n".join(text(each) for each in found))
        written = [] if not options.write else [f"findings  {each.path.with_name(VERIFICATION_NAME)}" for each in found]
        written += [] if not options.write else ["boards show new tiers after `fcnbench board build`"]
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
