"""The page `docs/options.md`, made of the declarations in `fcnbench/options`.

python -m fcnbench.cli.options_page > docs/options.md
"""

from __future__ import annotations

from collections.abc import Iterator

from fcnbench.cli.commands import sentence
from fcnbench.options import COMMANDS, JSON, sweep_options
from fcnbench.util.option import Option, options_of

_INTRODUCTION = """\
# Options

Made by `python -m fcnbench.cli.options_page` of the declarations in `fcnbench/options`; a test compares the two.

## Where a value comes from

For every option of a command, the first of these that sets it:

1. the command line, such as `fcnbench run --device cuda:1`;
2. the environment variable `FCNBENCH_<COMMAND>_<OPTION>`, such as `FCNBENCH_RUN_DEVICE=cuda:1`; for `--board` then
   `FCNBENCH_BOARD`;
3. `[tool.fcnbench.<command>]` of the nearest `pyproject.toml`, from the working directory upwards;
4. `[tool.fcnbench]` there, which holds options of several commands: those marked "all" below;
5. the default.

    [tool.fcnbench]
    device = "cuda:1"

    [tool.fcnbench.run]
    margins = true
    batch = 4

Names are those of the command line without the leading hyphens, with `_` or `-`; paths in the file start at the file's
folder. In a variable, truth is written `1`, `true`, `yes`, `on`, or `0`, `false`, `no`, `off`; an empty variable counts
as unset. A flag that a setting switched on is switched off by `--no-<flag>`. A name that is unknown or a value of the
wrong type ends the command with exit code 2. Settings in effect are named on standard error, and `fcnbench doctor`
lists them all. A sweep takes its options from its own file, and no setting but `board`.

`pyproject.toml` can't accept terms (`accept_terms`), and `submit` and `verify` take no settings from it: the file may
be part of what is verified. The Python functions read neither the file nor these variables.

Other variables, which the Python functions read too: `FCNBENCH_HOME` (folder of stores, weights and journals),
`FCNBENCH_BOARD` (folder of `submissions/` and `leaderboards/`, for whatever has no `--board`), `FCNBENCH_OFFLINE`
(forbid downloads), `FCNBENCH_PATIENCE` (seconds without a sign of life after which a rank counts as lost).

`fcnbench --print-completion bash` (or `zsh`, `tcsh`) prints a completion script; it needs the extra `completion`.
"""

_COLUMNS = "| option | Python | default | variable | in a file | what it does |\n| --- | --- | --- | --- | --- | --- |"


def options_page() -> str:
    """Return the page.

    >>> options_page().splitlines()[0]
    '# Options'
    """
    parts = [_INTRODUCTION]
    for name, command in COMMANDS.items():
        parts.append(f"## fcnbench {name}\n\n{sentence(name)}\n\n{_COLUMNS}")
        rows = [_row(name, option, command.project) for option in (*options_of(command.options), JSON)]
        parts.append("\n".join(rows) + "\n")
    names = ", ".join(f"`{option.name}`" for option in sweep_options())
    parts.append(f"## Sweeps\n\nThe table `[options]` of a sweep's file takes {names}.\n")
    return "\n".join(parts)


def _row(command: str, option: Option, project: bool) -> str:
    """Return the row of an option."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(command, option, project)) + " |"


def _cells(command: str, option: Option, project: bool) -> Iterator[str]:
    yield f"`{option.flag or option.metavar}`"
    yield f"`{option.name}`" if option.python else ""
    yield "required" if option.required else "" if option.default in (None, (), "") else f"`{option.default}`"
    settable = option.settable and option is not JSON
    yield f"`FCNBENCH_{command}_{option.setting}`".upper() if settable else ""
    in_file = settable and project and not option.consent
    yield f"`{option.setting}`{', all' if option.shared else ''}" if in_file else ""
    yield option.help_text


if __name__ == "__main__":
    print(options_page(), end="")
