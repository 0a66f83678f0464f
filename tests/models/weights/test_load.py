"""Loading weights: nothing is executed, and weights that do not fit are refused with a message."""

import os
import pickle
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from fcnbench.errors import WeightsError
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.load import load_model
from fcnbench.models.weights.load import fill, load_weights, randomise, read_state
from tests.models.fcn.nets import NARROW


@pytest.fixture
def net() -> FCN:
    return FCN(3, 8, NARROW)


@pytest.fixture
def state() -> dict[str, Tensor]:
    other = FCN(3, 8, NARROW)
    randomise(other, 1)
    return {name: value.clone() for name, value in other.state_dict().items()}


def loaded(net: FCN, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(net.state_dict()[name], value) for name, value in state.items())


def save_pth(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path)


def save_torchfcn_checkpoint(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"epoch": 3, "model_state_dict": state}, path)


def save_checkpoint(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"state_dict": state, "optimizer": {"lr": 1e-10}}, path)


@pytest.mark.parametrize(
    ("save", "name"),
    [
        (save_pth, "net.pth"),
        (save_torchfcn_checkpoint, "checkpoint.pth.tar"),
        (save_checkpoint, "net.ckpt"),
        (save_file, "net.safetensors"),
    ],
)
def test_files_of_every_kind_load_unchanged(
    net: FCN, state: dict[str, Tensor], tmp_path: Path, save: Callable[..., None], name: str
) -> None:
    save(state, tmp_path / name)
    load_weights(net, str(tmp_path / name), "net")
    assert loaded(net, state)


def test_frozen_upsampling_may_be_left_out(net: FCN, state: dict[str, Tensor]) -> None:
    learned = {name: value for name, value in state.items() if not name.startswith("upscore")}
    fill(net, learned, "net", "the file")
    assert loaded(net, state)


def test_seeds_are_reproducible_and_differ(net: FCN) -> None:
    load_weights(net, "random:7", "net")
    first = {name: value.clone() for name, value in net.state_dict().items()}
    load_weights(net, "random:8", "net")
    assert not loaded(net, first)
    load_weights(net, "random:7", "net")
    assert loaded(net, first)


@pytest.mark.parametrize("text", ["random:", "random:x", "random:-1", f"random:{2**70}"])
def test_seeds_that_are_none_are_refused(net: FCN, text: str) -> None:
    with pytest.raises(WeightsError, match="is not a seed"):
        load_weights(net, text, "net")


def drop_key(state: dict[str, Tensor]) -> None:
    del state["conv1_1.weight"]


def add_key(state: dict[str, Tensor]) -> None:
    state["conv9_9.weight"] = torch.zeros(1)


def other_classes(state: dict[str, Tensor]) -> None:
    state["score_fr.weight"] = torch.zeros(4, 4, 1, 1)


def learned_upsampling(state: dict[str, Tensor]) -> None:
    state["upscore2.weight"] = state["upscore2.weight"] * 1.01


def integers(state: dict[str, Tensor]) -> None:
    state["fc7.weight"] = state["fc7.weight"].int()


def sparse(state: dict[str, Tensor]) -> None:
    state["fc7.weight"] = state["fc7.weight"].to_sparse()


def zero_trunk(state: dict[str, Tensor]) -> None:
    for name, value in state.items():
        if name.startswith("conv"):
            value.zero_()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_key, r"lacks conv1_1\.weight"),
        (add_key, r"has also conv9_9\.weight"),
        (other_classes, r"score_fr\.weight is \(4, 4, 1, 1\), expected \(3, 4, 1, 1\)"),
        (learned_upsampling, r"upscore2\.weight is not the frozen bilinear kernel"),
        (integers, r"fc7\.weight is torch\.strided of torch\.int32, expected a dense torch\.float32"),
        (sparse, r"fc7\.weight is torch\.sparse_coo of torch\.float32, expected a dense torch\.float32"),
        (zero_trunk, "all convolutions of the trunk are zero"),
    ],
)
def test_weights_of_another_net_are_refused_and_nothing_is_changed(
    net: FCN, state: dict[str, Tensor], spoil: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    spoil(state)
    with pytest.raises(WeightsError, match=message):
        fill(net, state, "net", "the file")
    assert loaded(net, before)


class Evil:
    """An object whose pickle executes code when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch executed",)


def test_a_pickle_with_code_inside_executes_nothing(net: FCN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1_1.weight": Evil()}, "evil.pth")
    Path("plain.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(WeightsError, match="can't be read as weights"):
            load_weights(net, name, "net")
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("kept", [0, 10, 1000])
def test_truncated_files_are_refused(state: dict[str, Tensor], tmp_path: Path, name: str, kept: int) -> None:
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else save_pth)(state, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="can't be read as weights"):
        read_state(path)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04"]), tail=st.binary(max_size=300))
def test_any_bytes_end_in_one_sentence(tmp_path: Path, head: bytes, tail: bytes) -> None:
    for name in ("fuzz.pth", "fuzz.safetensors"):
        (tmp_path / name).write_bytes(head + tail)
        with pytest.raises(WeightsError), warnings.catch_warnings(action="ignore"):
            read_state(tmp_path / name)


def test_a_file_without_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        read_state(tmp_path / "list.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no weights file .*nowhere\.pth"):
        read_state(tmp_path / "nowhere.pth")


def test_fcn8s_without_weights_says_what_to_pass() -> None:
    with pytest.raises(WeightsError, match="fcn8s needs weights, and those published for it are for") as caught:
        load_model("fcn8s", num_classes=8)
    assert "--weights random:0" in caught.value.hint


@pytest.mark.parametrize("name", ["fcn8s-pocket", "fcn16s-pocket", "fcn32s-pocket"])
def test_shipped_weights_are_small_and_fit(name: str) -> None:
    assert (files("fcnbench.models.fcn") / "pocket_weights" / f"{name}.safetensors").stat().st_size <= 1_500_000
    model = load_model(name)
    assert model.logits(torch.zeros(1, 3, 40, 50)).shape == (1, 8, 40, 50)


def test_shipped_weights_for_another_label_space_are_refused() -> None:
    with pytest.raises(WeightsError, match="ships with are for 8 classes, and the dataset has 21"):
        load_model("fcn8s-pocket", num_classes=21)
