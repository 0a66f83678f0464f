"""The commands, and what each does; `fcnbench --help` needs no more than this."""

from __future__ import annotations

ABOUT = {
    "run": "evaluate a model on a dataset",
    "score": "score stored predictions, or recompute a record from its matrices",
    "compare": "compare two runs, or show one under the rules of other harnesses",
    "check": "check a model against its baseline: identical, numerical noise, or drift",
    "report": "write one self-contained HTML file about a run",
    "bench": "measure a model's forward time on this machine, as the papers do",
    "fetch": "download a dataset and convert it to a store, or check its mirrors",
    "export": "write a dataset for Hugging Face, VOC readers or Croissant",
    "list": "list models and datasets",
    "board": "generate leaderboards from records, show them, or check them",
    "submit": "prepare a run for a pull request, and verify it",
    "verify": "verify submissions of runs, and update their tier",
    "doctor": "check this installation, a complete dataset, a model, or a device",
}
"""Name to one line, in the order of `fcnbench --help`. A command is a module of its name beside this one, with a
function `execute`; its options are declared in `fcnbench/options`."""


def sentence(command: str) -> str:
    """Return what a command does as a sentence.

    >>> sentence("list")
    'List models and datasets.'
    """
    return f"{ABOUT[command][0].upper()}{ABOUT[command][1:]}."
