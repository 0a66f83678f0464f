"""Hook of MkDocs: the README is the first page, and links to other files of the repository lead to GitHub."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
"""A link of Markdown to a file: its path and its anchor."""

FORMULA = re.compile(r"^(?! {4})[^`\n]*\w\[\w\]\[\w\][^`\n]*$", re.MULTILINE)
"""A line of prose with elements of a matrix, which Markdown would take for links."""

SECTIONS = ("decisions",)
"""Folders of `docs` whose pages are listed by name, so that a new one needs no entry in `mkdocs.yml`."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the folders to the navigation."""
    for folder in SECTIONS:
        pages = sorted(path.name for path in (ROOT / "docs" / folder).glob("*.md"))
        config.nav.append({folder.capitalize(): [f"{folder}/{name}" for name in pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README as the first page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page: they are relative to its file in the repository."""
    folder = "" if page.file.src_uri == "index.md" else posixpath.dirname(f"docs/{page.file.src_uri}")

    def target(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        anchor = match[2] or ""
        if path == "README.md":
            path = "docs/index.md"
        if path.startswith("docs/"):
            here = posixpath.dirname(page.file.src_uri)
            return posixpath.relpath(path.removeprefix("docs/"), here or ".") + anchor
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{config.repo_url}/{kind}/main/{path}{anchor}"

    markdown = FORMULA.sub(lambda line: line[0].replace("][", "]\\["), markdown)
    return LINK.sub(target, markdown)
