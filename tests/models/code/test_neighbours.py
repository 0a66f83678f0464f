"""Several models in one process, or one that loads another: the code of each imports its own neighbours."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

import fcnbench
from fcnbench.models.segmenter import Segmenter
from tests.models.written import class_of, net, predicted_class, run_one

LATE = {
    "module": {"late": "from common import K", "common": "K = {k}\n"},
    "package": {"late": "import nets.parts; K = nets.parts.K", "nets__parts": "K = {k}\n", "nets____init__": ""},
    "namespace package": {"late": "from nets.parts import K", "nets__parts": "K = {k}\n"},
    "in a neighbour": {
        "imports": "from common import find",
        "k": "find()",
        "common": "def find():\n    from hidden import K\n    return K\n",
        "hidden": "K = {k}\n",
    },
    "in a package": {
        "imports": "from nets.parts import find",
        "k": "find()",
        "nets____init__": "",
        "nets__parts": "def find():\n    from .more import K\n    return K\n",
        "nets__more": "from common import K\n",
        "common": "K = {k}\n",
    },
    "state": {
        "imports": "import common; common.K = {k}",
        "late": "from common import K",
        "common": "K = 7\n",
    },
    "computed name": {"late": "import importlib; K = importlib.import_module('com' + 'mon').K", "common": "K = {k}\n"},
    "imported function": {
        "imports": "from importlib import import_module, util\nimport importlib.metadata",
        "late": "K = import_module('common').K; assert util.find_spec('torch'); importlib.metadata.version('torch')",
        "common": "K = {k}\n",
    },
    "relative name": {
        "imports": "import importlib",
        "late": "K = importlib.import_module('.parts', 'nets').K",
        "nets__parts": "K = {k}\n",
        "nets____init__": "",
    },
    "own module": {
        "imports": "import sys\nfrom common import K",
        "k": "sys.modules[__name__].K",
        "common": "K = {k}\n",
    },
    "pickle": {
        "imports": "import common, pickle; stored = pickle.dumps(common.Value())",
        "k": "pickle.loads(stored).K",
        "common": "class Value:\n    K = {k}\n",
    },
}
"""Imports that are executed in the forward pass; `{k}` is the class."""


@pytest.mark.parametrize("layout", LATE.values(), ids=LATE)
def test_models_that_live_side_by_side_each_import_their_own_neighbours(tmp_path: Path, layout: dict[str, str]) -> None:
    models = {
        k: fcnbench.load_model(
            net(tmp_path / f"n{k}", **{key: text.replace("{k}", str(k)) for key, text in layout.items()})
        )
        for k in (2, 5)
    }
    for k in (2, 5, 2):
        assert class_of(models[k]) == k


def test_models_that_import_at_the_same_time_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    # The first one's import is half done when the second one asks, and ends when the second one has or must wait.
    meet = "from {module} import begun, ended; begun.set(); ended.wait(0.2); K = 2\n"
    events = ModuleType("events_of_this_test")
    events.begun, events.ended = threading.Event(), threading.Event()
    sys.modules[events.__name__] = events
    late = "from common import K"
    first = fcnbench.load_model(net(tmp_path / "a", late=late, common=meet.replace("{module}", events.__name__)))
    second = fcnbench.load_model(net(tmp_path / "b", late=late, common="K = 5\n"))
    found = {}

    def ask(model: Segmenter) -> None:
        found[model] = class_of(model)

    thread = threading.Thread(target=ask, args=(first,))
    thread.start()
    assert events.begun.wait(5)
    ask(second)
    events.ended.set()
    thread.join()
    del sys.modules[events.__name__]
    assert found == {first: 2, second: 5}


def test_a_model_that_is_loaded_keeps_the_neighbours_it_has_when_one_is_edited(tmp_path: Path) -> None:
    files = {"imports": "from common import K", "late": "import common; assert common.K == K"}
    models = [fcnbench.load_model(net(tmp_path, common=f"K = {k}\n", **files)) for k in (2, 5)]
    assert [class_of(each) for each in models] == [2, 5]


@pytest.mark.parametrize("through", ["the file", "a neighbour"])
def test_files_of_a_model_that_a_model_loads_count(tmp_path: Path, through: str) -> None:
    def outer() -> str:
        inner = net(tmp_path / "inner", late="from common import K", common="K = 2\n")
        load = f"import fcnbench; inner = fcnbench.load_model({inner!r})"
        return net(
            tmp_path / "outer",
            imports=load if through == "the file" else "from loads import inner",
            late="from common import K; K = K if int(inner.logits(x).argmax(1).max()) == 2 else 0",
            common="K = 5\n",
            loads=load,
        )

    assert predicted_class(outer()) == 5
    k, files = run_one(outer(), tmp_path)
    assert k == 5
    assert files - {"loads.py"} == {"net.py", "common.py", "elsewhere:common.py", "elsewhere:net.py"}
    (tmp_path / "inner" / "common.py").write_text("K = 3\n")
    assert run_one(f"{tmp_path / 'outer' / 'net.py'}:build", tmp_path)[0] == 0


@pytest.mark.parametrize("name", LATE)
def test_a_program_keeps_its_own_modules(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program" / "nets").mkdir(parents=True)
    # A package of the program's hides a folder without `__init__.py`.
    files = {"common", "hidden", *([] if name == "namespace package" else ["nets/__init__", "nets/parts"])}
    for file in files:
        (tmp_path / "program" / f"{file}.py").write_text("K = 'mine'\n")
    monkeypatch.syspath_prepend(tmp_path / "program")
    names = [file.replace("/__init__", "").replace("/", ".") for file in sorted(files)]
    for each in ("common", "hidden", "nets", "nets.parts"):  # other tests' models may have left theirs
        sys.modules.pop(each, None)
    own = {each: importlib.import_module(each) for each in names}
    model = net(tmp_path / "model", **{key: text.replace("{k}", "2") for key, text in LATE[name].items()})
    try:
        loaded = fcnbench.load_model(model)
        assert {each: sys.modules[each] for each in names} == own
        # With the program's own modules in place, the pickle's import would find those.
        if name != "pickle":
            assert class_of(loaded) == 2
        assert {each: importlib.import_module(each) for each in names} == own
        assert run_one(model, tmp_path)[0] == 2
        assert {each: sys.modules[each] for each in names} == own
    finally:
        for each in names:
            sys.modules.pop(each, None)
