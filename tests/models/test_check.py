"""`fcnbench doctor --model`: each fault of a model is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import main

NET = """
import itertools, torch
from torch import nn
class Net(nn.Module):
    turns = itertools.count()
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 1)
        self.norm = nn.BatchNorm2d(8)
    def forward(self, x):
        y = self.norm(self.body(x))
        {broken}
        return y
def build(num_classes):
    return Net()
"""


def verdicts(tmp_path: Path, broken: str) -> dict[str, tuple[bool, str]]:
    (tmp_path / "net.py").write_text(NET.replace("{broken}", broken))
    found = fcnbench.examine_model(f"{tmp_path}/net.py:build", device="cpu")
    return {finding.subject: (finding.sound, finding.text) for finding in found}


def test_a_sound_model(tmp_path: Path) -> None:
    found = verdicts(tmp_path, "pass")
    assert all(sound for sound, _ in found.values())
    assert list(found) == [
        "modalities",
        "label space",
        "97x131",
        "64x64",
        "33x200",
        "1x1",
        "determinism",
        "ahead",
        "batch",
        "memory",
        "module",
    ]


@pytest.mark.parametrize(
    ("broken", "subject", "said"),
    [
        ("y = y[..., ::2, ::2]", "97x131", "logits are (1, 8, 49, 66), expected (1, 8, 97, 131)"),
        ("y = y.argmax(1, keepdim=True).expand(-1, 8, -1, -1)", "64x64", "expected floating point"),
        ("y = y * float('nan')", "1x1", "the logits hold NaN"),
        ("y = torch.full_like(y, -float('inf'))", "64x64", "minus infinity in every class"),
        ("y = torch.full_like(y, -float('inf'))", "batch", "no logit is finite"),
        ("y = y + next(self.turns)", "determinism", "gives different logits"),
        ("y = y - y.mean((0, 2, 3), keepdim=True) * (len(x) - 1)", "batch", "pixels change class"),
        ("self.kept = [*getattr(self, 'kept', []), torch.ones(2**20)]", "memory", "20 more images take"),
        ("self.norm.train()", "module", "1 parts are in training mode, norm first"),
        ("assert x.shape[2] > 1", "1x1", "AssertionError"),
        ("raise SystemExit(3)", "determinism", "SystemExit: 3"),
    ],
)
def test_faults_of_a_model_are_named(tmp_path: Path, broken: str, subject: str, said: str) -> None:
    sound, text = verdicts(tmp_path, broken)[subject]
    assert not sound
    assert said in text


def test_a_model_that_keeps_state_for_its_logits_is_reported(tmp_path: Path) -> None:
    (tmp_path / "keeps.py").write_text(
        "import numpy as np, torch\n"
        "class Keeps:\n"
        "    def prepare(self, image):\n"
        "        self.size = image.shape[:2]\n"
        "        return torch.from_numpy(image[::2, ::2].transpose(2, 0, 1).astype(np.float32))\n"
        "    def logits(self, batch):\n"
        "        return torch.nn.functional.interpolate(batch[:, [0, 1, 2, 0, 1, 2, 0, 1]], self.size)\n"
        "build = Keeps\n"
    )
    found = fcnbench.examine_model(f"{tmp_path}/keeps.py:build", device="cpu")
    (ahead,) = [finding for finding in found if finding.subject == "ahead"]
    assert not ahead.sound
    assert "keep nothing between prepare and logits" in ahead.text
    assert all(finding.sound for finding in found if finding.subject in ("97x131", "determinism"))


def test_a_model_that_lacks_classes_is_reported(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        NET.replace("{broken}", "pass").replace("turns =", "classes = ('disk', 'star', *'abcdef')\n    turns =")
        + "\nclass Named:\n"
        "    classes = Net.classes\n"
        "    def __init__(self):\n"
        "        from fcnbench import ModuleSegmenter\n"
        "        self.inner = ModuleSegmenter(Net())\n"
        "    def prepare(self, image):\n"
        "        return self.inner.prepare(image)\n"
        "    def logits(self, batch):\n"
        "        return self.inner.logits(batch)\n"
        "def named():\n"
        "    return Named()\n"
    )
    found = {f.subject: f for f in fcnbench.examine_model(f"{tmp_path}/net.py:named")}
    assert not found["label space"].sound
    assert "the model does not know square" in found["label space"].text


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "fcn32s-pocket"]) == 0
    assert "ok      determinism: the same image twice gives the same logits" in capsys.readouterr().out
    assert main(["doctor", "--model", "oracle-constant:3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sound"]
    assert main(["doctor", "--model", "fcn8s"]) == 4  # no weights
    assert main(["doctor", "voc2011val", "--model", "fcn8s-pocket"]) == 4  # another label space
    assert main(["doctor", "--model", "nothing"]) == 2


def test_models_can_be_listed_with_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "--verbose"]) == 0
    shown = capsys.readouterr().out
    assert "fcn-alexnet                   8    56,954,261                355        32  8 layers, 57M, 355, 32" in shown
    assert main(["list", "--verbose", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"]) == 18
