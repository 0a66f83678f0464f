"""Completion scripts for shells: commands, options, names of models and datasets, files and folders."""

from __future__ import annotations

from fcnbench.cli.parser import Parser
from fcnbench.errors import UsageError

COMPLETION, SHELLS = "--print-completion", ("bash", "zsh", "tcsh")
"""The option that prints a script, and its values."""

_FOLDERS, _FILES = ("DIR", ("DIR_A", "DIR_B")), ("FILE", "PATH", "RUN", "W")
"""What stands for a folder or a file in help texts."""


def script(parser: Parser, shell: str) -> str:
    """Return the completion script of a shell.

    Args:
        parser: the parser of the whole command line; it is changed, and can't parse afterwards.
        shell: `bash`, `zsh` or `tcsh`.

    Raises:
        UsageError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise UsageError(
            "completion scripts are made by shtab, which is not installed", "pip install 'fcnbench[completion]'"
        ) from error
    from fcnbench.datasets.registry import DATASETS
    from fcnbench.models.registry import MODELS

    for action in parser._actions:
        if action.option_strings == [COMPLETION]:
            action.choices = SHELLS
    names = {"model": list(MODELS.entries()), "dataset": list(DATASETS.entries())}
    for command, sub in parser.commands.items():
        for action in sub._actions:
            # What `score --model` names is not a registered model.
            if action.dest in names and action.choices is None and (command, action.dest) != ("score", "model"):
                action.choices = names[action.dest]
            elif action.metavar in _FOLDERS or action.metavar in _FILES:
                kind = shtab.DIRECTORY if action.metavar in _FOLDERS else shtab.FILE
                action.complete = kind  # type: ignore[attr-defined]  # shtab reads it
    return str(shtab.complete(parser, shell=shell, preamble=""))
