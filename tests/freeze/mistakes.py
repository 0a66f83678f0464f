"""Wrong calls of every command: exit code, kind of error, first line of the message and of the next step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.freeze.masks import dumped, masked
from tests.freeze.session import Session

_NO_MODEL = (
    "class Broken:\n    pass\n\ndef build():\n    raise RuntimeError('no such net')\n\ndef empty():\n    return 3\n"
)


_WHO = ("--contact", "a@b.example", "--licence", "MIT")
"""What a submission needs, `{who}` below."""

_USAGE: list[tuple[str, list[str]]] = [
    ("no such command", ["evaluate"]),
    ("no such option", ["run", "--modle", "fcn8s"]),
    ("an option without its value", ["run", "--model"]),
    ("an argument too many", ["run", "fcn8s"]),
    ("an abbreviated option", ["run", "--sig", "x"]),
    ("help of nothing", ["help", "evaluate"]),
]  # fmt: skip
"""Of any command. `{name}` stands for the path of a run."""

_RUN: list[tuple[str, list[str]]] = [
    ("run: model unknown", ["run", "--model", "fcn8"]),
    ("run: dataset unknown", ["run", "--dataset", "pockets"]),
    ("run: limit of none", ["run", "--limit", "0"]),
    ("run: limit not a number", ["run", "--limit", "many"]),
    ("run: trials negative", ["run", "--trials", "-1"]),
    ("run: batch of none", ["run", "--batch", "0"]),
    ("run: precision unknown", ["run", "--precision", "fp64"]),
    ("run: precision of an oracle", ["run", "--model", "oracle-perfect", "--precision", "bf16"]),
    ("run: device unknown", ["run", "--device", "gpu"]),
    ("run: device not here", ["run", "--device", "cuda:99"]),
    ("run: dense unknown", ["run", "--dense", "stitch"]),
    ("run: dense of stride 8", ["run", "--model", "fcn8s-pocket", "--dense", "shift-and-stitch", "--limit", "1"]),
    ("run: signature broken", ["run", "--signature", "fcn|pocket"]),
    ("run: signature of another dataset", ["run", "--dataset", "pocket", "--signature",
                                           "fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1"]),
    ("run: signature not met", ["run", "--model", "oracle-perfect", "--signature",
                                "fcn|pocket#64|c9|ign255|abs:present|native|fp32|v1"]),
    ("run: constant of no class", ["run", "--model", "oracle-constant:8"]),
    ("run: constant not a number", ["run", "--model", "oracle-constant:x"]),
    ("run: downsample by none", ["run", "--model", "oracle-downsample:0"]),
    ("run: downsample without a factor", ["run", "--model", "oracle-downsample"]),
    ("run: weights missing", ["run", "--model", "fcn8s-pocket", "--weights", "nowhere.pth"]),
    ("run: weights of an oracle", ["run", "--model", "oracle-perfect", "--weights", "random:0"]),
    ("run: weights not weights", ["run", "--model", "fcn8s-pocket", "--weights", "file"]),
    ("run: weights needed", ["run", "--model", "fcn8s"]),
    ("run: model needed", ["run", "--dataset", "voc2011val"]),
    ("run: classes do not fit", ["run", "--model", "fcn8s-pocket", "--dataset", "voc2011val"]),
    ("run: data missing", ["run", "--model", "fcn8s", "--weights", "random:0", "--dataset", "voc2011val"]),
    ("run: from of pocket", ["run", "--from", "empty"]),
    ("run: from nowhere", ["run", "--model", "oracle-perfect", "--dataset", "voc2011val", "--from", "nowhere"]),
    ("run: from an empty folder", ["run", "--model", "oracle-perfect", "--dataset", "voc2011val",
                                   "--from", "empty"]),
    ("run: file without a factory", ["run", "--model", "net.py"]),
    ("run: file not there", ["run", "--model", "nowhere.py:build"]),
    ("run: factory not there", ["run", "--model", "net.py:other"]),
    ("run: factory fails", ["run", "--model", "net.py:build"]),
    ("run: factory makes no model", ["run", "--model", "net.py:empty"]),
    ("run: scheme unknown", ["run", "--model", "tensorflow:x"]),
    ("run: TorchScript missing", ["run", "--model", "torchscript:nowhere.pt"]),
    ("run: predictions there already", ["run", "--model", "oracle-perfect", "--save-predictions", "p/coarse"]),
    ("run: board is a file", ["run", "--model", "oracle-perfect", "--board", "file"]),
    ("run: board empty", ["run", "--board", ""]),
    ("run: sweep and model", ["run", "--sweep", "sweep.toml", "--model", "fcn8s"]),
    ("run: sweep missing", ["run", "--sweep", "nowhere.toml"]),
    ("run: sweep not TOML", ["run", "--sweep", "broken.toml"]),
    ("run: sweep of nothing", ["run", "--sweep", "list.toml"]),
    ("run: sweep with an unknown key", ["run", "--sweep", "key.toml"]),
]  # fmt: skip
"""Of `run`. `{name}` stands for the path of a run."""

_SCORE: list[tuple[str, list[str]]] = [
    ("score: of nothing", ["score"]),
    ("score: of two", ["score", "--record", "{coarse}", "--predictions", "p/coarse"]),
    ("score: no such folder", ["score", "--predictions", "nowhere"]),
    ("score: a prediction missing", ["score", "--predictions", "wrong/missing"]),
    ("score: a prediction of another size", ["score", "--predictions", "wrong/size"]),
    ("score: a prediction of no class", ["score", "--predictions", "wrong/value"]),
    ("score: a prediction not a PNG", ["score", "--predictions", "wrong/broken"]),
    ("score: train split unknown", ["score", "--predictions", "p/coarse", "--train-split", "nowhere",
                                    "--board", "unlisted"]),
    ("score: no record", ["score", "--record", "nowhere"]),
    ("score: not JSON", ["score", "--record", "spoiled/json"]),
    ("score: later format", ["score", "--record", "spoiled/format"]),
    ("score: foreign format", ["score", "--record", "spoiled/foreign"]),
    ("score: field missing", ["score", "--record", "spoiled/field"]),
    ("score: signature against protocol", ["score", "--record", "spoiled/protocol"]),
    ("score: score changed", ["score", "--record", "spoiled/score"]),
    ("score: matrices missing", ["score", "--record", "spoiled/no-matrices"]),
    ("score: matrices broken", ["score", "--record", "spoiled/matrices"]),
    ("score: matrices of another", ["score", "--record", "spoiled/other-matrices"]),
]  # fmt: skip
"""Of `score`. `{name}` stands for the path of a run."""

_COMPARE_AND_CHECK: list[tuple[str, list[str]]] = [
    ("compare: one run", ["compare", "{coarse}"]),
    ("compare: no record", ["compare", "{coarse}", "nowhere"]),
    ("compare: matrices of another", ["compare", "{coarse}", "spoiled/other-matrices"]),
    ("compare: other rules", ["compare", "{coarse}", "{signature}"]),
    ("compare: predictions swapped", ["compare", "{coarse}", "{fine}", "--predictions", "p/fine", "p/coarse"]),
    ("compare: predictions missing", ["compare", "{coarse}", "{fine}", "--predictions", "p/coarse", "nowhere"]),
    ("compare: lens and runs", ["compare", "{coarse}", "--lens", "{fine}"]),
    ("check: no baseline", ["check"]),
    ("check: baseline missing", ["check", "--baseline", "nowhere"]),
    ("check: board missing", ["check", "--baseline", "nowhere.csv"]),
    ("check: board broken", ["check", "--baseline", "wrongboard/leaderboards/v1/pocket.csv"]),
    ("check: model not on the board", ["check", "--baseline", "exact/leaderboards/v1/pocket.csv", "--model", "no"]),
    ("check: many baselines", ["check", "--baseline", "exact/leaderboards/v1/pocket.csv", "--record", "{coarse}"]),
    ("check: budget negative", ["check", "--baseline", "{coarse}", "--record", "{fine}", "--budget", "-1"]),
    ("check: tolerance not a number", ["check", "--baseline", "{coarse}", "--tolerance", "much"]),
    ("check: other images", ["check", "--baseline", "{coarse}", "--record", "{part}"]),
    ("check: record spoiled", ["check", "--baseline", "{coarse}", "--record", "spoiled/json"]),
]  # fmt: skip
"""Of `compare` and `check`. `{name}` stands for the path of a run."""

_REPORT_TO_LIST: list[tuple[str, list[str]]] = [
    ("report: no record", ["report", "nowhere"]),
    ("report: examples negative", ["report", "{coarse}", "--examples", "-1"]),
    ("report: predictions of another", ["report", "{coarse}", "--predictions", "p/fine"]),
    ("bench: no model", ["bench"]),
    ("bench: model unknown", ["bench", "--model", "fcn8"]),
    ("bench: an oracle", ["bench", "--model", "oracle-perfect"]),
    ("bench: no trials", ["bench", "--model", "fcn32s-pocket", "--trials", "0"]),
    ("bench: no time", ["bench", "--model", "fcn32s-pocket", "--seconds", "-1"]),
    ("bench: scenario unknown", ["bench", "--model", "fcn32s-pocket", "--scenario", "server"]),
    ("bench: classes of none", ["bench", "--model", "fcn32s-pocket", "--classes", "0"]),
    ("fetch: nothing", ["fetch"]),
    ("fetch: dataset unknown", ["fetch", "pockets"]),
    ("fetch: offline", ["fetch", "voc2011val"]),
    ("fetch: from a file", ["fetch", "voc2011val", "--from", "file"]),
    ("export: format unknown", ["export", "pocket", "--to", "coco"]),
    ("export: dataset unknown", ["export", "pockets", "--to", "hf"]),
    ("export: folder there already", ["export", "pocket", "--to", "hf", "--output", "pocket-hf"]),
    ("list: of what", ["list", "weights"]),
    ("list: datasets verbose", ["list", "datasets", "--verbose"]),
]  # fmt: skip
"""Of `report`, `bench`, `fetch`, `export`, `list`. `{name}` stands for the path of a run."""

_BOARD_TO_DOCTOR: list[tuple[str, list[str]]] = [
    ("board: no results", ["board", "--board", "nowhere"]),
    ("board: show no results", ["board", "show", "--board", "nowhere"]),
    ("board: verify no results", ["board", "verify", "--board", "nowhere"]),
    ("board: html of no results", ["board", "html", "--board", "nowhere"]),
    ("board: no records", ["board", "--board", "empty"]),
    ("board: dataset without a board", ["board", "show", "--dataset", "voc2011val", "--board", "exact"]),
    ("board: broken", ["board", "show", "--board", "wrongboard"]),
    ("board: stray", ["board", "verify", "--board", "wrongboard"]),
    ("board: action unknown", ["board", "rebuild"]),
    ("submit: no contact", ["submit", "{coarse}", "--licence", "MIT"]),
    ("submit: contact empty", ["submit", "{coarse}", "--contact", "", "--licence", "MIT", "--board", "public"]),
    ("submit: a part", ["submit", "{part}", "{who}", "--board", "public"]),
    ("submit: trained on these images", ["submit", "{leaking}", "{who}", "--board", "public"]),
    ("submit: no record", ["submit", "nowhere", "{who}", "--board", "public"]),
    ("submit: no repository", ["submit", "{coarse}", "{who}"]),
    ("verify: nothing", ["verify", "empty"]),
    ("verify: a file", ["verify", "file"]),
    ("verify: score changed", ["verify", "spoiled/score", "--dry"]),
    ("verify: matrices of another", ["verify", "spoiled/other-matrices", "--dry"]),
    ("verify: tolerance negative", ["verify", "{coarse}", "--rerun", "--dry", "--tolerance", "-1"]),
    ("doctor: dataset unknown", ["doctor", "pockets"]),
    ("doctor: dataset not here", ["doctor", "voc2011val"]),
    ("doctor: model unknown", ["doctor", "--model", "fcn8"]),
    ("doctor: device and dataset", ["doctor", "pocket", "--device", "cpu"]),
    ("doctor: device unknown", ["doctor", "--device", "gpu"]),
    ("doctor: report of a model", ["doctor", "--report", "x.json", "--model", "fcn8s"]),
    ("doctor: report over a folder", ["doctor", "--report", "empty"]),
]  # fmt: skip
"""Of `board`, `submit`, `verify`, `doctor`. `{name}` stands for the path of a run."""


@dataclass(frozen=True)
class Mistake:
    """A wrong call.

    Attributes:
        name: what is wrong with it.
        arguments: the command line, without `--json`.
    """

    name: str
    arguments: tuple[str, ...]


def mistakes(session: Session, runs: dict[str, str]) -> dict[str, str]:
    """Return the golden file of all wrong calls; some run in a process of their own, too, and say the same."""
    _spoil(runs)
    found = {}
    for each in _mistakes(runs):
        outcome = session.command(*each.arguments, "--json")
        found[each.name] = {
            "arguments": [session.text(argument) for argument in each.arguments],
            "exit_code": outcome.code,
            **_said(session, outcome.content),
        }
        if "Traceback" in outcome.err:
            raise AssertionError(f"{each.name}: {outcome.err}")
    for name, arguments in _ALONE.items():
        alone = session.process(*arguments)
        first, _, rest = session.text(alone.err).partition("\n")
        found[name] = {"arguments": list(arguments), "exit_code": alone.code, "message": first}
        found[name]["next"] = rest.splitlines()[0].strip() if rest else ""
    return {"mistakes.json": dumped(found)}


_VERDICTS = ("leakage", "agree", "mismatches", "passed", "sound", "wrong")
"""Keys that say what is wrong in results that are not errors."""


def _said(session: Session, content: dict[str, Any]) -> dict[str, Any]:
    """Return the error's name and words; of a check that failed without an error, whatever says so."""
    if "error" not in content:
        kept = {name: content[name] for name in _VERDICTS if name in content}
        for submission in content.get("submissions", []):
            kept["findings"] = [finding for finding in submission["findings"] if not finding["sound"]]
        for verdict in content.get("verdicts", []):
            kept |= {"kind": verdict["kind"], "reasons": verdict["reasons"]}
        return dict(masked(kept, session.root))
    return {
        "error": content["error"],
        "message": session.text(content["message"]).splitlines()[0],
        "next": (session.text(content["next"]).splitlines() or [""])[0],
    }


_ALONE = {
    "alone: no command": (),
    "alone: an unknown option": ("run", "--modle", "fcn8s"),
    "alone: no image": ("run", "--limit", "0"),
    "alone: no folder of results": ("board", "--board", "nowhere"),
}


def _copied(source: str, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Copy a record's folder under another name, and change its JSON."""
    folder = Path("spoiled") / name
    shutil.copytree(Path(source).parent, folder)
    path = folder / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _spoil(runs: dict[str, str]) -> None:
    """Write files that are not as they should be."""
    source = runs["coarse"]
    _copied(source, "score", lambda content: content["scores"]["gt"].update(mean_iu=0.9))
    _copied(source, "format", lambda content: content.update(format="fcnbench.record/99"))
    _copied(source, "foreign", lambda content: content.update(format="other/1"))
    _copied(source, "protocol", lambda content: content["protocol"].update(absent="reference"))
    _copied(source, "field", lambda content: content.pop("model"))
    _copied(source, "no-matrices", lambda content: None)
    Path("spoiled/no-matrices/confusion.npz").unlink()
    _copied(source, "matrices", lambda content: None)
    Path("spoiled/matrices/confusion.npz").write_bytes(b"PK\3\4 and no more")
    _copied(source, "other-matrices", lambda content: None)
    shutil.copy(Path(runs["fine"]).with_name("confusion.npz"), "spoiled/other-matrices/confusion.npz")
    _copied(source, "json", lambda content: None)
    Path("spoiled/json/record.json").write_text('{"format": ', encoding="utf-8")
    Path("net.py").write_text(_NO_MODEL, encoding="utf-8")
    Path("empty").mkdir()
    Path("file").write_text("text", encoding="utf-8")
    Path("list.toml").write_text("models = []\n", encoding="utf-8")
    Path("broken.toml").write_text("models = [\n", encoding="utf-8")
    Path("key.toml").write_text('models = ["fcn8s"]\ndatasets = ["pocket"]\ncolour = 1\n', encoding="utf-8")
    names = sorted(path.name for path in Path("p/coarse").rglob("*.png"))
    (folder,) = {path.parent for path in Path("p/coarse").rglob("*.png")}
    for target in ("missing", "size", "value", "broken"):
        shutil.copytree(folder, Path("wrong") / target)
    Path("wrong/missing", names[3]).unlink()
    Image.new("L", (3, 3)).save(Path("wrong/size", names[3]))
    with Image.open(Path("wrong/value", names[3])) as image:
        wrong = Image.new("L", image.size, 77)
    wrong.save(Path("wrong/value", names[3]))
    Path("wrong/broken", names[3]).write_bytes(b"no PNG")
    board = Path("wrongboard/leaderboards/v1/pocket.csv")
    board.parent.mkdir(parents=True)
    board.write_text("rank,model\n1,x\n", encoding="utf-8")


def _mistakes(runs: dict[str, str]) -> list[Mistake]:
    groups = (_USAGE, _RUN, _SCORE, _COMPARE_AND_CHECK, _REPORT_TO_LIST, _BOARD_TO_DOCTOR)
    return [
        Mistake(name, tuple(each for word in words for each in (_WHO if word == "{who}" else (word.format(**runs),))))
        for group in groups
        for name, words in group
    ]
