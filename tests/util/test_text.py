"""Text as it is meant: line ends and byte order marks make no difference."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnbench
from fcnbench.util.digests import digest_bytes, digest_text
from fcnbench.util.text import normalise, read_text

PACKAGE = Path(fcnbench.__file__).parent
ENDS = ("\n", "\r\n", "\r")


@given(
    st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff")), st.sampled_from(ENDS))),
    st.booleans(),
)
def test_line_ends_and_marks_make_no_difference(lines: list[tuple[str, str]], marked: bool) -> None:
    # A line feed after an end that is a lone carriage return would make one end of two.
    lines = [(line or "x", end) for line, end in lines]
    written = ("\ufeff" if marked else "") + "".join(line + end for line, end in lines)
    assert normalise(written.encode()).decode() == "".join(f"{line}\n" for line, _ in lines)


def test_a_file_is_read_and_digested_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffä\r\nb\n".encode())
    assert read_text(path) == "ä\nb\n"
    assert digest_text(path) == digest_bytes("ä\nb\n".encode())
    path.write_bytes("ä".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        read_text(path)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_is_read_or_written_in_the_platforms_own_encoding(path: Path) -> None:
    assert unnamed(path.read_text(encoding="utf-8")) == []


def test_calls_without_an_encoding_are_found() -> None:
    code = "p.read_text()\np.open()\nopen(x, 'w')\nopen(x, 'rb')\np.open('r+b' if y else 'x+b')\nImage.open(z)\n"
    code += "p.write_text('a', encoding='utf-8')\nrun(c, text=True)\np.write_text('a')\n"
    assert unnamed(code) == [1, 2, 3, 8, 9]


OTHERS = ("read_text", "Image", "tarfile", "os", "webbrowser", "spec")
"""Whose `open`, and which bare function, is not that of a text file."""


def unnamed(code: str) -> list[int]:
    """Lines of the calls that read or write text and name no encoding."""
    found = []
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call) or any(each.arg == "encoding" for each in call.keywords):
            continue
        owner = ast.unparse(call.func).rpartition(".")[0]
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        text = any(each.arg in ("text", "universal_newlines") for each in call.keywords)
        if isinstance(call.func, ast.Attribute) and name in ("read_text", "write_text"):
            # Metadata of distributions is UTF-8 by definition.
            text = not owner.startswith("distribution(")
        elif name == "open" and owner.split(".")[-1] not in OTHERS:
            text = not binary([*call.args, *(each.value for each in call.keywords if each.arg == "mode")])
        if text:
            found.append(call.lineno)
    return sorted(found)


def binary(arguments: list[ast.expr]) -> bool:
    """Whether a mode among the arguments is binary."""
    modes = [each.value for argument in arguments for each in ast.walk(argument) if isinstance(each, ast.Constant)]
    return any(isinstance(mode, str) and "b" in mode and set(mode) <= set("rwxab+") for mode in modes)
