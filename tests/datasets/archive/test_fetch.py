"""Download of datasets: consent, archives, canonicalisation; and the command `fetch`."""

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.archive import catalogue as sources
from fcnbench.datasets.families.voc import VOC2011VAL, VOC2012VAL
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataMissing
from tests.datasets import native
from tests.datasets.server import Behaviour, serving

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FCNBENCH_OFFLINE")


@pytest.fixture
def behaviour(make_voc: Make, tmp_path: Path) -> Behaviour:
    """A server's file: a tar file with all of seg11valid in the folders of VOC2012, tiny images."""
    folder = make_voc(list(published_split("seg11valid").ids))
    with tarfile.open(tmp_path / "voc.tar", "w") as archive:
        archive.add(folder, arcname=".")
    return Behaviour((tmp_path / "voc.tar").read_bytes())


@pytest.fixture
def url(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the server, instead of those of the publisher and the mirrors."""
    with serving(behaviour) as address:
        known = sources.known_archives()
        digests = {"sha256": hashlib.sha256(behaviour.content).hexdigest()}
        local = {
            "voc2012trainval": replace(
                known["voc2012trainval"], urls=(address,), digests=digests, size=len(behaviour.content)
            ),
            "voc2011trainval": replace(known["voc2011trainval"], urls=("http://127.0.0.1:9/none.tar",)),
        }
        monkeypatch.setattr("fcnbench.datasets.archive.fetch.known_archives", lambda: local)
        yield address


def test_a_dataset_is_downloaded_canonicalised_and_then_read_offline(
    url: str, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = fcnbench.fetch("voc2011val", accept_terms=True)
    assert data.manifest.complete
    assert (len(data), data.manifest.variant) == (736, "VOC2012")
    assert (tmp_path / "home/archives/VOCtrainval_11-May-2012.tar").read_bytes() == behaviour.content
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    assert fcnbench.load_dataset("voc2011val").manifest == data.manifest
    assert len(behaviour.requests) == 1


def test_terms_must_be_accepted_once(url: str, behaviour: Behaviour, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"terms that you have not accepted yet.*flickr") as caught:
        fcnbench.load_dataset("voc2011val")
    assert "--accept-terms" in caught.value.hint
    assert behaviour.requests == []
    behaviour.status = 404
    with pytest.raises(DataMissing):
        fcnbench.load_dataset("voc2011val", accept_terms=True)
    assert "voc2012trainval" in json.loads((tmp_path / "home/consent.json").read_text())
    behaviour.status = None
    assert fcnbench.load_dataset("voc2011val").manifest.complete  # remembered


def test_a_damaged_consent_file_only_asks_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home/consent.json").write_text("[1, 2")
    with pytest.raises(DataMissing, match="not accepted yet"):
        fcnbench.load_dataset("voc2011val")
    assert fcnbench.load_dataset("voc2011val", accept_terms=True).manifest.complete


def test_the_failures_of_all_archives_are_in_one_message(url: str, behaviour: Behaviour) -> None:
    behaviour.html = True
    with pytest.raises(DataMissing) as caught:
        fcnbench.fetch("voc2011val", accept_terms=True)
    for text in ("VOCtrainval_11-May-2012.tar", "HTML page", "VOCtrainval_25-May-2011.tar", "can't be reached"):
        assert text in caught.value.message


def test_a_downloaded_archive_that_lacks_images_is_an_error(url: str) -> None:
    with pytest.raises(DataMissing, match="not all of voc2012val"):
        fcnbench.fetch("voc2012val", accept_terms=True)


def test_the_command_fetches_and_prints_what_is_in_the_store(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "voc2011val"]) == 3
    assert main(["fetch", "voc2011val", "--accept-terms"]) == 0
    assert "voc2011val (VOC2012), whole: 736 of 736 images, 736 label maps" in capsys.readouterr().out
    assert main(["fetch", "voc2011val", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["complete"]
    assert Path(content["store"]).is_dir()


def test_the_mirrors_can_be_checked(url: str, behaviour: Behaviour, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--check-urls"]) == 1  # the 2011 archive has no mirror that responds
    shown = capsys.readouterr().out
    assert f"ok    {url}: {len(behaviour.content)} bytes" in shown
    assert "DEAD  http://127.0.0.1:9/none.tar: can't be reached" in shown
    assert main(["fetch", "voc2012val", "--check-urls", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["archives"]) == ["voc2012trainval"]
    assert main(["fetch", "pocket", "--check-urls"]) == 0
    assert capsys.readouterr().out == "pocket has no archives to download\n"


def test_both_archives_of_a_dataset_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"2008_{index:06d}" for index in range(5)]
    voc = native.tar(native.voc(ids, "VOCdevkit/VOC2010", {"Main/val": ids}), tmp_path / "voc.tar").read_bytes()
    labels = native.tar(native.context_labels(ids), tmp_path / "labels.tgz", "w:gz").read_bytes()
    known = sources.known_archives()
    with serving(Behaviour(voc)) as first, serving(Behaviour(labels)) as second:
        local = {
            name: replace(known[name], urls=(url,), digests={"md5": hashlib.md5(content).hexdigest()})
            for name, url, content in (("voc2010trainval", first, voc), ("pascal-context", second, labels))
        }
        for module in ("fetch", "catalogue"):
            monkeypatch.setattr(f"fcnbench.datasets.archive.{module}.known_archives", lambda: local)
        with pytest.raises(DataMissing, match="terms that you have not accepted"):
            fcnbench.fetch("pascalcontext33val", allow_partial=True)
        data = fcnbench.fetch("pascalcontext33val", allow_partial=True, accept_terms=True)
    assert data.ids == tuple(ids)
    assert data.manifest.provenance.startswith("pascal-context ")
    assert " + voc2010trainval " in data.manifest.provenance
    # The other dataset is built from the same archives, without the network.
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    assert fcnbench.fetch("pascalcontext59val", allow_partial=True).ids == tuple(ids)


@pytest.mark.parametrize("compressed", [True, False])
def test_both_forms_of_sbd_are_identified_by_their_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    content = native.sbd(["2008_000001"], ["2008_000002"])
    packed = native.tar(content, tmp_path / "b.tgz", "w:gz").read_bytes()
    plain = native.tar(content, tmp_path / "b.tar").read_bytes()
    with serving(Behaviour(packed if compressed else plain)) as url:
        digests = [{"md5": hashlib.md5(form).hexdigest()} for form in (packed, plain)]
        entry = replace(
            sources.known_archives()["sbd"], urls=(url,), digests=digests[0], also=(digests[1],), size=len(packed)
        )
        for module in ("fetch", "catalogue"):
            monkeypatch.setattr(f"fcnbench.datasets.archive.{module}.known_archives", lambda: {"sbd": entry})
        data = fcnbench.fetch("sbdval", accept_terms=True, allow_partial=True)
    assert data.ids == ("2008_000002",)
    assert data.manifest.provenance.startswith("sbd ")


def test_wrong_usage_is_explained_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch"]) == 2
    assert main(["fetch", "voc"]) == 2
    monkeypatch.setenv("FCNBENCH_OFFLINE", "1")
    assert main(["fetch", "--check-urls"]) == 3
    assert main(["fetch", "voc2011val", "--accept-terms"]) == 3
    assert capsys.readouterr().err.count("next: ") == 4


def test_generated_datasets_need_no_archive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "pocket"]) == 0
    assert "whole: 64 of 64 images" in capsys.readouterr().out


def test_seg11valid_is_part_of_voc2012_val() -> None:
    assert len(VOC2012VAL.split.ids) == 1449
    assert set(VOC2011VAL.split.ids) < set(VOC2012VAL.split.ids)


def test_all_real_voc2012_val_label_maps_pass(shared: Path) -> None:
    data = fcnbench.load_dataset("voc2012val", shared / "data", allow_partial=True)
    assert data.ids == VOC2012VAL.split.ids
    assert data.manifest.histogram == GOLDEN_HISTOGRAM


GOLDEN_HISTOGRAM = (
    179546198,
    1923813,
    812837,
    2151885,
    1348653,
    1921777,
    4320752,
    3593454,
    5720951,
    2114193,
    2966844,
    2864750,
    5034389,
    2641937,
    2587440,
    12999623,
    1234562,
    1932805,
    3479235,
    3919005,
    1771754,
    14232845,
)
"""Pixels per class of the 1,449 real label maps, counted by `numpy.bincount` over Pillow's indices; void last."""
