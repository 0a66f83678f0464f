"""A model's file and its neighbours: each file gets its own in their current state, and the record names them all."""

from __future__ import annotations

import importlib
import py_compile
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
import torch

import fcnbench
from fcnbench.errors import ModelError
from fcnbench.models.code.model_file import import_model_file
from fcnbench.models.code.source_files import imported_files, is_user_file
from fcnbench.models.load import open_model
from tests.models.written import BIAS, net, predicted_class, run_one

LAYOUTS = {
    "module": {"imports": "from common import K", "common": "K = {k}\n"},
    "package": {
        "imports": "from nets.parts import K",
        "nets__parts": "from .more import K\n",
        "nets__more": "K = {k}\n",
        "nets____init__": "",
    },
    "namespace package": {"imports": "from nets.parts import K", "nets__parts": "K = {k}\n"},
    "through another": {"imports": "from one import K", "one": "from two import K\n", "two": "K = {k}\n"},
    "in the forward pass": {"late": "from common import K", "common": "K = {k}\n"},
    "by name": {"imports": "import importlib\nK = importlib.import_module('common').K", "common": "K = {k}\n"},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_file_gets_its_own_neighbours(tmp_path: Path, layout: dict[str, str]) -> None:
    for k in (2, 5, 2):
        name = net(tmp_path / f"n{k}", **{key: text.replace("{k}", str(k)) for key, text in layout.items()})
        assert predicted_class(name) == k


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_an_edited_neighbour_is_seen_in_the_same_process(tmp_path: Path, layout: dict[str, str]) -> None:
    digests = set()
    for k in (1, 6):
        name = net(tmp_path, **{key: text.replace("{k}", str(k)) for key, text in layout.items()})
        assert predicted_class(name) == k
        digests.add(open_model(name).sources.digest)
    assert len(digests) == 2


HIDDEN = {
    "computed name": {
        "imports": "import importlib; K = importlib.import_module('hid' + 'den').K",
        "hidden": "K = {k}\n",
    },
    "computed name, late": {
        "imports": "import importlib",
        "late": "K = importlib.import_module('hid' + 'den').K",
        "hidden": "K = {k}\n",
    },
    "another folder": {
        "imports": "import os, sys; sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib')); "
        "from hidden import K",
        "lib__hidden": "K = {k}\n",
    },
    "thread": {
        "imports": "import threading\nfound = []\ndef look():\n    import hidden\n    found.append(hidden.K)\n"
        "thread = threading.Thread(target=look)\nthread.start()\nthread.join()",
        "k": "found[0]",
        "hidden": "K = {k}\n",
    },
    "behind a neighbour": {
        "imports": "from common import K",
        "common": "import importlib\nK = importlib.import_module('hid' + 'den').K\n",
        "hidden": "K = {k}\n",
    },
}
"""Imports that no import statement names; `{k}` is the class."""


def hidden(folder: Path, style: str, k: int) -> str:
    """Write a model that finds its class by one of these imports."""
    return net(folder, **{name: text.replace("{k}", str(k)) for name, text in HIDDEN[style].items()})


@pytest.mark.parametrize("style", HIDDEN)
def test_neighbours_that_no_statement_names_are_each_files_own_too(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    first, second = (hidden(tmp_path / folder, style, k) for folder, k in (("a", 2), ("b", 5)))
    found = [run_one(name, tmp_path) for name in (first, second, first, first)]
    assert [k for k, _ in found] == [2, 5, 2, 2]
    assert found[0][1] == found[1][1] == found[2][1] == found[3][1]
    assert any("hidden" in name for name in found[0][1])
    hidden(tmp_path / "a", style, 4)
    assert run_one(first, tmp_path)[0] == 4


def test_a_neighbour_that_is_bytecode_alone_is_each_files_own(tmp_path: Path) -> None:
    for folder, k in (("a", 2), ("b", 5)):
        (tmp_path / "source.py").write_text(f"K = {k}\n")
        net(tmp_path / folder, imports="from hidden import K")
        py_compile.compile(str(tmp_path / "source.py"), cfile=str(tmp_path / folder / "hidden.pyc"), doraise=True)
    assert [predicted_class(f"{tmp_path / folder / 'net.py'}:build") for folder in "aba"] == [2, 5, 2]


def test_a_script_imports_its_own_modules_after_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(tmp_path / "a", imports="from settings import K", settings="K = 2\n", plots="K = 2\n")
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "plots.py").write_text("K = 7\n")
    monkeypatch.syspath_prepend(tmp_path / "script")
    assert predicted_class(model) == 2
    assert importlib.import_module("plots").K == 7
    del sys.modules["plots"]


def test_a_pickled_network_finds_its_class_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "parts.py").write_text("raise ImportError('the wrong one')\n")
    monkeypatch.syspath_prepend(tmp_path / "script")
    model = net(tmp_path / "a", k="0", parts=BIAS.format(imports="", late="pass", k=3))
    (tmp_path / "a" / "save.py").write_text(
        "import sys, torch\nsys.path.insert(0, sys.argv[1])\nimport parts\ntorch.save(parts.Net(), sys.argv[2])\n"
    )
    subprocess.run([sys.executable, tmp_path / "a" / "save.py", tmp_path / "a", tmp_path / "a" / "n.pt"], check=True)
    (tmp_path / "a" / "net.py").write_text(
        "from pathlib import Path\nimport torch\n\n\ndef load():\n"
        "    return torch.load(Path(__file__).with_name('n.pt'), weights_only=False)\n"
    )
    assert predicted_class(model.replace(":build", ":load")) == 3


def test_a_neighbour_that_did_not_change_is_the_same_module(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from common import K", common="K = 3\n")
    predicted_class(name)
    before = sys.modules["common"]
    predicted_class(name)
    assert sys.modules["common"] is before


def test_a_helper_beside_the_notebook_is_seen_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    name = net(tmp_path / "project" / "models", imports="from tools.consts import K", **{"../tools/consts": "K = 4\n"})
    (tmp_path / "project" / "tools").mkdir(exist_ok=True)
    (tmp_path / "project" / "tools" / "consts.py").write_text("K = 4\n")
    importlib.invalidate_caches()
    assert predicted_class(name) == 4
    (tmp_path / "project" / "tools" / "consts.py").write_text("K = 7\n")
    assert predicted_class(name) == 7
    files = open_model(name).sources.files
    assert set(files) == {"net.py", "elsewhere:tools/consts.py"}
    assert str(tmp_path) not in str(files)


def test_a_neighbour_with_the_name_of_an_imported_package_is_refused(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from numpy import K", numpy="K = 3\n")
    with pytest.raises(ModelError, match="a module called numpy, and Python has already imported another numpy"):
        fcnbench.load_model(name)


def test_a_neighbour_is_not_taken_for_a_package_that_others_import(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from wave import K", k="K", wave="K = 3\n", colorsys="raise RuntimeError('mine')\n")
    sys.modules.pop("wave", None)
    sys.modules.pop("colorsys", None)
    assert predicted_class(name) == 3
    sys.modules.pop("wave")
    namespace = {"__name__": "library"}
    exec(compile("import colorsys", torch.__file__, "exec"), namespace)
    assert namespace["colorsys"].__file__ != str(tmp_path / "colorsys.py")


def test_a_folder_without_init_does_not_hide_an_installed_package(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from torch.nn import Module\nK = 3", torch__nn="raise RuntimeError\n")
    assert predicted_class(name) == 3
    assert set(open_model(name).sources.files) == {"net.py"}


def test_files_that_are_not_imported_do_not_count(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from common import K", common="K = 3\n", other="K = 1\n")
    before = open_model(name).sources
    assert set(before.files) == {"net.py", "common.py"}
    (tmp_path / "other.py").write_text("K = 2\n")
    assert open_model(name).sources.digest == before.digest


def test_line_ends_of_a_checkout_do_not_count(tmp_path: Path) -> None:
    name = net(tmp_path, imports="from common import K", common="K = 3\n")
    before = open_model(name).sources.digest
    (tmp_path / "common.py").write_bytes(b"K = 3\r\n")
    assert open_model(name).sources.digest == before


def test_what_only_turns_up_later_is_noted(tmp_path: Path) -> None:
    net(tmp_path, k="3", hidden="K = 1\n")
    _, sources = import_model_file(tmp_path / "net.py")
    assert set(sources.files) == {"net.py"}
    spec = importlib.util.spec_from_file_location("hidden", tmp_path / "hidden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hidden"] = module
    spec.loader.exec_module(module)
    sources.update()
    assert set(sources.files) == {"net.py", "hidden.py"}
    del sys.modules["hidden"]


def test_import_statements_are_found_without_running_them(tmp_path: Path) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    for name in ("pack/__init__", "pack/deep/__init__", "pack/side"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError\n")
    (tmp_path / "pack/deep/end.py").write_text("from .. import side\nfrom ..side import x\n")
    (tmp_path / "broken.py").write_text("def (\n")
    (tmp_path / "top.py").write_text(
        "import torch\nimport broken\ndef f():\n    from pack.deep.end import x\n    __import__('late')\n"
    )
    (tmp_path / "late.py").write_text("")
    assert set(imported_files(tmp_path / "top.py")) == {
        "broken", "pack", "pack.deep", "pack.deep.end", "pack.side", "late",
    }  # fmt: skip


def test_only_the_users_own_files_count(tmp_path: Path) -> None:
    assert is_user_file(tmp_path / "net.py")
    assert not is_user_file(Path(importlib.__file__))
    assert not is_user_file(Path(torch.__file__))
    assert not is_user_file(Path(fcnbench.__file__).parent / "models" / "load.py")
    assert not is_user_file(tmp_path / ".venv/lib/python3.11/site-packages/timm/models.py")


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ModelError, match=r"net\.py can't be imported: SystemExit: 3"):
        fcnbench.load_model(f"{tmp_path / 'net.py'}:build")


def test_a_compiled_neighbour_that_was_built_again_is_refused(tmp_path: Path) -> None:
    found = PathFinder.find_spec("xxlimited")
    if found is None or found.origin is None or "xxlimited" in sys.modules:
        pytest.skip("this Python comes without its example of a compiled module")
    copy = tmp_path / Path(found.origin).name
    copy.write_bytes(Path(found.origin).read_bytes())
    name = net(tmp_path, imports="import xxlimited", k="3")
    try:
        assert predicted_class(name) == 3
        assert copy.name in open_model(name).sources.files
        content = copy.read_bytes()
        copy.unlink()  # what is loaded keeps the old file, as after a linker's work
        copy.write_bytes(content + b"built again")
        with pytest.raises(ModelError, match=r"xxlimited .* has changed since it was imported") as caught:
            predicted_class(name)
        assert "start a new Python process" in caught.value.hint
    finally:
        sys.modules.pop("xxlimited", None)
