"""Oracles: bounds that need neither weights nor images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.datasets.splits import published_split
from fcnbench.errors import ModelError, UnknownName, UsageError
from fcnbench.models.oracles import INTERPOLATIONS, constant, downsample, perfect
from tests.datasets import native

LABEL = np.array([[0, 0, 1, 1], [0, 255, 1, 1], [2, 2, 3, 3], [2, 2, 3, 255]], np.uint8)


def test_the_predictions() -> None:
    np.testing.assert_array_equal(perfect().predict_from_ground_truth(LABEL), np.where(LABEL == 255, 0, LABEL))
    assert (constant("7").predict_from_ground_truth(LABEL) == 7).all()
    for method in INTERPOLATIONS:
        assert (downsample(f"1:{method}").predict_from_ground_truth(LABEL)[LABEL != 255] == LABEL[LABEL != 255]).all()
        assert len(np.unique(downsample(f"64:{method}").predict_from_ground_truth(LABEL))) == 1
        assert downsample(f"3:{method}").predict_from_ground_truth(np.zeros((1, 5), np.uint8)).shape == (1, 5)
    np.testing.assert_array_equal(
        downsample("2:area").predict_from_ground_truth(LABEL), np.kron([[0, 1], [2, 3]], np.ones((2, 2), int))
    )
    assert (downsample("2").predict_from_ground_truth(np.full((4, 4), 255, np.uint8)) == 0).all()


@pytest.mark.parametrize(
    "model", ["oracle-downsample:0", "oracle-downsample:x", "oracle-downsample:2:cubic", "oracle-constant:255"]
)
def test_wrong_arguments_are_refused(model: str) -> None:
    with pytest.raises(UsageError):
        fcnbench.load_model(model)
    with pytest.raises(UnknownName, match="lacks its F"):
        fcnbench.load_model("oracle-downsample")


def test_an_oracle_takes_no_images_and_has_no_logits() -> None:
    oracle = fcnbench.load_model("oracle-perfect")
    with pytest.raises(ModelError, match="takes no images"):
        oracle.prepare(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ModelError, match="has no logits"):
        oracle.logits(None)  # type: ignore[arg-type]


def test_runs_on_label_maps_alone(tmp_path: Path) -> None:
    ids = published_split("siftflow-test").ids[:4]
    content = {name: data for name, data in native.siftflow(ids).items() if not name.endswith(".jpg")}
    source = native.write(content, tmp_path / "native")
    run = fcnbench.run("oracle-perfect", "siftflowtest", from_=source, allow_partial=True, board=tmp_path)
    assert run.scores == {"pixel_acc": 1, "mean_acc": 1, "mean_iu": 1, "fw_iu": 1, "geo_pixel_acc": 1}
    assert (
        run.record.protocol.signature()
        == "fcn2|data:siftflowtest#4/200|classes:33|ignore:255|mean:gt|infer:native|prec:fp32|input:truth"
    )
    assert run.record.model.weights_digest is None


@pytest.mark.parametrize(("interpolation", "mean_iu"), [("bilinear", 85.62), ("area", 83.46), ("nearest", 80.86)])
def test_the_papers_upper_bound_on_real_label_maps(
    shared: Path, tmp_path: Path, interpolation: str, mean_iu: float
) -> None:
    """The first 100 images of seg11valid; docs/models.md has all 736, with the paper's Appendix A."""
    model = f"oracle-downsample:32:{interpolation}"
    run = fcnbench.run(model, "voc2011val", from_=shared / "data", allow_partial=True, limit=100, board=tmp_path)
    assert run.record.protocol.count == "100/736"
    assert 100 * run.scores["mean_iu"] == pytest.approx(mean_iu, abs=0.01)
