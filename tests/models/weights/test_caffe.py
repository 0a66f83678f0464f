"""The reader of `.caffemodel` files, against Google's protobuf library, against OpenCV's network engine, and fuzzed."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcnbench.errors import WeightsError
from fcnbench.models.fcn.alexnet import AlexNetTrunk
from fcnbench.models.fcn.fcn import AT_ONCE, FCN, Head
from fcnbench.models.fcn.trunk import Stream
from fcnbench.models.fcn.upsampling import bilinear_kernel
from fcnbench.models.fcn.vgg import VGGTrunk
from fcnbench.models.weights.caffe import read_caffemodel
from fcnbench.models.weights.load import load_weights, randomise
from fcnbench.models.weights.published import read_caffe_state
from tests.models.fcn.nets import NARROW
from tests.models.weights.caffemodel import Written, caffemodel

RANDOM = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def written(net: torch.nn.Module) -> list[Written]:
    """Return a network's layers as Caffe would write them."""
    layers: list[Written] = []
    for name, module in net.named_modules():
        blobs = [value.detach().numpy() for value in module.parameters(recurse=False)]
        if blobs:
            kind = "Deconvolution" if isinstance(module, torch.nn.ConvTranspose2d) else "Convolution"
            layers.append((name, kind, blobs))
    return layers


FORMS = [
    dict(zip(("old", "packed", "doubles", "legacy"), flags, strict=True))
    for flags in itertools.product((False, True), repeat=4)
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(name for name, on in form.items() if on) or "plain")
def test_every_form_of_the_format_gives_the_same_blobs(tmp_path: Path, form: dict[str, bool]) -> None:
    layers: list[Written] = [
        ("data", "Data" if form["old"] else "Input", []),
        ("conv1", "Convolution", [array(4, 3, 3, 3), array(4)]),
        ("fc6", "InnerProduct", [array(6, 20), array(6)]),
        ("up", "Deconvolution", [array(2, 1, 4, 4)]),
    ]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(layers, **form))
    found = read_caffemodel(path)
    assert [(layer.name, layer.type) for layer in found] == [(name, kind) for name, kind, blobs in layers if blobs]
    for layer, (_, _, blobs) in zip(found, layers[1:], strict=True):
        for ours, theirs in zip(layer.blobs, blobs, strict=True):
            assert ours.dtype == np.float32
            assert ours.size == theirs.size
            np.testing.assert_allclose(ours.reshape(-1), theirs.reshape(-1), rtol=1e-6)
            if not form["legacy"]:
                assert ours.shape == theirs.shape


@pytest.mark.parametrize(("old", "legacy"), [(False, False), (True, True)])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_a_net_comes_back_from_caffes_format(tmp_path: Path, stride: int, old: bool, legacy: bool) -> None:
    net, other = FCN(21, stride, NARROW), FCN(21, stride, NARROW)
    randomise(net, 1)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(written(net), old=old, legacy=legacy))
    load_weights(other, str(path), "it")
    for (name, ours), theirs in zip(other.state_dict().items(), net.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, msg=name)


def test_inner_products_become_convolutions(tmp_path: Path) -> None:
    net, other = FCN(3, 32, NARROW), FCN(3, 32, NARROW)
    randomise(net, 1)
    flat: list[Written] = []
    for name, kind, blobs in written(net):
        connected = name in ("fc6", "fc7")
        shaped = [blob.reshape(1, 1, len(blob), -1) if connected and blob.ndim > 1 else blob for blob in blobs]
        flat.append((name, "InnerProduct" if connected else kind, shaped))
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(flat, old=True))
    load_weights(other, str(path), "it")
    torch.testing.assert_close(other.fc6.weight, net.fc6.weight, rtol=0, atol=0)
    torch.testing.assert_close(other.fc7.weight, net.fc7.weight, rtol=0, atol=0)


def test_scales_of_the_at_once_net_are_checked_and_left_out(tmp_path: Path) -> None:
    net = FCN(21, 8, NARROW, scales=AT_ONCE)
    randomise(net, 1)
    scales: list[Written] = [
        ("scale_pool4", "Scale", [np.full(2, 0.01, np.float32)]),
        ("scale_pool3", "Scale", [np.full(2, 0.0001, np.float32)]),
    ]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel([*written(net), *scales]))
    assert read_caffe_state(path).keys() == net.state_dict().keys()
    scales[1][2][0][1] = 0.0002
    path.write_bytes(caffemodel([*written(net), *scales]))
    with pytest.raises(WeightsError, match=r"scale_pool3 is not the constant 0\.0001"):
        read_caffe_state(path)


def test_a_learned_upsampling_is_refused(tmp_path: Path) -> None:
    net = FCN(21, 32, NARROW)
    randomise(net, 1)
    layers = [
        (name, kind, [blob * 1.5 for blob in blobs] if name == "upscore" else blobs)
        for name, kind, blobs in written(net)
    ]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(layers))
    with pytest.raises(WeightsError, match=r"upscore\.weight is not the frozen bilinear kernel"):
        load_weights(FCN(21, 32, NARROW), str(path), "it")


def test_a_net_that_was_never_loaded_is_refused(tmp_path: Path) -> None:
    net = FCN(21, 32, NARROW)
    for value in net.parameters():
        if value.requires_grad:
            torch.nn.init.zeros_(value)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(written(net)))
    with pytest.raises(WeightsError, match="all convolutions of the trunk are zero"):
        load_weights(FCN(21, 32, NARROW), str(path), "it")


def test_a_large_file_is_read_at_the_speed_of_the_disk(tmp_path: Path) -> None:
    """50 million numbers, packed and unpacked, take seconds; a loop over them would take minutes."""
    big = np.arange(5_000_000, dtype=np.float32).reshape(5, -1)
    for packed in (True, False):
        path = tmp_path / "big.caffemodel"
        path.write_bytes(caffemodel([("fc6", "InnerProduct", [big])], packed=packed))
        started = time.process_time()
        (layer,) = read_caffemodel(path)
        assert time.process_time() - started < 5
        np.testing.assert_array_equal(layer.blobs[0], big)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "can't be read"),
        (b"<!DOCTYPE html><html>" * 20, "can't be read"),
        (b"\x0a\x03net", "has no layer"),
        (caffemodel([("a", "Convolution", [array(2, 2)])])[:-3], "ends in the middle"),
        (caffemodel([("a", "Convolution", [array(2, 2)])]) + b"\xa2\x06\xff\xff\xff\xff\x0f", "ends in the middle"),
    ],
)
def test_other_bytes_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said) as caught:
        read_caffemodel(path)
    assert caught.value.hint
    with pytest.raises(WeightsError, match="there is no weights file"):
        read_caffemodel(tmp_path / "nothing.caffemodel")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fuzzed_files_end_in_our_error_or_in_sound_shapes(tmp_path: Path, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(FORMS))
    layers: list[Written] = [
        ("conv1", "Convolution", [array(2, 3, 3, 3), array(2)]),
        ("fc", "InnerProduct", [array(4, 5)]),
    ]
    content = bytearray(caffemodel(layers, **form))
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_caffemodel(path)
    except WeightsError:
        return
    for layer in found:
        for blob in layer.blobs:
            assert blob.dtype == np.float32
            assert blob.size * 4 <= len(content)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_random_bytes_are_no_network(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    try:
        assert all(layer.blobs for layer in read_caffemodel(path))
    except WeightsError as error:
        assert error.hint  # noqa: PT017 - either way is right


# --- an independent engine: OpenCV's dnn module reads prototxt and caffemodel ----------------------------------------


def convolution(name: str, bottom: str, module: torch.nn.Conv2d, relu: bool = True) -> str:
    text = (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{ '
        f"num_output: {module.out_channels} kernel_size: {module.kernel_size[0]} stride: {module.stride[0]} "
        f"pad: {module.padding[0]} group: {module.groups} }} }}\n"
    )
    return text + (f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n' if relu else "")


def pool(name: str, bottom: str, kernel: int) -> str:
    return (
        f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" '
        f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: 2 }} }}\n"
    )


def upsampling(name: str, bottom: str, module: torch.nn.ConvTranspose2d) -> str:
    return (
        f'layer {{ name: "{name}" type: "Deconvolution" bottom: "{bottom}" top: "{name}" convolution_param {{ '
        f"num_output: {module.out_channels} kernel_size: {module.kernel_size[0]} stride: {module.stride[0]} "
        f"bias_term: false }} }}\n"
    )


def crop(name: str, bottom: str, like: str, offset: int) -> str:
    return (
        f'layer {{ name: "{name}" type: "Crop" bottom: "{bottom}" bottom: "{like}" top: "{name}" '
        f"crop_param {{ axis: 2 offset: {offset} }} }}\n"
    )


def add(name: str, first: str, second: str) -> str:
    return f'layer {{ name: "{name}" type: "Eltwise" bottom: "{first}" bottom: "{second}" top: "{name}" }}\n'


def vgg_prototxt(net: FCN, height: int, width: int) -> str:
    """Return the reference's net definition as a prototxt."""
    assert isinstance(net.trunk, VGGTrunk)
    text = f'input: "data" input_shape {{ dim: 1 dim: 3 dim: {height} dim: {width} }}\n'
    below = "data"
    for stage, depth in enumerate(net.trunk.depths, 1):
        for layer in range(1, depth + 1):
            name = f"conv{stage}_{layer}"
            text += convolution(name, below, net.get_submodule(name))
            below = name
        text += pool(f"pool{stage}", below, 2)
        below = f"pool{stage}"
    for name in ("fc6", "fc7"):
        text += convolution(name, below, net.get_submodule(name))
        below = name
    text += convolution("score_fr", below, net.get_submodule("score_fr"), relu=False)
    below = "score_fr"
    for number, up in ((4, "upscore2"), (3, "upscore_pool4")):
        if f"score_pool{number}" not in net.crops:
            continue
        text += upsampling(up, below, net.get_submodule(up))
        text += convolution(
            f"score_pool{number}", f"pool{number}", net.get_submodule(f"score_pool{number}"), relu=False
        )
        text += crop(f"score_pool{number}c", f"score_pool{number}", up, net.crops[f"score_pool{number}"])
        text += add(f"fuse_pool{number}", up, f"score_pool{number}c")
        below = f"fuse_pool{number}"
    final = "upscore" if net.stride == 32 else f"upscore{net.stride}"
    text += upsampling(final, below, net.get_submodule(final))
    return text + crop("score", final, "data", net.crops[final])


def alexnet_prototxt(net: FCN, height: int, width: int) -> str:
    text = f'input: "data" input_shape {{ dim: 1 dim: 3 dim: {height} dim: {width} }}\n'
    below = "data"
    for number in range(1, 6):
        text += convolution(f"conv{number}", below, net.get_submodule(f"conv{number}"))
        below = f"conv{number}"
        if number in (1, 2, 5):
            text += pool(f"pool{number}", below, 3)
            below = f"pool{number}"
        if number in (1, 2):
            text += (
                f'layer {{ name: "norm{number}" type: "LRN" bottom: "{below}" top: "norm{number}" '
                "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }\n"
            )
            below = f"norm{number}"
    for name in ("fc6", "fc7"):
        text += convolution(name, below, net.get_submodule(name))
        below = name
    text += convolution("score_fr", below, net.get_submodule("score_fr"), relu=False)
    text += upsampling("upscore", "score_fr", net.get_submodule("upscore"))
    return text + crop("score", "upscore", "data", net.crops["upscore"])


WIDER = VGGTrunk(widths=(4, 5, 6, 7, 8), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=9, pad=100)
SMALL_ALEXNET = AlexNetTrunk(widths=(6, 8, 10, 12, 8), fc_width=9)


@pytest.mark.parametrize("size", [(64, 96), (61, 83), (33, 47)])
@pytest.mark.parametrize("kind", ["fcn32s", "fcn16s", "fcn8s", "fcn-alexnet"])
def test_opencv_gives_the_same_logits(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip(f"OpenCV {cv2.__version__} no longer reads Caffe's files; 4.x does")
    strides = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8, "fcn-alexnet": 32}
    net = FCN(5, strides[kind], SMALL_ALEXNET if kind == "fcn-alexnet" else WIDER).eval()
    randomise(net, 3)
    text = alexnet_prototxt(net, *size) if kind == "fcn-alexnet" else vgg_prototxt(net, *size)
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(written(net)))
    other = FCN(5, strides[kind], net.trunk).eval()
    load_weights(other, str(tmp_path / "net.caffemodel"), kind)
    theirs = cv2.dnn.readNetFromCaffe(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"))
    image = np.random.default_rng(1).uniform(-120, 140, (1, 3, *size)).astype(np.float32)
    theirs.setInput(image)
    expected = theirs.forward("score")
    with torch.inference_mode():
        found = other(torch.from_numpy(image)).numpy()
    assert found.shape == expected.shape == (1, 5, *size)
    np.testing.assert_allclose(found, expected, atol=1e-3 * float(np.abs(expected).max()), rtol=1e-3)


def test_unknown_heads_and_streams_have_the_references_names() -> None:
    names = set(FCN(33, 8, NARROW, suffix="_sem", extra_heads=(Head(3, "geo", "_geo"),)).state_dict())
    for suffix in ("_sem", "_geo"):
        assert {f"score_fr{suffix}.bias", f"upscore2{suffix}.weight", f"score_pool4{suffix}.weight"} < names
        assert {f"upscore_pool4{suffix}.weight", f"score_pool3{suffix}.bias", f"upscore8{suffix}.weight"} < names
    names = set(FCN(40, 32, NARROW, streams=(Stream("color"), Stream("hha"))).state_dict())
    assert {"conv1_1color.weight", "conv5_3hha.bias", "fc7color.weight", "score_frhha.weight", "upscore.weight"} < names
    assert (
        "conv1_1_bgrd.weight"
        in FCN(40, 32, NARROW, streams=(Stream(channels=4, first_layer="conv1_1_bgrd"),)).state_dict()
    )


def test_the_odd_kernel_is_the_references() -> None:
    line = [1 - abs(i - 31) / 32 for i in range(63)]
    np.testing.assert_allclose(bilinear_kernel(63).numpy(), np.outer(line, line), atol=1e-7)
