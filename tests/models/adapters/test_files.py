"""Model files: wrong metadata are refused, and the output that is scored is never a guess."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcnbench.errors import ModelError
from fcnbench.models.adapters.metadata import KEYS, Metadata, read_archive_metadata, read_onnx_metadata, similar_key
from fcnbench.models.adapters.outputs import Output, choose_output, logits_function
from fcnbench.models.adapters.resizing import ResizingSegmenter
from fcnbench.models.load import open_model

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 18, 3), np.uint8)
HERE = Path("net.onnx")

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mean": [123.675, 116.28, 103.53]}, r"mean is \(123.675, 116.28, 103.53\), expected three numbers from 0 to 1"),
    ({"mean": [123.675, 116.28, 103.53]}, "divide by 255"),
    ({"mean": [-0.1, 0.5, 0.5]}, "mean is"),
    ({"mean": [float("nan"), 0.5, 0.5]}, "mean is"),
    ({"mean": [float("inf"), 0.5, 0.5]}, "mean is"),
    ({"mean": [0.5, 0.5]}, "mean has 2 numbers, expected three"),
    ({"mean": [0.5, 0.5, 0.5, 0.5]}, "mean has 4 numbers"),
    ({"std": [0, 0.2, 0.2]}, "std is"),
    ({"std": [0.2, -0.2, 0.2]}, "std is"),
    ({"std": [0.2, 0.2, float("nan")]}, "std is"),
    ({"std": [1e-40, 0.2, 0.2]}, "std is"),
    ({"std": [58.395, 57.12, 57.375]}, r"std is \(58.395, 57.12, 57.375\), .*divide by 255"),
    ({"order": "GBR"}, "order is 'GBR', expected RGB or BGR"),
    ({"order": "RGBA"}, "order is 'RGBA'"),
    ({"order": "NCHW"}, "order is 'NCHW'"),
    ({"classes": ["a", "b", "a"]}, "classes names a more than once"),
    ({"classes": ["a", " a"]}, "classes names a more than once"),
    ({"classes": ["a", "", "b"]}, "classes has an empty name at channel 1"),
    ({"output": " "}, "output is ' '"),
]
"""Values that are wrong in an archive and in an ONNX file."""

WRONG_JSON: list[tuple[Any, str]] = [
    ([0.5, 0.5, 0.5], "holds a list, expected a JSON object"),
    ("mean", "holds a str, expected a JSON object"),
    (None, "holds a NoneType, expected a JSON object"),
    ({"mean": "0.5,0.5,0.5"}, "mean is '0.5,0.5,0.5', expected three numbers"),
    ({"mean": 0.5}, "mean is 0.5, expected three numbers"),
    ({"mean": [True, False, True]}, "mean is"),
    ({"mean": None}, "mean is None"),
    ({"std": ["0.2", "0.2", "0.2"]}, "std is"),
    ({"std": [[0.2], [0.2], [0.2]]}, "std is"),
    ({"order": None}, "order is None"),
    ({"order": True}, "order is True"),
    ({"classes": []}, r"classes is \[\], expected a list of class names"),
    ({"classes": "a,b"}, "classes is 'a,b'"),
    ({"classes": {"0": "a"}}, "classes is"),
    ({"classes": [1, 2]}, "classes is"),
    ({"output": -1}, "output is -1"),
    ({"output": True}, "output is True"),
    ({"means": [0.5, 0.5, 0.5]}, "unknown key 'means'"),
    ({"author": "me"}, "unknown key 'author', expected some of mean, std, order, classes, output"),
]

FOREIGN = (
    "author", "stride", "names", "task", "description", "version", "batch", "imgsz", "date", "license", "args", "half",
    "docs", "channels_last", "producer", "class_names", "num_classes", "mean_iou", "best_mean_iou", "labels", "model",
    "opset", "commit", "id2label", "input_size", "dataset", "metrics", "onnx.infer", "end2end", "kpt_shape",
)  # fmt: skip
"""Keys of other programs, such as Ultralytics' exporter."""

NEAR = {
    "mean": ("Mean", "MEAN", "means", "mean_", " mean", "maen", "meen", "mea", "mean_rgb", "image_mean", "pixel_mean",
             "input.mean", "norm-mean", "fcnbench_mean", "mean_values"),
    "std": ("Std", "stds", "stdev", "std_dev", "stddev", "sdt", "image_std", "pixel_std", "inputStd", "fcnbench.std"),
    "order": ("Order", "orders", "oder", "odrer", "channel_order", "color_order", "ColourOrder", "fcnbench_order"),
    "classes": ("Classes", "clases", "class", "classess", "CLASSES", "clasess"),
    "output": ("Output", "outputs", "ouput", "out_put", "fcnbench:output"),
}  # fmt: skip


def onnx_form(found: dict[str, Any]) -> dict[str, str]:
    """Return the same in the form of an ONNX file's metadata."""
    return {key: ",".join(map(str, each)) if isinstance(each, list) else each for key, each in found.items()}


@pytest.mark.parametrize(("found", "said"), WRONG)
def test_what_is_out_of_range_is_refused_in_either_form(found: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read_onnx_metadata(HERE, onnx_form(found))
    assert "net.onnx describes its" in caught.value.message
    with pytest.raises(ModelError, match=said):
        read_archive_metadata(HERE, json.dumps(found))


@pytest.mark.parametrize(("found", "said"), WRONG_JSON)
def test_json_of_another_kind_is_refused(found: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_archive_metadata(HERE, json.dumps(found))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        ('{"mean": [0,0,0], "mean": [1,1,1]}', "the key 'mean' occurs twice"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_archive_metadata(HERE, text)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"mean": ""}, "mean holds ''"),
        ({"mean": "[0.485, 0.456, 0.406]"}, r"mean holds '\[0.485'"),
        ({"mean": "0.5"}, "mean has 1 numbers"),
        ({"mean": "0,485;0,456;0,406"}, "mean holds '485;0'"),
        ({"classes": ""}, "classes has an empty name at channel 0"),
        ({"order": ""}, "order is ''"),
        ({"output": ""}, "output is ''"),
    ],
)
def test_metadata_of_another_form_is_refused(metadata: dict[str, str], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read_onnx_metadata(HERE, metadata)


def test_what_is_right_is_taken() -> None:
    wanted = Metadata((0.0, 0.5, 1.0), (1 / 255, 0.5, 1.0), True, ("a", "b c"), "scores")
    found = {"mean": [0, 0.5, 1], "std": [1 / 255, 0.5, 1], "order": "bgr", "classes": ["a", "b c"], "output": "scores"}
    assert read_archive_metadata(HERE, json.dumps(found)) == wanted
    assert read_archive_metadata(HERE, json.dumps(found | {"order": ["B", "G", "R"]})) == wanted
    assert read_onnx_metadata(HERE, onnx_form(found)) == wanted
    assert read_onnx_metadata(HERE, onnx_form(found) | {"order": "B, G, R", "classes": "a, b c"}) == wanted
    assert read_archive_metadata(HERE, "") == read_onnx_metadata(HERE, {}) == Metadata()
    assert read_archive_metadata(HERE, '{"output": 1}').output == "1"


def test_keys_of_other_programs_do_not_matter_in_onnx() -> None:
    assert read_onnx_metadata(HERE, dict.fromkeys(FOREIGN, "x")) == Metadata()


@pytest.mark.parametrize(("ours", "key"), [(ours, key) for ours, keys in NEAR.items() for key in keys])
def test_keys_that_look_like_ours_are_refused(ours: str, key: str) -> None:
    with pytest.raises(ModelError, match=rf"has a key '{key}', which is not '{ours}' and looks like it") as caught:
        read_onnx_metadata(HERE, {key: "0,0,0"})
    assert f"rename the key to '{ours}'" in caught.value.hint
    with pytest.raises(ModelError, match="unknown key"):
        read_archive_metadata(HERE, json.dumps({key: [0, 0, 0]}))


def test_our_own_keys_mean_themselves() -> None:
    assert [similar_key(key) for key in KEYS] == list(KEYS)


# --- outputs ---------------------------------------------------------------------------------------------------------


def output(name: str, *shape: int | str | None, floating: bool = True) -> Output:
    return Output(name, "float" if floating else "int64", shape or None, floating)


@pytest.mark.parametrize(
    ("outputs", "wanted", "expected"),
    [
        ([output("y")], None, "y"),
        ([output("out", 1, 21, 9, 9), output("aux", 1, 21, 9, 9)], None, "out"),
        ([output("aux", 1, 21, 9, 9), output("logits", 1, 21, 9, 9)], None, "logits"),
        ([output("aux", 1, 21, 9, 9), output("main", 1, 21, 9, 9)], "main", "main"),
        ([output("labels", 1, 9, 9, floating=False), output("y", 1, 21, "h", "w")], None, "y"),
        ([output("features", 1, 512, 9, 9), output("y", 1, 21, 9, 9)], None, "y"),
        ([output("out", 1, 21, 9, 9), output("logits", 1, 21, 9, 9)], "logits", "logits"),
        ([output("ids", 1, 21, 9, 9, floating=False), output("loss"), output("y", 1, 21, 9, 9)], "y", "y"),
    ],
)
def test_the_output_that_is_named_or_alone_fits_is_taken(
    outputs: list[Output], wanted: str | None, expected: str
) -> None:
    assert choose_output(HERE, outputs, wanted, 21) == expected


@pytest.mark.parametrize(
    ("outputs", "wanted", "said"),
    [
        (
            [output("a", 1, 21, 9, 9), output("b", 1, 21, 9, 9)],
            None,
            r"2 of them may be the logits of 21 classes: a \(",
        ),
        ([output("a", 1, 21, 9, 9), output("b")], None, r"b \(float \[\?\]\)"),
        ([output("a", 1, 21, 9, 9), output("b", 1, None, "h", "w")], None, r"b \(float \[1, \?, h, w\]\)"),
        ([output("out", 1, 21, 9, 9), output("logits", 1, 21, 9, 9)], None, "has 2 outputs"),
        ([output("a", 1, 3), output("b", 1, 9, 9, floating=False)], None, "none of them may be the logits"),
        ([output("a", 1, 21, 9, 9)], "y", r"names 'y' as its output, and its outputs are: a \(float \[1, 21, 9, 9\]\)"),
        ([], None, "has 0 outputs"),
    ],
)
def test_several_outputs_are_refused_with_names_and_shapes(
    outputs: list[Output], wanted: str | None, said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        choose_output(HERE, outputs, wanted, 21)


class Pair(NamedTuple):
    aux: Tensor
    main: Tensor


A, B = torch.zeros(1, 5, 4, 4), torch.ones(1, 5, 4, 4)


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (B, None), ((B,), None), ([B], None), ({"x": B}, None), ({"aux": A, "out": B}, None),
        ({"aux": A, "logits": B}, None), ((A, B), "1"), (Pair(A, B), "main"), ({"aux": A, "main": B}, "main"),
        ((A[:, :3], B), None), ((A.long(), B), None), ((None, B), None), ({"sizes": [1], "y": B}, None), (B, "0"),
    ],
)  # fmt: skip
def test_logits_are_chosen_among_the_outputs(output: Any, wanted: str | None) -> None:
    assert logits_function(lambda batch: output, HERE, wanted, 5)(A) is B


@pytest.mark.parametrize(
    ("output", "wanted", "said"),
    [
        ((A, B), None, r"0 \(float32 \[1, 5, 4, 4\]\), 1 \(float32 \[1, 5, 4, 4\]\)"),
        (Pair(A, B), None, r"aux \(float32"),
        ({"a": A, "b": B}, None, r"a \(float32"),
        (((A, B), B[0]), None, r"0 \(tuple \[\]\), 1 \(float32 \[5, 4, 4\]\)"),
        ((), None, "has 0 outputs"),
        (B, "main", "names 'main' as its output"),
        ((A, B), "2", "names '2' as its output"),
    ],
)
def test_ambiguous_outputs_are_refused(output: Any, wanted: str | None, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        logits_function(lambda batch: output, HERE, wanted, 5)(A)


class Two(nn.Module):
    """Two heads of eight classes; the second is the larger one at class 3."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.body(x)
        return y, y * 0 + torch.arange(8.0).view(1, 8, 1, 1)


def saved_archive(kind: str, folder: Path, about: dict[str, Any] | None, net: nn.Module | None = None) -> str:
    extra = {} if about is None else {"fcnbench.json": json.dumps(about)}
    path, example = folder / f"net.{kind}", torch.zeros(1, 3, 12, 18)
    if kind == "torchscript":
        torch.jit.save(torch.jit.script(net or Two()), path, _extra_files=extra)
    else:
        path = path.with_suffix(".pt2")
        torch.export.save(torch.export.export((net or Two()).eval(), (example,)), path, extra_files=extra)
    return f"{kind}:{path}"


def largest(name: str) -> set[int]:
    found = open_model(name, None, 8).segmenter
    with torch.inference_mode():
        return set(found.logits(found.prepare(IMAGE)[None]).argmax(1).unique().tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["torchscript", "export"])
def test_archives_with_two_heads(tmp_path: Path, kind: str) -> None:
    name = saved_archive(kind, tmp_path, None)
    with pytest.raises(ModelError, match=r"has 2 outputs, and 2 of them may be the logits of 8 classes: 0 \(float32"):
        largest(name)
    assert largest(saved_archive(kind, tmp_path, {"output": 1})) == {7}
    assert largest(saved_archive(kind, tmp_path, {"output": "0"})) != {7}
    with pytest.raises(ModelError, match="names 'main' as its output"):
        largest(saved_archive(kind, tmp_path, {"output": "main"}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["torchscript", "export"])
def test_archives_that_describe_themselves_wrongly(tmp_path: Path, kind: str) -> None:
    for about, said in (
        ({"mean": [123.0, 116.0, 103.0]}, "mean is"),
        ({"classes": list("abcdefg"), "output": 0}, "has logits for 7 classes"),
    ):
        with pytest.raises(ModelError, match=said):
            largest(saved_archive(kind, tmp_path, about))


@pytest.mark.filterwarnings("ignore")
def test_several_inputs_are_refused_before_anything_runs(tmp_path: Path) -> None:
    class Inputs(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    class Optional(nn.Module):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return x * scale

    torch.jit.save(torch.jit.script(Inputs()), tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"has 2 inputs, expected one, images \[N, 3, H, W\]: x, y"):
        open_model(f"torchscript:{tmp_path}/net.pt")
    example = torch.zeros(1, 3, 12, 18)
    torch.export.save(torch.export.export(Inputs(), (example, example)), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match="has 2 inputs, expected one"):
        open_model(f"export:{tmp_path}/net.pt2")
    assert open_model(saved_archive("torchscript", tmp_path, None, Optional())).segmenter


@pytest.fixture
def onnx_file(tmp_path: Path) -> Callable[..., str]:
    """A function that writes an ONNX file: `onnx_file(outputs, metadata, inputs)`; outputs map names to channels."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    def make(outputs: dict[str, int], metadata: dict[str, str], inputs: int = 1) -> str:
        nodes, weights, values = [], [], []
        for index, (name, channels) in enumerate(outputs.items()):
            weight = np.zeros((channels, 3, 1, 1), np.float32)
            bias = np.roll(np.arange(channels, dtype=np.float32), index)
            weights += [numpy_helper.from_array(weight, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
            nodes.append(helper.make_node("Conv", ["x0", f"w{index}", f"b{index}"], [name]))
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"]))
        given = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, ["n", 3, "h", "w"]) for i in range(inputs)]
        graph = helper.make_graph(nodes, "g", given, values, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        helper.set_model_props(model, metadata)
        onnx.save(model, tmp_path / "net.onnx")
        return f"onnx:{tmp_path}/net.onnx"

    return make


def test_onnx_files_with_several_outputs(onnx_file: Callable[..., str]) -> None:
    with pytest.raises(ModelError, match=r"has 2 outputs, .*: a \(float \[n, 8, h, w\]\), b \(float \[n, 8, h, w\]\)"):
        largest(onnx_file({"a": 8, "b": 8}, {}))
    assert largest(onnx_file({"a": 8, "b": 8}, {"output": "b"})) == {0}
    assert largest(onnx_file({"a": 8, "logits": 8}, {})) == {0}
    assert largest(onnx_file({"a": 512, "b": 8}, {})) == {0}
    assert largest(onnx_file({"a": 8}, {})) == {7}
    with pytest.raises(ModelError, match="names 'c' as its output"):
        largest(onnx_file({"a": 8, "b": 8}, {"output": "c"}))
    with pytest.raises(ModelError, match="has 2 inputs, expected one"):
        largest(onnx_file({"a": 8}, {}, inputs=2))


def test_onnx_files_that_describe_themselves_wrongly(onnx_file: Callable[..., str]) -> None:
    for metadata, said in (
        ({"mean": "123.675,116.28,103.53"}, "mean is"),
        ({"std": "0,0,0"}, "std is"),
        ({"order": "xyz"}, "order is 'xyz'"),
        ({"Mean": "0,0,0"}, "has a key 'Mean'"),
        ({"classes": "a,b,c"}, r"names 3 classes, and its output a \(float \[n, 8, h, w\]\) has 8 channels"),
    ):
        with pytest.raises(ModelError, match=said):
            open_model(onnx_file({"a": 8}, metadata))
    found = open_model(onnx_file({"a": 8}, {"author": "somebody", "stride": "32", "names": "{0: 'a'}"})).segmenter
    assert found.preprocessing.startswith("RGB - (0.485, 0.456, 0.406) / (0.229, 0.224, 0.225)")


def test_classes_that_do_not_fit_are_noticed_when_the_network_runs() -> None:
    found = ResizingSegmenter(lambda batch: torch.zeros(1, 8, *batch.shape[2:]), classes=("a", "b", "c"))
    with pytest.raises(ModelError, match="returns 8 channels, and names 3 classes"):
        found.logits(found.prepare(IMAGE)[None])
