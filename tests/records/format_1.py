"""A record of format 1."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fcnbench.records.files import MATRICES_NAME, RECORD_NAME

Content = dict[str, Any]

FORMAT_1 = Path(__file__).parent / "format-1"
"""A record that the code of format 1 wrote, with everything that it could hold; all its numbers are made up."""


def format_1() -> tuple[Content, dict[str, Any]]:
    """Return the JSON of that record, and its arrays."""
    with np.load(FORMAT_1 / MATRICES_NAME) as packed:
        arrays = {name: packed[name] for name in packed.files}
    return json.loads((FORMAT_1 / RECORD_NAME).read_text()), arrays
