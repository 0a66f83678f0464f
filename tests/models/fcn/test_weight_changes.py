"""A network that is run on the fast path is its user's: it is never modified, and every change of it shows at once."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

import fcnbench
from fcnbench.models.fcn.fast import FastForward, FastSegmenter, with_fast_path
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.vgg import VGGTrunk
from fcnbench.models.segmenter import ModuleSegmenter
from tests.models.fcn.nets import random_images, relative_error, with_random_weights

TRUNK = VGGTrunk((8,) * 5, (2, 2, 3, 3, 3), fc_kernel=7, fc_width=9, pad=100)
IMAGE = random_images(37, 52)
LAYERS = ("conv1_1", "conv4_3", "conv5_2", "fc6", "fc7", "score_fr", "score_pool3", "upscore2", "upscore8")


@pytest.fixture
def net() -> FCN:
    """A network none of whose channels is hidden by its ReLU."""
    found = with_random_weights(FCN(3, 8, TRUNK)).double()
    with torch.no_grad():
        for name, value in found.named_parameters():
            if name.startswith(("conv", "fc")):
                value.abs_().div_(value.flatten(1).sum(1).view(-1, 1, 1, 1) if value.dim() > 1 else 1)
    return found


def plainly(net: nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = net(IMAGE)
        return logits


def under_no_grad(layer: nn.Conv2d) -> None:
    with torch.no_grad():
        layer.weight.mul_(-1.5)


def through_data(layer: nn.Conv2d) -> None:
    layer.weight.data.mul_(-1.5)


def through_detach(layer: nn.Conv2d) -> None:
    layer.weight.detach().mul_(-1.5)


def through_numpy(layer: nn.Conv2d) -> None:
    values = layer.weight.detach().numpy()
    np.multiply(values, -1.5, out=values)


def under_inference_mode(layer: nn.Conv2d) -> None:
    with torch.inference_mode():
        layer.weight.mul_(-1.5)


def by_copy(layer: nn.Conv2d) -> None:
    with torch.no_grad():
        layer.weight.copy_(layer.weight * -1.5)


def by_storage(layer: nn.Conv2d) -> None:
    values = layer.weight.detach() * -1.5
    layer.weight.data.untyped_storage().copy_(values.contiguous().untyped_storage())


def by_other_memory(layer: nn.Conv2d) -> None:
    layer.weight.data = layer.weight.data * -1.5


def by_other_parameter(layer: nn.Conv2d) -> None:
    layer.weight = nn.Parameter(layer.weight.detach() * -1.5)


def by_channels_last(layer: nn.Conv2d) -> None:
    layer.weight.data = (layer.weight.data * -1.5).contiguous(memory_format=torch.channels_last)


def by_state_dict(layer: nn.Conv2d) -> None:
    layer.load_state_dict({name: value * -1.5 for name, value in layer.state_dict().items()})


def one_element(layer: nn.Conv2d) -> None:
    # The one of most weight: which that is does not matter, as long as it shows.
    flat = layer.weight.data.view(-1)
    flat[int(flat.abs().argmax())] *= -8


def two_elements_swapped(layer: nn.Conv2d) -> None:
    flat = layer.weight.data.view(-1)
    low, high = int(flat.argmin()), int(flat.argmax())
    flat[low], flat[high] = flat[high].item(), flat[low].item()


CHANGES = (
    under_no_grad, through_data, through_detach, through_numpy, under_inference_mode, by_copy, by_storage,
    by_other_memory, by_other_parameter, by_channels_last, by_state_dict, one_element, two_elements_swapped,
)  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("change", CHANGES)
def test_changed_weights_take_effect_in_the_next_pass(net: FCN, change: Callable[[nn.Conv2d], None], name: str) -> None:
    fast = FastForward(net)
    before = fast(IMAGE)["out"].clone()
    change(net.get_submodule(name))  # type: ignore[arg-type]
    expected = plainly(net)
    assert relative_error(expected, before) > 1e-9
    for _ in range(2):
        assert relative_error(fast(IMAGE)["out"], expected) < 1e-10


@pytest.mark.parametrize("name", ["conv1_1", "conv3_3", "conv5_1", "fc6", "fc7", "score_pool4"])
def test_a_changed_bias_takes_effect_in_the_next_pass(net: FCN, name: str) -> None:
    fast = FastForward(net)
    before = fast(IMAGE)["out"].clone()
    bias = net.get_submodule(name).bias
    assert isinstance(bias, nn.Parameter)
    bias.data[-1] += 2
    expected = plainly(net)
    assert relative_error(expected, before) > 1e-9
    assert relative_error(fast(IMAGE)["out"], expected) < 1e-10


def test_weights_there_and_back_again_take_effect_each_time(net: FCN) -> None:
    fast = FastForward(net)
    weights = net.conv2_1.weight.data
    first, second = weights.clone(), weights * -1.5
    for values in (first, second, first, second):
        weights.copy_(values)
        assert relative_error(fast(IMAGE)["out"], plainly(net)) < 1e-10


def test_an_upsampling_that_became_bilinear_and_no_longer_is_gives_the_plain_logits(net: FCN) -> None:
    fast = FastForward(net)
    bilinear = net.upscore8.weight.data.clone()
    for values in (bilinear, bilinear * 0.5, bilinear, bilinear.flip(0)):
        net.upscore8.weight.data = values.clone()
        assert relative_error(fast(IMAGE)["out"], plainly(net)) < 1e-10


def test_replaced_layers_and_a_step_of_an_optimizer_take_effect(net: FCN) -> None:
    fast = FastForward(net)
    fast(IMAGE)
    net.conv5_1 = nn.Conv2d(net.conv5_1.in_channels, 5, 3, padding=1).double().eval()
    net.conv5_2 = nn.Conv2d(5, net.conv5_2.out_channels, 3, padding=1, bias=False).double().eval()
    assert relative_error(fast(IMAGE)["out"], plainly(net)) < 1e-10
    before = plainly(net)
    net.train()
    optimizer = torch.optim.SGD([value for value in net.parameters() if value.requires_grad], lr=1e-3)
    net(IMAGE).square().mean().backward()
    optimizer.step()
    net.eval()
    assert relative_error(plainly(net), before) > 1e-6
    assert relative_error(fast(IMAGE)["out"], plainly(net)) < 1e-10


def test_a_pass_leaves_the_network_as_it_was() -> None:
    net = with_random_weights(FCN(3, 8, TRUNK))
    image = IMAGE.float()
    net(image).square().mean().backward()
    net.conv1_1.bias.requires_grad_(False)

    def facts() -> list[tuple[object, ...]]:
        return [
            (name, id(value), value.data_ptr(), value.stride(), value.dtype, value.requires_grad, id(value.grad),
             value.is_inference(), value._version)
            for name, value in net.named_parameters()
        ]  # fmt: skip

    before, state = facts(), copy.deepcopy(net.state_dict())
    segmenter = with_fast_path(ModuleSegmenter(net))
    assert isinstance(segmenter, FastSegmenter)
    with torch.inference_mode():
        segmenter.logits(image)
    segmenter.logits(torch.cat([image, image]))
    assert facts() == before
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    net.train()
    net.zero_grad()
    net(image).square().mean().backward()
    torch.optim.SGD(net.parameters(), lr=1e-6).step()


def test_a_used_network_and_its_segmenter_can_be_copied_and_pickled() -> None:
    segmenter = fcnbench.load_model("fcn8s-pocket")
    image = IMAGE.float()
    expected = segmenter.logits(image).clone()
    for twin in (copy.deepcopy(segmenter), pickle.loads(pickle.dumps(segmenter))):
        assert isinstance(twin, FastSegmenter)
        assert twin.module is not segmenter.module
        assert torch.equal(twin.logits(image), expected)
        twin.module.fc6.weight.data.mul_(-1.5)
        assert not torch.equal(twin.logits(image), expected)
    assert torch.equal(segmenter.logits(image), expected)
    for other in (copy.deepcopy(segmenter.module), pickle.loads(pickle.dumps(segmenter.module))):
        assert torch.equal(ModuleSegmenter(other).logits(image), ModuleSegmenter(segmenter.module).logits(image))


class Halved(nn.Module):
    """A parametrization."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight / 2


class Doubling(nn.Conv2d):
    """A layer of another kind."""

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(*given)


def of_another_kind(net: FCN, name: str) -> None:
    old = net.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    layer = Doubling(old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)  # type: ignore[arg-type]
    net.add_module(name, layer.double().eval())


def with_another_forward(net: FCN, name: str) -> None:
    layer = net.get_submodule(name)
    own = layer.forward
    layer.forward = lambda *given: own(*given) * 3  # type: ignore[method-assign]


def dilated(net: FCN, name: str) -> None:
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)
    side = layer.padding[0] + layer.kernel_size[0] // 2
    layer.dilation, layer.padding = (2, 2), (side, side)  # type: ignore[assignment]


OTHERS: dict[str, Callable[[FCN, str], object]] = {
    "a forward hook": lambda net, name: net.get_submodule(name).register_forward_hook(lambda *given: given[2] * 2),
    "a pre-hook": lambda net, name: net.get_submodule(name).register_forward_pre_hook(lambda _, x: (x[0] * 2,)),
    "a parametrization": lambda net, name: parametrize.register_parametrization(
        net.get_submodule(name), "weight", Halved()
    ),
    "weight norm": lambda net, name: nn.utils.spectral_norm(net.get_submodule(name)).eval(),
    "another forward": with_another_forward,
    "another kind": of_another_kind,
    "dilation": dilated,
}


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*")
@pytest.mark.parametrize("name", ["conv1_1", "conv3_2", "fc6"])
@pytest.mark.parametrize("change", OTHERS)
def test_a_network_that_no_longer_computes_as_built_runs_as_it_is_written(net: FCN, change: str, name: str) -> None:
    segmenter = FastSegmenter(ModuleSegmenter(net))
    before = segmenter.logits(IMAGE).clone()
    assert segmenter.forward_path == "constant band"
    OTHERS[change](net, name)
    expected = plainly(net)
    assert relative_error(expected, before) > 1e-9
    assert torch.equal(segmenter.logits(IMAGE), expected)
    assert segmenter.forward_path == "plain"


def test_hooks_of_the_network_and_of_all_modules_run_and_may_be_removed(net: FCN) -> None:
    segmenter = FastSegmenter(ModuleSegmenter(net))
    before = segmenter.logits(IMAGE).clone()
    seen: list[str] = []
    for register in (net.register_forward_hook, nn.modules.module.register_module_forward_hook):
        handle = register(lambda module, *_: seen.append(type(module).__name__))  # type: ignore[operator]
        segmenter.logits(IMAGE)
        assert "FCN" in seen
        handle.remove()
        seen.clear()
        assert torch.equal(segmenter.logits(IMAGE), before)
        assert not seen


def test_every_convolution_of_the_plain_network_is_called_with_its_hooks(net: FCN) -> None:
    seen: list[str] = []
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    plainly(net)
    assert sorted(seen) == sorted(name for name, _ in net.named_children())


def test_another_network_in_the_segmenter_is_the_one_that_runs(net: FCN) -> None:
    segmenter = FastSegmenter(ModuleSegmenter(net))
    segmenter.logits(IMAGE)
    for other in (with_random_weights(FCN(2, 16, TRUNK), seed=1).double(), nn.Conv2d(3, 2, 1).double()):
        segmenter.module = other
        assert relative_error(segmenter.logits(IMAGE), plainly(other)) < 1e-10
    segmenter.inner.module = net
    assert segmenter.module is net
    assert relative_error(segmenter.logits(IMAGE), plainly(net)) < 1e-10


def test_a_segmenter_with_logits_of_its_own_keeps_them(net: FCN) -> None:
    class Flipped(ModuleSegmenter):
        def all_logits(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": super().all_logits(batch)["out"].flip(1)}

    mine = ModuleSegmenter(net)
    mine.logits = lambda batch: plainly(net).flip(1)  # type: ignore[method-assign]
    for segmenter in (Flipped(net), mine):
        assert with_fast_path(segmenter) is segmenter
        assert torch.equal(with_fast_path(segmenter).logits(IMAGE), plainly(net).flip(1))
    late = FastSegmenter(ModuleSegmenter(net))
    late.inner.all_logits = lambda _: {"out": plainly(net).flip(1)}
    assert torch.equal(late.logits(IMAGE), plainly(net).flip(1))


class DoublingMode(TorchFunctionMode):
    """A mode that changes what PyTorch's functions do."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        return 2 * output if function is functional.conv2d else output


@pytest.mark.parametrize("owner", [nn.Conv2d, functional, None], ids=["the class", "the function", "a mode"])
def test_functions_that_replace_pytorchs_are_called(net: FCN, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = FastSegmenter(ModuleSegmenter(net))
    before = segmenter.logits(IMAGE).clone()
    if owner is not None:
        name = "conv2d" if owner is functional else "_conv_forward"
        own = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **more: 2 * own(*given, **more))
    with nullcontext() if owner else DoublingMode():
        expected = plainly(net)
        assert relative_error(expected, before) > 1e-3
        assert torch.equal(segmenter.logits(IMAGE), expected)
    monkeypatch.undo()
    assert torch.equal(segmenter.logits(IMAGE), before)
    assert segmenter.forward_path == "constant band"


def test_a_network_in_training_mode_runs_as_it_is_written() -> None:
    fast = fcnbench.load_model("fcn8s-pocket")
    image = random_images(40, 52, dtype=torch.float32)
    fast.logits(image)
    fast.module.train()  # type: ignore[attr-defined]
    assert fast.forward_path == "plain"  # type: ignore[attr-defined]
    torch.manual_seed(0)
    first = fast.logits(image)
    torch.manual_seed(0)
    assert torch.equal(first, fast.inner.logits(image))  # type: ignore[attr-defined]
    fast.module.eval()  # type: ignore[attr-defined]
    assert fast.forward_path == "constant band"  # type: ignore[attr-defined]
