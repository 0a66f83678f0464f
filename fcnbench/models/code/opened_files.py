"""Files that a model's code reads from its own folder by itself: what they hold takes part in its result.

A configuration, weights in a format of the user's own, a Python file that is executed and not imported: no import
statement names them, and not everything that they set is a number that can be found in the model.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import deque
from contextlib import suppress
from itertools import product
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

_FCNBENCH = str(Path(__file__).resolve().parents[2]) + os.sep
IMPORTING = str(Path(__file__).resolve().with_name("neighbours.py"))
"""The file whose functions stand between an import statement in a model's code and the module that it runs."""

_WRITING = os.O_WRONLY | os.O_RDWR


class Opened:
    """Notes the files in a folder that code in the same folder opens for reading.

    Args:
        folder: of the model's file or package.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = tuple(dict.fromkeys(f"{each}{os.sep}" for each in (folder.absolute(), folder.resolve())))
        self._seen: set[str] = set()
        self._written: set[str] = set()
        self._new: deque[str] = deque()

    @property
    def pending(self) -> bool:
        """Whether files were opened since the last `take`."""
        return bool(self._new)

    def take(self) -> dict[str, Path]:
        """Return the files that were opened since the last call, by their names from the folder."""
        found = {}
        while self._new:
            path = self._new.popleft()
            inside = path[len(next(each for each in self._folders if path.startswith(each))) :]
            # What the model's code writes itself follows from the rest. Caches lie in hidden folders.
            hidden = any(part.startswith((".", "__pycache__")) for part in Path(inside).parts)
            if not hidden and path not in self._written and Path(path).is_file():
                found[Path(inside).as_posix()] = Path(path)
        return found

    def note(self, file: Any, mode: Any, flags: Any) -> None:
        """Note a file that is about to be opened, if it is one of these."""
        if isinstance(file, int):
            return
        path = os.path.abspath(os.fsdecode(file))  # noqa: PTH100 - a link keeps its name
        if not path.startswith(self._folders) or not self._is_for_model(sys._getframe(2)):
            return
        writes = set(mode) & set("wax+") if isinstance(mode, str) else flags & _WRITING
        if writes:
            self._written.add(path)
        elif path not in self._seen:
            self._seen.add(path)
            self._new.append(path)

    def _is_for_model(self, frame: FrameType | None) -> bool:
        """Whether the model's code opens a file, through a library or not; fcnbench reads its data for itself."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(_FCNBENCH) and file != IMPORTING:
                return False
            if file.startswith(self._folders):
                return True
            frame = frame.f_back
        return False


_EVENTS = ("open", "ctypes.dlopen")
"""Events of Python at which a file is opened."""

_watched: list[Opened] = []
_hooked = False


def watch(folder: Path, *, as_well: bool = False) -> Opened:
    """Note what the code in a folder opens there from now on.

    Args:
        folder: of the model's file or package.
        as_well: go on with the folders before; otherwise they count no more.
    """
    global _hooked  # noqa: PLW0603 - Python's audit hooks are the process's, and can't be removed
    opened = Opened(folder)
    _watched[:] = [*_watched, opened] if as_well else [opened]
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    return opened


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        for each in _watched:
            # What a hook raises would reach whoever opens the file.
            with suppress(Exception):  # it is not a path that a file system knows
                each.note(*arguments) if event == "open" else each.note(arguments[0], "r", 0)


_NATIVE = frozenset(
    ending
    for endings in (
        ".bin .caffemodel .ckpt .engine .h5 .hdf5 .mlmodel .npz .onnx .pb .plan .prototxt .pt .pte .pth .safetensors",
        ".tflite .torchscript .ts",
        ".bmp .jpeg .jpg .png .tif .tiff .webp",
        ".dll .dylib .so",
    )
    for ending in endings.split()
)
"""Endings of files that libraries open by themselves, which Python does not see."""

_LONGEST = 255
"""Letters of a file's name."""


def named_files(source: Path) -> list[Path]:
    """Return the files below a source file's folder that it names, of the kinds that libraries open by themselves.

    Args:
        source: a Python file; names are the strings in it, those of folders put before those of files.
    """
    try:
        tree = ast.parse(source.read_bytes()) if source.suffix == ".py" else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    short = sorted(text for text in said if 0 < len(text) <= _LONGEST and text.isprintable() and ".." not in text)
    files = [text for text in short if PurePath(text).suffix.lower() in _NATIVE]
    found = []
    with suppress(OSError, ValueError):
        folders = [
            source.parent,
            *(source.parent / text for text in short if files and (source.parent / text).is_dir()),
        ]
        for folder, name in product(folders, files):
            path = folder / name
            if path.is_relative_to(source.parent) and path.is_file() and path not in found:
                found.append(path)
    return found
