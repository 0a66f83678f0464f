"""Extension of Griffe: an example in a docstring, a block of lines from `>>>` on, is a block of code."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:\A|(?<=\n\n))>>> .*?(?=\n\s*\n|\Z)", re.DOTALL)


class Examples(griffe.Extension):
    """Put the examples of docstrings between fences."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
