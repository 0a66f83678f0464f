"""The files that a model's code reads from its folder, apart from what it imports: its results depend on them.

Examples are a configuration, weights in the user's own format, and a Python file that is executed rather than imported.
No import statement names them, and not everything that they set is a number that can be found in the model.
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
NEIGHBOURS_FILE = str(Path(__file__).resolve().with_name("neighbours.py"))
"""The module of fcnbench that is on the call stack whenever a model's code imports something."""

_WRITING = os.O_WRONLY | os.O_RDWR


class OpenedFiles:
    """Records the files in a folder that code in the same folder opens for reading.

    Args:
        folder: the folder of the model's file or package.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = tuple(dict.fromkeys(f"{path}{os.sep}" for path in (folder.absolute(), folder.resolve())))
        self._seen: set[str] = set()
        self._written: set[str] = set()
        self._new: deque[str] = deque()

    @property
    def pending(self) -> bool:
        """Whether files were opened since the last `take`."""
        return bool(self._new)

    def take(self) -> dict[str, Path]:
        """Return the files that were opened since the last call, by their paths relative to the folder."""
        files = {}
        while self._new:
            path = self._new.popleft()
            relative = path[len(next(folder for folder in self._folders if path.startswith(folder))) :]
            # What the model's code wrote itself follows from its other files. Caches are in hidden folders.
            hidden = any(part.startswith((".", "__pycache__")) for part in Path(relative).parts)
            if not hidden and path not in self._written and Path(path).is_file():
                files[Path(relative).as_posix()] = Path(path)
        return files

    def record(self, file: Any, mode: Any, flags: Any) -> None:
        """Record a file that is about to be opened, if it is in the folder and the model's code opens it.

        Args:
            file: a path, or a file descriptor, which is ignored.
            mode: the mode of `open`, or None where only flags are known.
            flags: the flags of `os.open`.
        """
        if isinstance(file, int):
            return
        path = os.path.abspath(os.fsdecode(file))  # noqa: PTH100 - links are not resolved
        if not path.startswith(self._folders) or not self._model_opens(sys._getframe(2)):
            return
        writes = set(mode) & set("wax+") if isinstance(mode, str) else flags & _WRITING
        if writes:
            self._written.add(path)
        elif path not in self._seen:
            self._seen.add(path)
            self._new.append(path)

    def _model_opens(self, frame: FrameType | None) -> bool:
        """Return whether the model's code opens a file, directly or through a library, and not fcnbench."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(_FCNBENCH) and file != NEIGHBOURS_FILE:
                return False
            if file.startswith(self._folders):
                return True
            frame = frame.f_back
        return False


_EVENTS = ("open", "ctypes.dlopen")
"""Python's audit events for opening a file."""

_watched: list[OpenedFiles] = []
_hooked = False


def watch(folder: Path, *, keep_others: bool = False) -> OpenedFiles:
    """Record the files that the code in a folder opens there from now on.

    Args:
        folder: the folder of the model's file or package.
        keep_others: keep recording for folders that were watched before; otherwise that ends.
    """
    global _hooked  # noqa: PLW0603 - audit hooks are process-wide and can't be removed
    opened = OpenedFiles(folder)
    _watched[:] = [*_watched, opened] if keep_others else [opened]
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    return opened


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        for opened in _watched:
            # An exception in a hook would reach the caller of `open`. It means that this is not a valid path.
            with suppress(Exception):
                opened.record(*arguments) if event == "open" else opened.record(arguments[0], "r", 0)


_READ_BY_LIBRARIES = frozenset(
    suffix
    for suffixes in (
        ".bin .caffemodel .ckpt .engine .h5 .hdf5 .mlmodel .npz .onnx .pb .plan .prototxt .pt .pte .pth .safetensors",
        ".tflite .torchscript .ts",
        ".bmp .jpeg .jpg .png .tif .tiff .webp",
        ".dll .dylib .so",
    )
    for suffix in suffixes.split()
)
"""Suffixes of files that compiled libraries open, which Python's audit events do not report."""

_MAX_NAME = 255
"""Longest name of a file, in characters."""


def named_files(source: Path) -> list[Path]:
    """Return the files below a source file's folder that it names, if compiled libraries may open them.

    Args:
        source: a Python file. Names are the strings in it, alone or joined as a folder and a file.
    """
    try:
        tree = ast.parse(source.read_bytes()) if source.suffix == ".py" else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    short = sorted(text for text in strings if 0 < len(text) <= _MAX_NAME and text.isprintable() and ".." not in text)
    files = [text for text in short if PurePath(text).suffix.lower() in _READ_BY_LIBRARIES]
    paths: list[Path] = []
    with suppress(OSError, ValueError):
        folders = [
            source.parent,
            *(source.parent / text for text in short if files and (source.parent / text).is_dir()),
        ]
        for folder, name in product(folders, files):
            path = folder / name
            if path.is_relative_to(source.parent) and path.is_file() and path not in paths:
                paths.append(path)
    return paths
