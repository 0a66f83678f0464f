"""Published weights: the catalogue, download and conversion."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import fcnbench
from fcnbench.datasets.registry import DATASETS
from fcnbench.errors import DataMissing, WeightsError
from fcnbench.leaderboard.claims import claims
from fcnbench.models.fcn import zoo as builtin
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.zoo import DEFINITIONS, Definition
from fcnbench.models.weights import published
from fcnbench.models.weights.load import load_weights, randomise
from tests.datasets.server import Behaviour, serving
from tests.models.fcn.nets import NARROW
from tests.models.weights.caffemodel import caffemodel
from tests.models.weights.test_caffe import written


def test_every_entry_is_for_a_built_in_model_and_its_classes() -> None:
    entries = published.published()
    assert len(entries) == 20
    for name, entry in entries.items():
        assert entry.model in DEFINITIONS or name in ("vgg16-ilsvrc", "caffenet-ilsvrc")
        assert entry.archive.urls
        assert entry.licence == ("BSD-2-Clause" if entry.model else "the publisher's")
        assert entry.archive.size is None
        # Four bytes for each number of the network, so that a person can decide.
        if entry.model:
            with torch.device("meta"):
                net = DEFINITIONS[entry.model].net(entry.num_classes)
            numbers = sum(value.numel() for value in net.parameters())
            assert entry.archive.likely_size == 4 * numbers
        for algorithm, digest in entry.archive.digests.items():
            assert len(digest) == 2 * hashlib.new(algorithm).digest_size
        for split in entry.train_splits:
            assert split in DATASETS.entries() or split == "pascalcontext-train"


def test_every_claim_about_published_weights_names_an_entry() -> None:
    # The four rows that another team measured with the authors' weights.
    named = [claim for claim in claims() if claim.weights]
    assert [claim.weights for claim in named if claim.weights not in published.published()] == []
    assert len(named) == 4
    scores = {claim.weights: tuple(claim.scores.values()) for claim in named}
    assert scores["fcn8s-heavy-pascal"] == (0.912212, 0.776146, 0.655126, 0.845445)


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> FCN:
    """Replace fcn8s by a narrow net, so that its published file is small enough to serve here."""
    small = Definition(lambda classes: FCN(classes, 8, NARROW), 21)
    monkeypatch.setitem(builtin.DEFINITIONS, "fcn8s", small)
    made = FCN(21, 8, NARROW)
    randomise(made, 1)
    return made


def test_a_name_is_fetched_checked_converted_and_kept(
    net: FCN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FCNBENCH_OFFLINE")
    content = caffemodel(written(net), old=True, legacy=True)
    entry = published.published()["fcn8s-heavy-pascal"]
    with serving(Behaviour(content)) as url:
        digest = hashlib.sha1(content).hexdigest()
        local = replace(entry, archive=replace(entry.archive, urls=(url,), digests={"sha1": digest}))
        monkeypatch.setitem(published.published(), entry.name, local)
        segmenter = fcnbench.load_model("fcn8s", accept_terms=True)
    for name, value in segmenter.module.state_dict().items():
        torch.testing.assert_close(value, net.state_dict()[name], rtol=0, atol=0, msg=name)
    assert segmenter.train_splits == ("sbdtrain",)
    folder = tmp_path / "home/weights"
    assert not (folder / "fcn8s-heavy-pascal.caffemodel").exists()
    with safe_open(folder / "fcn8s-heavy-pascal.safetensors", "pt") as kept:
        about = kept.metadata()
    assert about == {
        "source": "fcn8s-heavy-pascal.caffemodel",
        "sha256": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    # From then on without the network.
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    assert fcnbench.load_model("fcn8s", "fcn8s-heavy-pascal", 21).num_classes == 21


@pytest.mark.parametrize("name", ["fcn8s-torchfcn", "trunk:vgg16-ilsvrc"])
def test_other_publishers_files_are_kept_likewise(
    net: FCN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("FCNBENCH_OFFLINE")
    entry = published.published()[name.removeprefix("trunk:")]
    path = tmp_path / "theirs"
    if entry.archive.file.endswith(".pth"):
        torch.save(net.state_dict(), path)
    else:
        path.write_bytes(caffemodel([layer for layer in written(net) if "score" not in layer[0]], old=True))
    content = path.read_bytes()
    with serving(Behaviour(content)) as url:
        digests = {"md5": hashlib.md5(content).hexdigest()}
        local = replace(entry, archive=replace(entry.archive, urls=(url,), digests=digests))
        monkeypatch.setitem(published.published(), entry.name, local)
        segmenter = fcnbench.load_model("fcn8s", name, 21, accept_terms=True)
    torch.testing.assert_close(segmenter.module.fc6.weight, net.fc6.weight, rtol=0, atol=0)
    assert bool(segmenter.module.score_fr.weight.any()) == (entry.name == "fcn8s-torchfcn")
    assert segmenter.train_splits == (("sbdtrain",) if entry.name == "fcn8s-torchfcn" else ())


def test_a_wrong_digest_and_no_network_are_named(net: FCN, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="FCNBENCH_OFFLINE forbids"):
        fcnbench.load_model("fcn8s", "fcn8s-heavy-pascal", 21)
    monkeypatch.delenv("FCNBENCH_OFFLINE")
    entry = published.published()["fcn8s-heavy-pascal"]
    with serving(Behaviour(b"something else")) as url:
        local = replace(entry, archive=replace(entry.archive, urls=(url,)))
        monkeypatch.setitem(published.published(), entry.name, local)
        with pytest.raises(DataMissing, match=r"weights of fcn8s must be downloaded, .*BSD-2-Clause") as caught:
            fcnbench.load_model("fcn8s", "fcn8s-heavy-pascal", 21)
        assert "--accept-terms" in caught.value.hint
        with pytest.raises(DataMissing, match="expected c449ea74"):
            fcnbench.load_model("fcn8s", "fcn8s-heavy-pascal", 21, accept_terms=True)
    assert not [path for path in (tmp_path / "home/weights").iterdir() if path.suffix != ".lock"]


def test_weights_of_another_task_are_refused(net: FCN, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(written(net)))
    with pytest.raises(WeightsError, match="not made for fcn8s with 60 classes"):
        fcnbench.load_model("fcn8s", path, 60)


def vgg16_state(net: FCN, prefix: str) -> dict[str, torch.Tensor]:
    """Return the trunk of a narrow net as a classification checkpoint of torchvision or timm."""
    convolutions = [name for name, _ in net.named_modules() if name.startswith("conv")]
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of the convolutions in `features`
    state = {}
    for name, number in zip(convolutions, numbers, strict=True):
        for part in ("weight", "bias"):
            state[f"features.{number}.{part}"] = net.state_dict()[f"{name}.{part}"]
    fully = ("classifier.0", "classifier.3") if prefix == "torchvision" else ("pre_logits.fc1", "pre_logits.fc2")
    for name, key in zip(("fc6", "fc7"), fully, strict=True):
        weight = net.state_dict()[f"{name}.weight"]
        state[f"{key}.weight"] = weight.reshape(len(weight), -1) if prefix == "torchvision" else weight
        state[f"{key}.bias"] = net.state_dict()[f"{name}.bias"]
    last = "classifier.6" if prefix == "torchvision" else "head.fc"
    return {**state, f"{last}.weight": torch.zeros(7, 4), f"{last}.bias": torch.zeros(7)}


@pytest.mark.parametrize("source", ["torchvision", "timm", "caffe"])
def test_a_classification_net_fills_the_trunk(tmp_path: Path, source: str) -> None:
    net, made = FCN(21, 8, NARROW), FCN(21, 8, NARROW)
    randomise(net, 1)
    randomise(made, 2)
    if source == "caffe":
        path = tmp_path / "vgg.caffemodel"
        layers = [
            (name, "InnerProduct" if name.startswith("fc") else kind,
             [blob.reshape(len(blob), -1) if name.startswith("fc") and blob.ndim > 1 else blob for blob in blobs])
            for name, kind, blobs in written(net) if not name.startswith(("score", "upscore"))
        ]  # fmt: skip
        path.write_bytes(caffemodel(layers, old=True))
    else:
        path = tmp_path / "vgg.pth"
        torch.save(vgg16_state(net, source), path)
    load_weights(made, f"trunk:{path}", "it")
    for name, value in made.state_dict().items():
        expected = torch.zeros_like(value) if name.startswith("score") else net.state_dict()[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0, msg=name)


def test_torchvisions_vgg16_has_just_these_layers() -> None:
    """The names and shapes of the real network, without its numbers."""
    from torchvision import models

    from fcnbench.models.weights.load import as_convolutions, caffe_names

    with torch.device("meta"):
        theirs, ours = models.vgg16(weights=None), FCN(21, 32)
    own = ours.state_dict()
    trunk = [name for name in own if not name.startswith(("score", "upscore"))]
    found = as_convolutions(own, caffe_names(theirs.state_dict(), trunk))
    assert {name: tuple(found[name].shape) for name in trunk} == {name: tuple(own[name].shape) for name in trunk}


def test_another_net_fills_no_trunk(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="does not fill the trunk of it: it lacks conv1_1"):
        load_weights(FCN(21, 8, NARROW), f"trunk:{tmp_path}/net.pth", "it")
