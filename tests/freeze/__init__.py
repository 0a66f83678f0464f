"""What fcnbench does today, as files: help, JSON, messages, integers and names, held by `tests/test_golden.py`.

`python -m tests.freeze` rewrites `tests/golden/`. Only the command line and `import fcnbench` are used here, so that
the files stay the same when modules are renamed.
"""

from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"
"""The committed files."""

REWRITE = "python -m tests.freeze"
"""The command that rewrites them."""
