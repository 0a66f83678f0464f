"""The dtypes of an ONNX file and its external weights files are read from the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
from fcnbench.errors import ModelError
from fcnbench.models.adapters.onnx import read_onnx
from fcnbench.models.load import open_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def written(path: Path, dtype: str = "float32", *, external: bool = False, quantised: bool = False) -> Path:
    """Write a network of one convolution with 8 classes that may compute in another dtype inside."""
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(0).normal(size=(8, 3, 1, 1)).astype(np.float32)
    nodes: list[Any] = []
    source, target = "x", "y"
    if dtype == "float16":
        nodes.append(helper.make_node("Cast", ["x"], ["half"], to=kinds.FLOAT16))
        source, target = "half", "half_y"
    elif quantised:
        initial = [("scale", np.float32(0.02)), ("zero", np.uint8(128))]
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["rounded"]),
        ]
        source = "rounded"
    nodes.append(helper.make_node("Conv", [source, "w"], [target]))
    if dtype == "float16":
        nodes.append(helper.make_node("Cast", ["half_y"], ["y"], to=kinds.FLOAT))
    arrays = [onnx.numpy_helper.from_array(weights.astype(dtype), "w")]
    if quantised:
        arrays += [onnx.numpy_helper.from_array(np.array(value), name) for name, value in initial]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, ["n", 8, "h", "w"])],
        arrays,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0} if external else {}
    onnx.save(model, path, **options)
    return path


def test_a_float32_file_is_run_as_such(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx")
    assert read_onnx(path).dtypes == frozenset()
    assert fcnbench.run(f"onnx:{path}", limit=1, board=tmp_path).record.protocol.precision == "fp32"
    with pytest.raises(ModelError, match="no operation of the network computes in bfloat16"):
        fcnbench.run(f"onnx:{path}", limit=1, precision="bf16", board=tmp_path)


@pytest.mark.parametrize(("options", "dtype"), [({"dtype": "float16"}, "float16"), ({"quantised": True}, "qint8")])
def test_a_file_that_computes_in_less_is_refused_as_fp32(options: Any, dtype: str, tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx", **options)
    with pytest.raises(ModelError, match=f"the run's precision is fp32, and the network computes in {dtype}"):
        fcnbench.run(f"onnx:{path}", limit=1, board=tmp_path)


def test_weights_in_a_file_of_their_own_are_part_of_the_digest(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx", external=True)
    assert read_onnx(path).files == (path, tmp_path / "weights.bin")
    before = open_model(f"onnx:{path}").segmenter.weights_digest  # type: ignore[attr-defined]
    data = bytearray((tmp_path / "weights.bin").read_bytes())
    data[2] ^= 1
    (tmp_path / "weights.bin").write_bytes(data)
    assert open_model(f"onnx:{path}").segmenter.weights_digest != before  # type: ignore[attr-defined]


def test_another_kind_of_file_holds_nothing_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "net.ort"
    path.write_bytes(b"\xff" * 100)
    assert (read_onnx(path).dtypes, read_onnx(path).files) == (frozenset(), (path,))
    path.write_bytes(b"")
    assert read_onnx(path).files == (path,)
