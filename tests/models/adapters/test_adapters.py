"""Models of other libraries and of files, each built and run."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fcnbench
from fcnbench.datasets.families.voc import VOC21
from fcnbench.errors import ModelError, UnknownName, WeightsError
from fcnbench.models.adapters.resizing import ResizingSegmenter
from fcnbench.models.load import open_model
from fcnbench.models.segmenter import weights_digest

IMAGE = np.random.default_rng(0).integers(0, 256, (45, 67, 3), np.uint8)


class Net(nn.Module):
    """A small network with a stride, whose logits need up-sampling."""

    def __init__(self, classes: int = 8) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, classes, 5, stride=2, padding=2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.body(batch)


def logits(segmenter: Any) -> torch.Tensor:
    with torch.inference_mode():
        return segmenter.logits(segmenter.prepare(IMAGE)[None])


def seeded(classes: int = 8) -> Net:
    torch.manual_seed(0)
    return Net(classes).eval()


def test_torchvision_models_are_scored_at_the_images_size(tmp_path: Path) -> None:
    found = open_model("torchvision:lraspp_mobilenet_v3_large", "random:3", 21, classes=VOC21.classes)
    assert logits(found.segmenter).shape == (1, 21, 45, 67)
    again = open_model("torchvision:lraspp_mobilenet_v3_large", "random:3", 21)
    assert weights_digest(found.segmenter) == weights_digest(again.segmenter)
    assert weights_digest(
        open_model("torchvision:lraspp_mobilenet_v3_large", "random:4", 21).segmenter
    ) != weights_digest(again.segmenter)
    torch.save(found.segmenter.module.state_dict(), tmp_path / "net.pth")
    loaded = open_model("torchvision:lraspp_mobilenet_v3_large", str(tmp_path / "net.pth"), 21)
    torch.testing.assert_close(logits(loaded.segmenter), logits(found.segmenter))
    with pytest.raises(UnknownName, match="no segmentation model 'resnet50'"):
        open_model("torchvision:resnet50", "random:0", 21)
    with pytest.raises(WeightsError, match="has no weights 'IMAGENET'"):
        open_model("torchvision:lraspp_mobilenet_v3_large", "IMAGENET", 21)
    with pytest.raises(UnknownName, match="lacks its NAME"):
        open_model("torchvision")


def test_torchvisions_own_weights_bring_their_preprocessing_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision downloads the weights; here its download is replaced."""
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights, lraspp_mobilenet_v3_large

    state = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict()
    member = LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    monkeypatch.setattr(type(member), "get_state_dict", lambda self, *a, **k: state)
    found = open_model("torchvision:lraspp_mobilenet_v3_large", None, 21, classes=VOC21.classes)
    assert found.class_mapping is not None
    assert found.class_mapping.identity
    assert found.segmenter.preprocessing == "RGB - (0.485, 0.456, 0.406) / (0.229, 0.224, 0.225), short side 520"
    assert found.segmenter.train_splits == ("coco2017",)
    assert logits(found.segmenter).shape == (1, 21, 45, 67)


def test_a_download_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights as Weights

    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(Weights, "get_state_dict", offline)
    with pytest.raises(WeightsError, match="torchvision could not download"):
        open_model("torchvision:lraspp_mobilenet_v3_large", None, 21)


@pytest.fixture
def segformer(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    names = ("wall", "airplane", "person", "cat")
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3], strides=[4, 2],
        num_attention_heads=[1, 2], mlp_ratios=[1, 1], decoder_hidden_size=16,
        id2label=dict(enumerate(names)), label2id={name: index for index, name in enumerate(names)},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path / "net")
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 96}, do_reduce_labels=False)
    processor.save_pretrained(tmp_path / "net")
    return tmp_path / "net"


@pytest.mark.filterwarnings("ignore")  # what transformers deprecates in itself is its own affair
def test_hugging_face_models_bring_their_preprocessing_and_classes(
    segformer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import transformers

    found = open_model(f"hf:{segformer}", None, 21, classes=VOC21.classes)
    ours = logits(found.segmenter)
    assert ours.shape == (1, 21, 45, 67)
    said = capsys.readouterr().err
    assert "4 of 21 classes matched by name" in said
    assert "the model does not know bicycle" in said
    # The library's way from image to label map, in its classes.
    net = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(segformer)
    with torch.inference_mode():
        output = net(**processor(IMAGE, return_tensors="pt"))
    theirs = processor.post_process_semantic_segmentation(output, target_sizes=[(45, 67)])[0]
    to_voc = torch.tensor([0, 1, 15, 8])
    agreed = (ours.argmax(1)[0] == to_voc[theirs]).float().mean()
    assert agreed > 0.95  # Pillow's resizing and PyTorch's differ by a grey level here and there
    assert found.class_mapping is not None
    assert found.class_mapping.as_dict()["person"] == ["person"]


@pytest.mark.filterwarnings("ignore")
def test_other_folders_are_no_hugging_face_models(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ModelError, match="can't be loaded"):
        open_model(f"hf:{tmp_path}", None, 21)
    with pytest.raises(WeightsError, match="brings its own weights"):
        open_model(f"hf:{tmp_path}", "random:0", 21)


@pytest.mark.filterwarnings("ignore")
def test_segmentation_models_pytorch_and_timm_encoders(tmp_path: Path) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    for name in ("smp:unet:resnet18", "smp:fpn:tu-mobilenetv3_small_050"):
        found = open_model(name, "random:0", 5).segmenter
        assert logits(found).shape == (1, 5, 45, 67)  # no multiple of 32
    torch.save(found.module.state_dict(), tmp_path / "net.pth")
    again = open_model(name, str(tmp_path / "net.pth"), 5).segmenter
    torch.testing.assert_close(logits(again), logits(found))
    with pytest.raises(ModelError, match="can't build unet:nothing"):
        open_model("smp:unet:nothing", "random:0", 5)
    with pytest.raises(WeightsError, match="needs weights"):
        open_model("smp:unet:resnet18", None, 5)


def reference(net: nn.Module, prepared: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return nn.functional.interpolate(net(prepared[None]), prepared.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.filterwarnings("ignore")
def test_onnx_files_are_run_by_onnxruntime(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    net, path = seeded(), tmp_path / "net.onnx"
    torch.onnx.export(
        net, (torch.zeros(1, 3, 45, 67),), path, dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {2: "h", 3: "w"}, "y": {2: "h2", 3: "w2"}},
    )  # fmt: skip
    found = open_model(f"onnx:{path}", None, 8).segmenter
    torch.testing.assert_close(logits(found), reference(net, found.prepare(IMAGE)), rtol=1e-4, atol=1e-4)
    assert weights_digest(found) == fcnbench.util.digests.digest_file(path)
    model = onnx.load(path)
    for key, value in (("mean", "0,0,0"), ("std", "1,1,1"), ("order", "B,G,R"), ("classes", "a,b,c,d,e,f,g,h")):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, path)
    described = open_model(f"onnx:{path}").segmenter
    np.testing.assert_allclose(described.prepare(IMAGE)[0], IMAGE[:, :, 2] / 255, rtol=1e-6)
    assert described.classes == ("a", "b", "c", "d", "e", "f", "g", "h")
    model.metadata_props[0].value = "1,2"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="describes its input wrongly: mean has 2 numbers"):
        open_model(f"onnx:{path}")
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match="can't be read as onnx"):
        open_model(f"onnx:{path}")


@pytest.mark.filterwarnings("ignore")
def test_torchscript_and_exported_programs(tmp_path: Path) -> None:
    net = seeded()
    about = json.dumps({"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]})
    torch.jit.save(
        torch.jit.trace(net, torch.zeros(1, 3, 45, 67)), tmp_path / "net.pt", _extra_files={"fcnbench.json": about}
    )
    side = torch.export.Dim("h", min=8, max=512), torch.export.Dim("w", min=8, max=512)
    program = torch.export.export(net, (torch.zeros(1, 3, 45, 67),), dynamic_shapes=({2: side[0], 3: side[1]},))
    torch.export.save(program, tmp_path / "net.pt2", extra_files={"fcnbench.json": about})
    for name in (f"torchscript:{tmp_path}/net.pt", f"export:{tmp_path}/net.pt2"):
        found = open_model(name, None, 8).segmenter
        np.testing.assert_allclose(found.prepare(IMAGE)[0], (IMAGE[:, :, 0] / 255 - 0.5) / 0.25, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits(found), reference(net, found.prepare(IMAGE)), rtol=1e-4, atol=1e-4)
    (tmp_path / "net.pt").write_bytes(b"not a network")
    for scheme in ("torchscript", "export"):
        with pytest.raises(ModelError, match=f"can't be read as {scheme}"):
            open_model(f"{scheme}:{tmp_path}/net.pt")
        with pytest.raises(UnknownName, match="there is no file"):
            open_model(f"{scheme}:{tmp_path}/nothing.pt")
        with pytest.raises(WeightsError, match="brings its own weights"):
            open_model(f"{scheme}:{tmp_path}/net.pt", "random:0")


@pytest.mark.parametrize(("name", "package"), [("hf:x", "transformers"), ("smp:x:y", "segmentation_models_pytorch")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> None:
    monkeypatch.setattr("fcnbench.models.names.find_spec", lambda wanted: None if wanted == package else 1)
    with pytest.raises(ModelError, match=f"needs the package {package}, which is not installed") as caught:
        open_model(name)
    assert f"pip install {package.replace('_', '-')}" in caught.value.hint


def test_a_torchvision_that_does_not_fit_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import fails as with torch for CPUs and torchvision for CUDA."""
    real = builtins.__import__

    def broken(wanted: str, *rest: Any) -> Any:
        if wanted.split(".", maxsplit=1)[0] == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(wanted, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModelError, match=r"can't be imported with torch .*: operator torchvision::nms") as caught:
        open_model("torchvision:lraspp_mobilenet_v3_large")
    assert "same package index" in caught.value.hint
    found = {finding.subject: finding for finding in fcnbench.doctor()}
    assert found["torch"].sound
    assert not found["torchvision"].sound
    assert "torchvision::nms" in found["torchvision"].text


def test_outputs_that_are_not_logits_are_named() -> None:
    for output in (torch.zeros(1, 8), torch.zeros(1, 8, 4, 4, dtype=torch.int64), "logits"):
        with pytest.raises(ModelError, match="the network returns"):
            logits(ResizingSegmenter(lambda batch, output=output: output))  # type: ignore[misc]


def test_a_mapped_model_runs_and_its_map_is_stored(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net:\n"
        "    classes = ('something', 'disc', 'star', 'square')\n"
        "    def prepare(self, image):\n"
        "        return torch.from_numpy(image).permute(2, 0, 1).float()\n"
        "    def logits(self, batch):\n"
        "        return torch.stack([batch.sum(1) * k for k in (1, -1, 2, 3)], 1)\n"
        "def build():\n"
        "    return Net()\n"
    )
    run = fcnbench.run(f"{tmp_path}/net.py:build", limit=3, board=tmp_path)
    stored = json.loads(run.path.read_text())["model"]["labels"]
    assert stored["square"] == ["square"]
    assert stored["background"] == ["something", "disc"]
    assert stored["ring"] == []
