"""Other harnesses' rules, each compared with the harness itself if a package has it, else with its definition."""

import runpy
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.conventions import CONVENTIONS, Convention
from fcnbench.metrics.scores import METRICS, scores

Map = NDArray[np.uint8]

CLASSES = 6
NAMED = {convention.name: convention for convention in CONVENTIONS}


def maps(void: bool, nowhere: bool, seed: int = 0) -> list[tuple[Map, Map]]:
    """Return eight pairs of label maps: class 4 is predicted and nowhere true; 5 is neither, if `nowhere`."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(8):
        size = tuple(random.integers(9, 30, 2))
        truth = random.integers(0, 4, size).astype(np.uint8)
        prediction = np.where(random.random(size) < 0.7, truth, random.integers(0, 5, size)).astype(np.uint8)
        if not nowhere:
            truth[0, 0] = 5
        if void:
            truth[-1] = 255
        pairs.append((truth, prediction))
    return pairs


def matrices(pairs: list[tuple[Map, Map]]) -> NDArray[np.int64]:
    return np.stack([confusion_matrix(truth, prediction, CLASSES) for truth, prediction in pairs])


CASES = [(void, nowhere) for void in (False, True) for nowhere in (False, True)]
every_case = pytest.mark.parametrize(("void", "nowhere"), CASES)


def rates(stack: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Accuracy, IU and true pixels per class, 0/0 being NaN."""
    total = stack.sum(axis=0)
    hits, true, predicted = total.diagonal(), total.sum(1), total.sum(0)
    with np.errstate(invalid="ignore"):
        return hits / true, hits / (true + predicted - hits), true


def test_the_papers_rules_are_those_of_fcnbench() -> None:
    stack = matrices(maps(True, True))
    assert NAMED["FCN paper"].scores(stack) == pytest.approx(scores(stack.sum(axis=0)).as_dict(), rel=1e-14)
    assert CONVENTIONS[0].name == "FCN paper"


@every_case
def test_the_reference_is_torchfcns_port_of_it(void: bool, nowhere: bool) -> None:
    try:
        path = distribution("torchfcn").locate_file("torchfcn/utils.py")
    except PackageNotFoundError:
        pytest.skip("torchfcn is not installed: pip install --no-deps -r tests/peers.txt")
    utils = runpy.run_path(str(path))
    pairs = maps(void, nowhere)
    found = NAMED["FCN reference"].scores(matrices(pairs))
    wanted = utils["label_accuracy_score"](
        [np.where(truth == 255, -1, truth.astype(int)) for truth, _ in pairs], [p for _, p in pairs], CLASSES
    )
    assert found == pytest.approx(dict(zip(METRICS, wanted, strict=True)), rel=1e-12)
    assert found["mean_iu"] == pytest.approx(scores(matrices(pairs).sum(axis=0), "union").mean_iu, rel=1e-14)


@every_case
def test_mmsegmentation_is_its_iou_metric(void: bool, nowhere: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = pytest.importorskip("mmseg.evaluation.metrics.iou_metric").IoUMetric(ignore_index=255)
    metric.dataset_meta = {"classes": [str(index) for index in range(CLASSES)]}
    for truth, prediction in maps(void, nowhere):
        sample = {
            "pred_sem_seg": {"data": torch.from_numpy(prediction)},
            "gt_sem_seg": {"data": torch.from_numpy(truth)},
        }
        metric.process({}, [sample])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = metric.compute_metrics(metric.results)
    found = NAMED["mmsegmentation"].scores(matrices(maps(void, nowhere)))
    assert 100 * found["pixel_acc"] == pytest.approx(float(wanted["aAcc"]), abs=1e-5)
    assert 100 * found["mean_acc"] == pytest.approx(float(wanted["mAcc"]), abs=1e-5)
    assert 100 * found["mean_iu"] == pytest.approx(float(wanted["mIoU"]), abs=1e-5)


def mmsegmentations(stack: NDArray[np.int64]) -> dict[str, str]:
    """Its three metrics as it prints them: areas added up, divided and rounded in float32, by definition."""
    hits, true, predicted = stack.diagonal(axis1=1, axis2=2), stack.sum(2), stack.sum(1)
    areas = [part.astype(np.float32) for part in (hits, true, true + predicted - hits)]
    intersect, label, union = (sum(area[1:], start=area[0]) for area in areas)
    with np.errstate(invalid="ignore"):
        found = {
            "pixel_acc": intersect.sum() / label.sum(),
            "mean_acc": np.nanmean(intersect / label),
            "mean_iu": np.nanmean(intersect / union),
        }
    return {name: str(np.round(value * np.float32(100), 2)) for name, value in found.items()}


@pytest.mark.parametrize(
    ("hits", "pixels", "printed"),
    [
        (5402, 8000, "67.52"),
        (5403, 8000, "67.54"),
        (1, 800, "0.12"),
        (3, 800, "0.38"),
        (1, 20_000, "0.0"),
        (3, 3, "100.0"),
    ],
)
def test_mmsegmentations_percentages_are_rounded_as_numpy_rounds_float32(hits: int, pixels: int, printed: str) -> None:
    stack = np.array([[[hits, pixels - hits], [0, 0]]])
    assert mmsegmentations(stack)["pixel_acc"] == printed
    assert str(round(100 * NAMED["mmsegmentation"].scores(stack)["pixel_acc"], 10)) == printed


def test_mmsegmentations_digits_are_those_of_float32_for_any_matrix() -> None:
    random = np.random.default_rng(0)
    stacks = [np.array([[[hits, 8000 - hits], [0, 1]]]) for hits in range(2, 8001, 4)]
    for _ in range(500):
        classes = int(random.integers(2, 40))
        occurs = random.random((1, classes, classes)) < 0.5
        stacks.append(
            random.integers(0, random.integers(2, 3000), (int(random.integers(1, 9)), classes, classes)) * occurs
        )
    stacks += [random.integers(0, 200_000, (60, 21, 21)) for _ in range(20)]
    for stack in stacks:
        if stack.any():
            found = NAMED["mmsegmentation"].scores(stack)
            assert {name: str(round(100 * value, 10)) for name, value in found.items()} == mmsegmentations(stack)


@pytest.mark.parametrize("seed", range(20))
def test_mmsegmentation_prints_what_its_metric_computes_of_the_same_areas(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = pytest.importorskip("mmseg.evaluation.metrics.iou_metric").IoUMetric()
    metric.dataset_meta = {"classes": [str(index) for index in range(21)]}
    stack = np.random.default_rng(seed).integers(0, 10_000, (400, 21, 21))
    stack[:, seed] = 0
    areas = []
    for matrix in torch.from_numpy(stack).float():
        hits, true, predicted = matrix.diag(), matrix.sum(1), matrix.sum(0)
        areas.append((hits, predicted + true - hits, predicted, true))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = metric.compute_metrics(areas)
    found = NAMED["mmsegmentation"].scores(stack)
    for name, theirs in (("pixel_acc", "aAcc"), ("mean_acc", "mAcc"), ("mean_iu", "mIoU")):
        assert f"{100 * found[name]:.2f}" == f"{float(wanted[theirs]):.2f}"


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda convention: convention.name)
def test_matrices_without_a_scored_pixel_give_nan_and_no_warning(convention: Convention) -> None:
    assert all(np.isnan(value) for value in convention.scores(np.zeros((2, 3, 3), np.int64)).values())


def test_mmsegmentations_float32_areas_stop_counting() -> None:
    """2**24 pixels and then one at a time: the float32 sum does not grow."""
    stack = np.zeros((9, 2, 2), np.int64)
    stack[0] = [[2**24, 0], [0, 2**24]]
    stack[1:, 0, 1] = 1
    found = NAMED["mmsegmentation"].scores(stack)
    assert found["mean_acc"] == 1.0
    assert NAMED["FCN paper"].scores(stack)["mean_acc"] < 1.0


@every_case
def test_cityscapes_is_its_evaluation_script(void: bool, nowhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    labels = {index: SimpleNamespace(ignoreInEval=False) for index in range(CLASSES)}
    monkeypatch.setattr(script, "id2label", labels)
    options = SimpleNamespace(evalLabels=list(range(CLASSES)))
    stack = matrices(maps(void, nowhere))
    total = stack.sum(axis=0).astype(np.ulonglong)
    per_class = {index: script.getIouScoreForLabel(index, total, options) for index in range(CLASSES)}
    wanted = script.getScoreAverage(per_class, options)
    assert NAMED["Cityscapes"].scores(stack) == {"mean_iu": pytest.approx(wanted, rel=1e-14)}


@pytest.mark.parametrize("nowhere", [False, True])
def test_per_image_is_torchmetrics_mean_iou(nowhere: bool) -> None:
    from torchmetrics.segmentation import MeanIoU

    # It has no ignore value (Lightning-AI/torchmetrics#2747), so there is no void here.
    metric = MeanIoU(num_classes=CLASSES, input_format="index")
    pairs = maps(False, nowhere)
    for truth, prediction in pairs:
        metric.update(torch.from_numpy(prediction)[None].long(), torch.from_numpy(truth)[None].long())
    assert NAMED["per image"].scores(matrices(pairs)) == {"mean_iu": pytest.approx(float(metric.compute()), abs=1e-6)}


@every_case
def test_detectron2_averages_over_classes_with_truth(void: bool, nowhere: bool) -> None:
    """`iou_valid` there is `pos_gt > 0` and a union: the package index has no detectron2 to ask."""
    stack = matrices(maps(void, nowhere))
    acc, iu, true = rates(stack)
    valid = true > 0
    wanted = {
        "pixel_acc": stack.sum(axis=0).trace() / true.sum(),
        "mean_acc": acc[valid].mean(),
        "mean_iu": iu[valid].mean(),
        "fw_iu": (iu[valid] * true[valid] / true.sum()).sum(),
    }
    assert NAMED["detectron2"].scores(stack) == pytest.approx(wanted, rel=1e-13)


@every_case
@pytest.mark.parametrize(("name", "digits"), [("VOC devkit", 1e-13), ("torchvision", 1e-6)])
def test_a_plain_mean_spreads_nan(name: str, digits: float, void: bool, nowhere: bool) -> None:
    stack = matrices(maps(void, nowhere))
    _, iu, true = rates(stack)
    found = NAMED[name].scores(stack)
    assert found["pixel_acc"] == pytest.approx(stack.sum(axis=0).trace() / true.sum(), rel=digits)
    if nowhere:
        assert np.isnan(found["mean_iu"])
    else:
        assert found["mean_iu"] == pytest.approx(iu.mean(), rel=digits)


def test_torchvision_divides_in_float32() -> None:
    """`self.mat.float()` before the division, as its references/segmentation/utils.py has it."""
    stack = np.array([[[10**8 + 1, 0], [3, 10**8]]])
    h = torch.from_numpy(stack[0]).float()
    wanted = (torch.diag(h) / (h.sum(1) + h.sum(0) - torch.diag(h))).mean()
    assert NAMED["torchvision"].scores(stack)["mean_iu"] == pytest.approx(float(wanted), abs=1e-7)


@every_case
def test_evaluate_takes_nanmeans_in_float64(void: bool, nowhere: bool) -> None:
    """Its `nan_to_num` comes after the mean. No package has its script, so the definition is used."""
    stack = matrices(maps(void, nowhere))
    acc, iu, true = rates(stack)
    wanted = {
        "pixel_acc": stack.sum(axis=0).trace() / true.sum(),
        "mean_acc": np.nanmean(acc),
        "mean_iu": np.nanmean(iu),
    }
    assert NAMED["HF evaluate"].scores(stack) == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda convention: convention.name)
def test_where_every_class_is_true_and_predicted_nothing_but_averaging_tells_them_apart(convention: Convention) -> None:
    pairs = [(np.arange(CLASSES, dtype=np.uint8).repeat(50), np.arange(CLASSES, dtype=np.uint8).repeat(50))] * 3
    assert convention.scores(matrices(pairs))["mean_iu"] == 1.0
