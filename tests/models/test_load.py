"""Loading models from names, files with a factory, modules and objects, and the errors of each."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import fcnbench
from fcnbench.errors import FcnbenchError, ModelError, PredictionError, UnknownName, WeightsError
from fcnbench.models.load import load_model, open_model
from fcnbench.models.preprocess import caffe_bgr, imagenet_rgb, nyud_bgr, nyud_hha, siftflow_bgr
from fcnbench.models.segmenter import ModuleSegmenter, Segmenter, SegmenterWrapper, preprocess_on, weights_digest

HEAD = """
import torch
from torch import nn
import numpy as np

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.score = nn.Conv2d(3, classes, 1)
    def forward(self, x):
        return self.score(x)
"""


def write(tmp_path: Path, body: str) -> str:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + body)
    return f"{path}:build"


def test_a_module_factory_in_a_file_is_a_model(tmp_path: Path) -> None:
    name = write(tmp_path, "def build(weights=None, num_classes=21): return Net(num_classes)")
    loaded = open_model(name, num_classes=5)
    assert (loaded.name, loaded.provider) == ("nets.py:build", "nets.py")
    assert loaded.segmenter.logits(torch.zeros(1, 3, 8, 9)).shape == (1, 5, 8, 9)


@pytest.mark.parametrize(
    "body",
    [
        "def build(): return Net(5)",
        "def build(num_classes): return Net(num_classes)",
        "def build(*, weights, num_classes): assert weights is None; return Net(num_classes)",
        "def build(**options): return Net(options['num_classes'])",
        "def build(weights=None): return Net(5)",
        "import functools\nbuild = functools.partial(Net, 5)",
        "class build(Net):\n    def __init__(self): super().__init__(5)",
    ],
)
def test_factories_get_what_their_signature_takes(tmp_path: Path, body: str) -> None:
    assert load_model(write(tmp_path, body), num_classes=5).logits(torch.zeros(1, 3, 4, 4)).shape == (1, 5, 4, 4)


def test_weights_are_handed_to_the_factory_as_they_were_said(tmp_path: Path) -> None:
    body = "def build(weights, num_classes):\n    net = Net(2)\n    net.said = weights\n    return net"
    loaded = open_model(write(tmp_path, body), weights="anything at all", num_classes=2)
    assert loaded.segmenter.module.said == "anything at all"


def test_torchvision_models_are_models_as_they_are(tmp_path: Path) -> None:
    """The mapping with the key `out` is understood; nothing is downloaded (weights_backbone=None)."""
    path = tmp_path / "tv.py"
    path.write_text(
        "from functools import partial\n"
        "from torchvision.models.segmentation import lraspp_mobilenet_v3_large\n"
        "build = partial(lraspp_mobilenet_v3_large, weights=None, weights_backbone=None)\n"
    )
    model = load_model(f"{path}:build", num_classes=21)
    assert model.logits(torch.zeros(1, 3, 64, 96)).shape == (1, 21, 64, 96)
    assert model.preprocessing == "imagenet_rgb"


def test_other_models_do_not_import_torchvision(tmp_path: Path) -> None:
    code = "import sys, fcnbench; fcnbench.run(limit=1); sys.exit('torchvision' in sys.modules)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_segmenter_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    body = (
        "class Own:\n"
        "    def prepare(self, image): return torch.zeros(3, *image.shape[:2])\n"
        "    def logits(self, batch): return torch.zeros(1, 2, *batch.shape[2:])\n"
        "def build(): return Own()"
    )
    model = load_model(write(tmp_path, body))
    assert isinstance(model, Segmenter)
    assert weights_digest(model) is None


def test_neighbours_of_the_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "my_neighbour_module.py").write_text("CLASSES = 4")
    name = write(tmp_path, "from my_neighbour_module import CLASSES\ndef build(): return Net(CLASSES)")
    assert load_model(name).logits(torch.zeros(1, 3, 2, 2)).shape == (1, 4, 2, 2)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("build = 3", ModelError, "nets.py:build is a int, expected a factory"),
        ("def build(): return 'net'", ModelError, "returns an object of type str"),
        ("def build(): raise RuntimeError('no luck')", ModelError, "failed: RuntimeError: no luck"),
        ("import sys\ndef build(): sys.exit(0)", ModelError, "failed: SystemExit: 0"),
        ("import sys\nsys.exit(0)", ModelError, "can't be imported: SystemExit: 0"),
        ("def build(): return Net", ModelError, "returns an object of type type"),
        ("raise OSError('broken file')", ModelError, "can't be imported: OSError: broken file"),
        ("this is hardly python", ModelError, "can't be imported: SyntaxError"),
        ("other = 1", UnknownName, "does not define 'build'"),
        (
            "class N(Net):\n    num_classes = 7\ndef build(): return N(7)",
            ModelError,
            "7 classes, and the dataset has 5",
        ),
    ],
)
def test_whatever_is_wrong_with_a_file_is_a_sentence(
    tmp_path: Path, body: str, error: type[FcnbenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_model(write(tmp_path, body), num_classes=5)


def test_weights_for_a_factory_that_takes_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="takes no weights"):
        load_model(write(tmp_path, "def build(): return Net(5)"), weights="x.pth")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UnknownName, match=r"there is no file nowhere\.py"):
        load_model("nowhere.py:build")


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="no model is called 'fcn8'") as caught:
        load_model("fcn8")
    assert "fcn8s" in caught.value.hint


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ([1], r"a list \(0: int\)"),
        (None, "a NoneType,"),
        ((torch.zeros(1, 8, 2, 2), torch.zeros(1, 3)), r"a tuple \(0: \[1, 8, 2, 2\], 1: \[1, 3\]\)"),
        ({"logits": torch.zeros(1, 8, 2, 2), "loss": None}, r"a dict \(logits: \[1, 8, 2, 2\], loss: NoneType\)"),
    ],
)
def test_a_module_without_logits_is_named_with_its_output(output: object, said: str) -> None:
    class Nothing(nn.Module):
        def forward(self, batch: torch.Tensor) -> object:
            return output

    with pytest.raises(PredictionError, match=f"Nothing returns {said}"):
        ModuleSegmenter(Nothing()).logits(torch.zeros(1, 3, 2, 2))


def test_prepare_of_the_module_is_used() -> None:
    class Own(nn.Module):
        preprocessing = "halved"

        def prepare(self, image: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32)) / 2

    segmenter = ModuleSegmenter(Own())
    assert segmenter.preprocessing == "halved"
    assert segmenter.prepare(np.full((2, 2, 3), 8, np.uint8)).unique().tolist() == [4.0]


def test_caffe_bgr_swaps_channels_and_subtracts_the_reference_mean() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 0] = (10, 20, 30)
    prepared = caffe_bgr(image)
    assert prepared.dtype == torch.float32
    assert prepared[:, 0, 0].tolist() == pytest.approx([30 - 104.00699, 20 - 116.66877, 10 - 122.67892])


def test_imagenet_rgb_equals_torchvisions_normalisation() -> None:
    from torchvision.transforms import functional

    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = functional.normalize(functional.to_tensor(image), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    torch.testing.assert_close(imagenet_rgb(image), expected)


def test_preprocessing_never_changes_the_image() -> None:
    image = np.full((3, 3, 3), 7, np.uint8)
    image.setflags(write=False)
    caffe_bgr(image)
    imagenet_rgb(image)


def test_weights_digest_changes_with_any_parameter_and_not_with_the_run() -> None:
    first, second = fcnbench.load_model("fcn8s-pocket"), fcnbench.load_model("fcn8s-pocket")
    assert weights_digest(first) == weights_digest(second)
    second.module.score_fr.bias.data[0] += 1e-6
    assert weights_digest(first) != weights_digest(second)


def test_listing_models_imports_no_torch() -> None:
    code = "import sys, fcnbench; fcnbench.list_models(); fcnbench.list_datasets(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_built_in_preparations_are_the_same_on_a_device_from_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (11, 13, 3), np.uint8)
    for prepare in (caffe_bgr, siftflow_bgr, nyud_bgr, nyud_hha):
        assert torch.equal(prepare.on(torch.device("cpu"), image), prepare(image))
        elsewhere = prepare.on(torch.device("meta"), image)
        assert (elsewhere.shape, elsewhere.dtype) == ((3, 11, 13), torch.float32)
        # What would be on the device if copies to it stayed here: the image goes there as bytes.
        moved: list[torch.dtype] = []

        def stay(tensor: torch.Tensor, *more: object, moved: list[torch.dtype] = moved, **options: object) -> object:
            moved.append(tensor.dtype)
            return tensor

        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "to", stay)
            assert torch.equal(prepare.on(torch.device("meta"), image), prepare(image))
        assert moved == [torch.uint8, torch.float32]


def test_what_a_model_prepares_itself_is_never_passed_over() -> None:
    image = np.random.default_rng(0).integers(0, 256, (11, 13, 3), np.uint8)
    cpu = torch.device("cpu")

    class Halved(ModuleSegmenter):
        def prepare(self, *images: np.ndarray) -> torch.Tensor:
            return super().prepare(*images) / 2

    plain = load_model("fcn8s-pocket", fast=False)
    around = SegmenterWrapper(plain)
    replaced = load_model("fcn8s-pocket", fast=False)
    replaced.prepare = lambda image: caffe_bgr(image) / 2
    assert torch.equal(preprocess_on(plain, cpu, image), caffe_bgr(image))
    assert torch.equal(preprocess_on(around, cpu, image), caffe_bgr(image))
    for own in (Halved(plain.module, caffe_bgr), SegmenterWrapper(Halved(plain.module, caffe_bgr)), replaced):
        assert torch.equal(preprocess_on(own, cpu, image), caffe_bgr(image) / 2)


def test_a_factory_draws_the_same_numbers_whatever_was_drawn_while_the_file_was_imported(tmp_path: Path) -> None:
    (tmp_path / "draws.py").write_text("import torch\nfirst = torch.randn(5)\n")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\nimport draws\n\n\ndef build():\n    return nn.Conv2d(3, 2, 1)\n"
    )
    name = f"{tmp_path / 'net.py'}:build"
    # The second time `draws` is imported already.
    one, two = (load_model(name).module.weight for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    torch.manual_seed(0)
    torch.testing.assert_close(one, nn.Conv2d(3, 2, 1).weight, rtol=0, atol=0)
