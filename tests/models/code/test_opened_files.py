"""Files that a model's code reads: results depend on them as on the modules that it imports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import fcnbench
from fcnbench.api.run import run_unless
from fcnbench.evaluation.identity import DependencyTracker
from fcnbench.models.load import open_model
from fcnbench.options import RunOptions

NET = """
import importlib.util, os, runpy
from pathlib import Path
import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(__file__)


class Net(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        out = torch.zeros(x.shape[0], 8, *x.shape[2:])
        out[:, self.k] = 1
        return out


class Late(Net):
    def forward(self, x):
        self.k = int(Path(HERE, "k.txt").read_text())
        return super().forward(x)


def late():
    return Late(0)


def text():
    with open(HERE + "/k.txt") as stream:
        return Net(int(stream.read()))


def array():
    return Net(int(np.load(HERE + "/k.npy")))


def executed():
    found = {}
    exec(Path(HERE, "k.py").read_text(), found)
    return Net(found["K"])


def by_path():
    return Net(runpy.run_path(HERE + "/k.py")["K"])


def from_spec():
    spec = importlib.util.spec_from_file_location("k", HERE + "/k.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Net(module.K)


def writes():
    with open(HERE + "/log.txt", "a") as stream:
        stream.write("loaded")
    with open(HERE + "/log.txt") as stream:
        stream.read()
    return Net(0)
"""

READS = {
    "late": "k.txt",
    "text": "k.txt",
    "array": "k.npy",
    "executed": "k.py",
    "by_path": "k.py",
    "from_spec": "k.py",
}


def write(folder: Path, k: int) -> None:
    """Write the files that determine which class the models predict."""
    (folder / "k.txt").write_text(str(k))
    (folder / "k.py").write_text(f"K = {k}\n")
    np.save(folder / "k.npy", np.array(k))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with models and the files that they read."""
    (tmp_path / "net.py").write_text(NET)
    write(tmp_path, 2)
    return tmp_path


@pytest.mark.parametrize("factory", READS)
def test_a_result_is_reused_while_what_the_model_reads_stays_as_it_is(
    factory: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = RunOptions(f"{folder / 'net.py'}:{factory}", limit=1, board=folder / "board")
    first = fcnbench.run(f"{folder / 'net.py'}:{factory}", limit=1, board=folder / "board")
    write(folder, 2)
    (folder / "other.txt").write_text("nobody reads it")
    assert run_unless(options, first.identity) is None
    write(folder, 5)
    again = run_unless(options, first.identity)
    assert f"run again: {READS[factory]} has changed" in capsys.readouterr().err
    assert again is not None
    assert int(again.record.evaluation.matrices[0].sum(0).argmax()) == 5


NATIVE = """
import ctypes
from pathlib import Path
import torch
from torch import nn
{imports}

HERE = Path(__file__).parent


class Net(nn.Module):
    def forward(self, x):
        {find}
        out = torch.zeros(x.shape[0], 8, *x.shape[2:])
        out[:, k] = 1
        return out


def build():
    return Net()
"""

READERS = {
    "TorchScript": ("", 'k = int(torch.jit.load(HERE / "parts" / "net.pt")())'),
    "safetensors": ("from safetensors.torch import load_file", 'k = int(load_file(str(HERE / "parts/net.pt"))["k"])'),
    "global tensor": ("VALUES = torch.load(Path(__file__).parent / 'parts' / 'net.pt')", "k = int(VALUES['k'])"),
}
"""Ways to read the class from a file that a compiled library opens."""


class Answer(nn.Module):
    """A network that returns a number."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self) -> int:
        """The number."""
        return self.k


def write_native(folder: Path, reader: str, k: int) -> None:
    """Write the file of one of these."""
    (folder / "parts").mkdir(exist_ok=True)
    path = folder / "parts" / "net.pt"
    if reader == "TorchScript":
        torch.jit.script(Answer(k)).save(path)
    elif reader == "safetensors":
        save_file({"k": torch.tensor(k)}, path)
    else:
        torch.save({"k": torch.tensor(k)}, path)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("reader", READERS)
def test_files_that_libraries_open_by_themselves_count(tmp_path: Path, reader: str) -> None:
    imports, find = READERS[reader]
    (tmp_path / "net.py").write_text(NATIVE.format(imports=imports, find=find))
    options = RunOptions(f"{tmp_path / 'net.py'}:build", limit=1, board=tmp_path / "board")
    write_native(tmp_path, reader, 2)
    first = run_unless(options, None)
    assert first is not None
    assert first.record.evaluation.matrices[0].sum(0).argmax() == 2
    assert run_unless(options, first.identity) is None
    write_native(tmp_path, reader, 5)
    second = run_unless(options, first.identity)
    assert second is not None
    assert second.record.evaluation.matrices[0].sum(0).argmax() == 5


def test_a_library_that_ctypes_loads_counts(tmp_path: Path) -> None:
    libraries = [path for path in sorted(Path(np.__file__).parent.rglob("*.so")) if path.is_file()]
    if not libraries:
        pytest.skip("numpy has no shared libraries by this ending")
    (tmp_path / "mine").write_bytes(libraries[0].read_bytes())
    (tmp_path / "net.py").write_text(
        NATIVE.format(imports="ctypes.CDLL(str(Path(__file__).parent / 'mi') + 'ne')", find="k = 1")
    )
    assert set(open_model(f"{tmp_path / 'net.py'}:build").sources.data) == {"mine"}


def test_what_a_model_writes_itself_does_not_count(folder: Path) -> None:
    sources = open_model(f"{folder / 'net.py'}:writes").sources
    assert not sources.data
    facts = DependencyTracker(sources).update()
    assert not DependencyTracker(open_model(f"{folder / 'net.py'}:writes").sources).difference(facts)


def test_files_of_other_folders_and_reads_of_other_code_do_not_count(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, 3)
    (folder / "far.py").write_text(NET.replace("os.path.dirname(__file__)", repr(str(elsewhere))))
    sources = open_model(f"{folder / 'far.py'}:text").sources
    (folder / "k.txt").read_text()
    sources.update()
    assert not sources.data
