"""Downloads as text before they start: files, sizes, addresses, digests, terms; and the question for consent."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fcnbench.util.console import size_text

if TYPE_CHECKING:
    from fcnbench.api.plan import Plan
    from fcnbench.util.archive import Archive
    from fcnbench.util.consent import Download, Question


def question() -> Question | None:
    """Return how the person at the terminal is asked for consent; None where nobody is there to answer."""
    # Of several processes that share a run, none could ask for all.
    if os.environ.get("WORLD_SIZE", "1") != "1" or sys.stdin is None or not sys.stdin.isatty():
        return None
    return _ask if sys.stderr is not None and sys.stderr.isatty() else None


def _ask(downloads: Sequence[Download]) -> bool:
    """Show downloads on standard error, and read `y` or `n`; anything but a yes is a no."""
    print(f"To download, {_total(downloads)}:", *map(_brief, downloads), sep="\n", file=sys.stderr)
    print("Download, and accept these terms? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # the end of input, typed as Ctrl-D
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _brief(download: Download) -> str:
    """Return the lines that are needed to agree."""
    archive = download.archive
    more = f" or {len(archive.urls) - 1} mirrors" if len(archive.urls) > 1 else ""
    return (
        f"  {archive.file}  {_size(archive)}, {download.purpose}\n"
        f"    from   {archive.urls[0]}{more}\n    terms  {archive.terms}"
    )


def describe_plan(plan: Plan) -> str:
    """Format what a run would use, download and write."""
    with_weights = f" with {plan.weights}" if plan.weights is not None else ""
    lines = [f"{plan.model}{with_weights} on {plan.dataset}, results in {plan.results}"]
    if not plan.downloads:
        return "\n".join([*lines, "nothing to download"])
    lines += ["", f"To download, {_total(plan.downloads)}:"]
    for download in plan.downloads:
        lines += ["", *_whole(download)]
    if plan.fallbacks:
        lines += ["", f"If no mirror gives the archive, {', '.join(plan.fallbacks)} is tried."]
    return "\n".join(lines)


def _whole(download: Download) -> list[str]:
    """Return everything about a download as lines."""
    archive = download.archive
    digests = [f"    {name:<6} {digest}" for name, digest in archive.digests.items()]
    return [
        f"  {archive.file}  {_size(archive)}, {download.purpose}",
        f"    to     {download.folder / archive.file}",
        *(f"    {'from' if url == archive.urls[0] else 'or':<6} {url}" for url in archive.urls),
        *(digests or ["    digest none was published: what is made of it is marked unverified"]),
        f"    terms  {archive.terms}",
        f"    cite   {archive.citation}",
    ]


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    from fcnbench.util import paths

    return {
        "model": plan.model,
        "weights": plan.weights,
        "dataset": plan.dataset,
        "downloads": [
            {
                "file": download.archive.file,
                "purpose": download.purpose,
                "to": str(download.folder / download.archive.file),
                "size": download.archive.size,
                "approximate_size": download.archive.likely_size,
                "urls": list(download.archive.urls),
                "digests": dict(download.archive.digests),
                "terms": download.archive.terms,
                "citation": download.archive.citation,
            }
            for download in plan.downloads
        ],
        "fallbacks": list(plan.fallbacks),
        "results": str(plan.results),
        "home": str(paths.home()),
    }


def _size(archive: Archive) -> str:
    """Return an archive's size, and how well it is known."""
    if archive.size is not None:
        return size_text(archive.size)
    return "size not published" if archive.likely_size is None else f"about {size_text(archive.likely_size)}"


def _total(downloads: Sequence[Download]) -> str:
    """Return the sizes of all downloads together, and how well they are known."""
    sizes = [download.archive.likely_size for download in downloads]
    known = sum(size for size in sizes if size is not None)
    files = f"{len(downloads)} file{'s' if len(downloads) > 1 else ''}"
    if None in sizes:
        return f"{files}, more than {size_text(known)}" if known else f"{files} of unpublished size"
    about = "" if all(download.archive.size is not None for download in downloads) else "about "
    return f"{files}, {about}{size_text(known)}"
