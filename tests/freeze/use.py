"""Every command on small runs: its help, its JSON, and what people read of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.freeze.masks import dumped, masked, tree, without_machine
from tests.freeze.session import Session

COMMANDS = (
    "run", "score", "compare", "check", "report", "bench", "fetch", "export", "list", "board", "submit", "verify",
    "doctor", "help",
)  # fmt: skip

_CHOICES = re.compile(r"^ {4}([a-z]+) ", re.MULTILINE)

NAMES = frozenset({"kind", "subject", "name", "passed", "sound", "state", "model", "dataset", "signature"})
"""Keys whose values stay where only the shape is frozen."""

VERDICT = NAMES - {"name"}
"""The same where names are sorted by numbers of networks."""

SWEEP = """\
models = ["oracle-perfect", "oracle-constant:1", "fcn9s"]
datasets = ["pocket"]
precisions = ["fp32"]

[options]
trials = 0
"""


@dataclass
class Used:
    """What was used.

    Attributes:
        files: golden files by name.
        runs: paths of records, by a word.
    """

    files: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)


def help_files(session: Session) -> dict[str, str]:
    """Return the help at 80 columns of fcnbench and of each command."""
    top = session.command("--help").out
    listed = _CHOICES.findall(top.partition("commands:")[2].partition("exit codes:")[0])
    if sorted(listed) != sorted(COMMANDS):
        raise AssertionError(f"`fcnbench --help` lists {listed}; freeze those, too")
    found = {"help/fcnbench.txt": top}
    return found | {f"help/{name}.txt": session.command(name, "--help").out for name in COMMANDS}


class _Recorder:
    """Runs commands, and keeps what they print as golden files."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.used = Used()

    def json(
        self, name: str, *arguments: str, code: int = 0, network: bool = False, shape: frozenset[str] | None = None
    ) -> dict[str, Any]:
        """Keep a command's JSON; with `shape`, the keys, and the values of those that it names."""
        content = self.session.json(*arguments, code=code)
        kept = content if shape is None else tree(content, shape)
        self.used.files[f"json/{name}.json"] = dumped(masked(kept, self.session.root, network))
        return content

    def run(self, word: str, *arguments: str, network: bool = False) -> str:
        """Keep the JSON of a run, and remember its record."""
        found = str(self.json(f"run-{word}", "run", *arguments, "--board", "b", network=network)["record"])
        self.used.runs[word] = found
        return found

    def text(self, name: str, *arguments: str, code: int = 0) -> None:
        """Keep what a person reads on standard output."""
        outcome = self.session.command(*arguments)
        if outcome.code != code:
            raise AssertionError(f"exit code {outcome.code} of {' '.join(arguments)}:\n{outcome.err}")
        self._keep(f"{name}.txt", outcome.out)

    def file(self, name: str) -> None:
        """Keep a text that was written."""
        self._keep(name, Path(name).read_text(encoding="utf-8"))

    def _keep(self, name: str, text: str) -> None:
        if self.device:
            text = text.replace(self.device, "<device>")
        lines = without_machine(self.session.text(text)).splitlines()
        self.used.files[f"text/{name}"] = "".join(f"{line.rstrip()}\n" for line in lines)

    @property
    def device(self) -> str:
        """The name of this machine's processor, as records say it."""
        if "perfect" not in self.used.runs:
            return ""
        content = json.loads(Path(self.used.runs["perfect"]).read_text(encoding="utf-8"))
        return str(content["environment"]["device_name"])


def use(session: Session) -> Used:
    """Use every command."""
    recorder = _Recorder(session)
    _lists(recorder)
    _runs(recorder)
    _judgements(recorder)
    _pages_and_boards(recorder)
    _submissions(recorder)
    _sweeps(recorder)
    _doctors(recorder)
    return recorder.used


def _lists(recorder: _Recorder) -> None:
    """Names that other packages registered here are left out."""
    for what in ("models", "datasets"):
        listed = recorder.session.json("list", what)[what]
        own = [entry for entry in listed if entry["provider"] == "fcnbench"]
        recorder.used.files[f"json/list-{what}.json"] = dumped({what: own})
    recorder.json("list-models-verbose", "list", "models", "--verbose")
    recorder.text("list-models-verbose", "list", "models", "--verbose")
    recorder.json("fetch", "fetch", "pocket")
    recorder.text("fetch", "fetch", "pocket")
    recorder.json("dry-run", "run", "--dry-run")
    recorder.text("dry-run", "run", "--dry-run")
    published = ("run", "--dry-run", "--model", "fcn8s", "--dataset")
    recorder.json("dry-run-published", *published, "voc2011val", "--board", "boards")
    recorder.text("dry-run-published", *published, "voc2011val", "--board", "boards")
    recorder.json("dry-run-nyud", "run", "--dry-run", "--model", "fcn32s-nyud-hha", "--dataset", "nyudv2test")


def _runs(recorder: _Recorder) -> None:
    saved = "--save-predictions"
    recorder.run("perfect", "--model", "oracle-perfect")
    recorder.run("constant", "--model", "oracle-constant:0")
    recorder.run("coarse", "--model", "oracle-downsample:32", saved, "p/coarse")
    recorder.run("nearest", "--model", "oracle-downsample:32:nearest")
    recorder.run("fine", "--model", "oracle-downsample:16", saved, "p/fine", "--limit", "64")
    recorder.run("part", "--model", "oracle-downsample:16", "--limit", "5")
    cpu = ("--device", "cpu")
    for stride in ("32", "16", "8"):
        net = ("--model", f"fcn{stride}s-pocket", "--limit", "4", "--margins", saved, f"p/{stride}")
        recorder.run(f"net{stride}", *net, *cpu, "--trials", "1", network=True)
    recorder.run("whole", "--model", "fcn32s-pocket", *cpu, "--trials", "1", "--margins", "--certify", network=True)
    plain = ("--model", "fcn8s-pocket", "--limit", "2", *cpu)
    recorder.run("batch", *plain, "--no-fast", "--batch", "2", network=True)
    bf16 = ("run", *plain, "--precision", "bf16", "--board", "b")
    recorder.used.runs["bf16"] = recorder.json("run-bf16", *bf16, shape=NAMES)["record"]
    dense = ("--model", "fcn32s-pocket", "--dense", "shift-and-stitch:4", "--limit", "1", *cpu)
    recorder.run("dense", *dense, network=True)
    signature = "fcn|pocket#64|truth|c8|ign255|abs:reference|native|fp32|v1"
    recorder.run("signature", "--model", "oracle-constant:7", "--signature", signature)
    score = ("score", "--predictions", "p/coarse", "--board", "b", "--model", "stored", "--trimap")
    recorder.used.runs["stored"] = recorder.json("score", *score)["record"]
    recorder.text("score", *score, "--classes")
    leaking = ("--model", "leaking", "--train-split", "pocket", "--board", "leaks")
    recorder.used.runs["leaking"] = recorder.json("score-leaking", "score", "--predictions", "p/fine", *leaking)[
        "record"
    ]
    recorder.json("bench", "bench", "--model", "fcn32s-pocket", *cpu, "--trials", "2", "--seconds", "0", "--board", "b")
    recorder.json("score-record", "score", "--record", recorder.used.runs["coarse"])
    recorder.text("score-record", "score", "--record", recorder.used.runs["coarse"])


def _judgements(recorder: _Recorder) -> None:
    runs = recorder.used.runs
    coarse, fine = runs["coarse"], runs["fine"]
    predictions = ("--predictions", "p/coarse", "p/fine")
    recorder.json("compare", "compare", coarse, fine)
    recorder.text("compare", "compare", coarse, fine)
    recorder.json("compare-predictions", "compare", coarse, fine, *predictions)
    recorder.text("compare-predictions", "compare", coarse, fine, *predictions)
    recorder.json("compare-part", "compare", coarse, runs["part"])
    recorder.json("compare-networks", "compare", runs["net32"], runs["net8"], shape=VERDICT)
    recorder.json("lens", "compare", "--lens", coarse)
    recorder.text("lens", "compare", "--lens", coarse)
    recorder.json("check-identical", "check", "--baseline", coarse)
    recorder.text("check-identical", "check", "--baseline", coarse, "--record", coarse)
    drift = ("check", "--baseline", coarse, "--record", fine)
    files = ("--markdown", "check.md", "--junit", "check.xml")
    recorder.json("check-drift", *drift, *files, code=1)
    recorder.file("check.md")
    cases = ElementTree.parse("check.xml").getroot().iter("testcase")
    found = [{**case.attrib, "failures": [each.get("message") for each in case]} for case in cases]
    recorder.used.files["json/check-junit.json"] = dumped(found)
    recorder.text("check-drift", *drift, code=1)
    both = ("--predictions", "p/fine", "--baseline-predictions", "p/coarse")
    recorder.json("check-drift-predictions", *drift, *both, code=1)
    recorder.json("check-allowed", *drift, *both, "--budget", "2000000", "--tolerance", "0.5", shape=NAMES)
    recorder.json(
        "check-networks", "check", "--baseline", runs["net32"], "--record", runs["net8"], code=1, shape=VERDICT
    )


def _pages_and_boards(recorder: _Recorder) -> None:
    recorder.json("report", "report", recorder.used.runs["coarse"], "--predictions", "p/coarse", "--examples", "1")
    for target in ("hf", "voc", "croissant"):
        recorder.json(f"export-{target}", "export", "pocket", "--to", target)
    recorder.text("export", "export", "pocket", "--to", "hf", "--output", "exported")
    # A board of oracles alone: with exact numbers.
    for model in ("oracle-perfect", "oracle-downsample:32", "oracle-constant:0", "oracle-constant:1"):
        recorder.session.json("run", "--model", model, "--board", "exact")
    recorder.json("board-build", "board", "--board", "exact", "--dataset", "pocket")
    recorder.text("board-build", "board", "--board", "exact")
    shown = recorder.session.json("board", "show", "--board", "b")["boards"]
    speed = [board for board in shown if "machine" in board]
    recorder.used.files["json/board-speed.json"] = dumped(masked(speed, recorder.session.root))
    recorder.json("board-verify", "board", "verify", "--board", "exact")
    recorder.text("board-verify", "board", "verify", "--board", "exact")
    recorder.json("board-html", "board", "html", "--board", "b", "--output", "site")
    claims = recorder.session.json("board", "--claims", "--board", "claims")["boards"]
    models = {board["dataset"]: [row["model"] for row in board["rows"]] for board in claims}
    recorder.used.files["json/board-claims.json"] = dumped(models)
    board = "exact/leaderboards/v1/pocket.csv"
    recorder.json("check-board", "check", "--baseline", board, shape=VERDICT)
    recorder.text("check-board", "check", "--baseline", board)


def _submissions(recorder: _Recorder) -> None:
    coarse, fine = recorder.used.runs["coarse"], recorder.used.runs["fine"]
    who = ("--contact", "a@b.example", "--licence", "MIT")
    recorder.json("submit", "submit", fine, *who, "--url", "https://b.example", "--note", "a note", "--board", "public")
    recorder.text("submit", "submit", coarse, *who, "--board", "public")
    recorder.json("verify", "verify", "public")
    recorder.text("verify", "verify", "public")
    recorder.json("verify-rerun", "verify", coarse, "--rerun", "--dry")
    recorder.json("verify-leaking", "verify", recorder.used.runs["leaking"], "--dry", code=1)
    recorder.text("verify-markdown", "verify", coarse, "--dry", "--markdown", "verify.md")
    recorder.file("verify.md")


def _sweeps(recorder: _Recorder) -> None:
    Path("sweep.toml").write_text(SWEEP, encoding="utf-8")
    recorder.json("sweep", "run", "--sweep", "sweep.toml", "--board", "swept", code=2)
    recorder.json("sweep-again", "run", "--sweep", "sweep.toml", "--board", "swept", code=2)


def _doctors(recorder: _Recorder) -> None:
    recorder.json("doctor-dataset", "doctor", "pocket")
    recorder.text("doctor-dataset", "doctor", "pocket")
    recorder.json("doctor-model", "doctor", "--model", "fcn32s-pocket", "--device", "cpu", shape=NAMES)
    recorder.json("doctor-device", "doctor", "--device", "cpu", shape=NAMES)
    found = recorder.session.json("doctor")
    # Plugins and accelerators of this machine are left out.
    own = ("fcnbench", "home folder", "torch", "torchvision", "decoders", "pocket", "store of pocket")
    findings = [tree(each, NAMES) for each in found["findings"] if each["subject"] in own]
    recorder.used.files["json/doctor.json"] = dumped({"sound": found["sound"], "findings": findings})
