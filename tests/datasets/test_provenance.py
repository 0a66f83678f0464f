"""The provenance of a store: archives with published digests, or unverified."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fcnbench.cli.main import main
from fcnbench.datasets.archive import catalogue as sources
from fcnbench.datasets.archive.catalogue import archive_files, known_archives, recognise
from fcnbench.datasets.load import load_dataset
from fcnbench.util.archive import Archive
from tests.datasets import native


def know(monkeypatch: pytest.MonkeyPatch, name: str, path: Path, *, also: bool = False, algorithm: str = "md5") -> None:
    """Make a file's digest the published one of an archive."""
    digest = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    known = known_archives()[name]
    digests = {algorithm: digest}
    changed = Archive(
        known.name, "other-name.tar", known.urls, {"md5": "0" * 32} if also else digests, None, known.terms,
        known.citation, (digests,) if also else (),
    )  # fmt: skip
    monkeypatch.setattr(sources, "known_archives", lambda: {name: changed})


@pytest.mark.parametrize("also", [False, True])
@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_an_archive_is_identified_by_its_digest_and_not_by_its_name(
    tmp_path: Path, voc_ids: list[str], monkeypatch: pytest.MonkeyPatch, also: bool, algorithm: str
) -> None:
    archive = native.tar(native.voc(voc_ids), tmp_path / "renamed.bin")
    know(monkeypatch, "voc2012trainval", archive, also=also, algorithm=algorithm)
    monkeypatch.setattr("fcnbench.datasets.store.build.recognise", recognise)
    file = recognise(archive, ["voc2012trainval"])
    assert (file.archive, file.file, file.size) == ("voc2012trainval", "renamed.bin", archive.stat().st_size)
    assert file.digest == f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


def test_a_store_names_the_archives_it_was_built_from(
    tmp_path: Path, voc_ids: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = native.voc(voc_ids)
    folder = native.write(content, tmp_path / "native")
    assert load_dataset("voc2012val", folder, allow_partial=True).manifest.provenance == "unverified"
    stranger = native.tar(content, tmp_path / "a.tar")
    manifest = load_dataset("voc2012val", stranger, allow_partial=True).manifest
    assert manifest.provenance == "unverified"
    assert [file.file for file in manifest.sources] == ["a.tar"]
    known = native.tar(content, tmp_path / "b.tar", "w:gz")
    digest = hashlib.md5(known.read_bytes()).hexdigest()
    monkeypatch.setitem(known_archives()["voc2012trainval"].digests, "md5", digest)  # type: ignore[arg-type]
    for algorithm in ("sha1", "sha256"):
        monkeypatch.delitem(known_archives()["voc2012trainval"].digests, algorithm)  # type: ignore[arg-type]
    manifest = load_dataset("voc2012val", known, allow_partial=True).manifest
    assert manifest.provenance == f"voc2012trainval {manifest.sources[0].digest[7:19]}"
    assert main(["fetch", "voc2012val", "--from", str(known), "--allow-partial"]) == 0
    assert f"source       {manifest.provenance}" in capsys.readouterr().out


def test_file_names_of_the_archives_of_a_dataset() -> None:
    assert archive_files((("voc2010trainval", "pascal-context"), ("sbd",))) == {
        "VOCtrainval_03-May-2010.tar", "trainval.tar.gz", "benchmark.tgz",
    }  # fmt: skip


def test_an_archive_that_circulates_in_several_forms_has_no_exact_size() -> None:
    assert known_archives()["sbd"].size == 1_419_539_633
    assert known_archives()["sbd"].exact_size is None
    assert known_archives()["voc2012trainval"].exact_size == 1_999_639_040
