"""The papers' nets against the numbers of the papers and of the reference repository."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import torch

from fcnbench.models.fcn.architecture import PAPER, builtin_facts
from fcnbench.models.fcn.fcn import FCN, Head
from fcnbench.models.fcn.trunks import ALEXNET, GOOGLENET, AlexNetTrunk, GoogLeNetTrunk, Inception, Stream, Trunk
from fcnbench.models.fcn.zoo import DEFINITIONS
from fcnbench.models.registry import ABOUT
from fcnbench.models.weights.load import randomise
from tests.models.fcn.test_geometry import NARROW

LEARNED_AND_FIXED = {
    "fcn32s": (134_346_581, 1_806_336),
    "fcn16s": (134_357_354, 458_640),
    "fcn8s": (134_362_751, 127_008),
    "fcn8s-atonce": (134_362_751, 127_008),
    "fcn32s-fixed": (134_346_581, 1_806_336),
    "fcn-alexnet": (56_954_261, 1_750_329),
    "fcn32s-nyud-color": (134_424_424, 6_553_600),
    "fcn32s-nyud-hha": (134_424_424, 6_553_600),
    "fcn32s-nyud-depth": (134_425_000, 6_553_600),
    "fcn32s-nyud-color-hha": (268_848_848, 6_553_600),
    "fcn32s-siftflow": (134_408_036, 4_497_408),
    "fcn16s-siftflow": (134_426_504, 1_141_920),
    "fcn8s-siftflow": (134_435_756, 316_224),
}
"""Counted from the reference repository's net definitions."""

CONTEXT = {"fcn32s": (134_506_364, 14_745_600), "fcn16s": (134_537_144, 3_744_000), "fcn8s": (134_552_564, 1_036_800)}
"""The same with the 60 classes of PASCAL-Context."""

SMALL_ALEXNET = AlexNetTrunk(widths=(4, 4, 4, 4, 4), fc_width=4)
SMALL_GOOGLENET = GoogLeNetTrunk(
    inceptions=tuple(Inception(module.name, 2, (2, 2), (2, 2), 2) for module in GOOGLENET.inceptions), stem=(2, 2, 4)
)


def counts(name: str, num_classes: int | None = None) -> tuple[int, int]:
    definition = DEFINITIONS[name]
    with torch.device("meta"):
        net = definition.net(num_classes or definition.num_classes)
    learned = sum(value.numel() for value in net.parameters() if value.requires_grad)
    return learned, sum(value.numel() for value in net.parameters()) - learned


@pytest.mark.parametrize("name", LEARNED_AND_FIXED)
def test_parameter_counts_are_the_reference_nets(name: str) -> None:
    assert counts(name) == LEARNED_AND_FIXED[name]


@pytest.mark.parametrize("name", CONTEXT)
def test_parameter_counts_with_60_classes(name: str) -> None:
    assert counts(name, 60) == CONTEXT[name]


def test_the_papers_table_1() -> None:
    assert PAPER == {
        "fcn-alexnet": (8, "57M", 355, 32), "fcn32s": (16, "134M", 404, 32), "fcn-googlenet": (22, "6M", 907, 32),
    }  # fmt: skip
    for name, (layers, parameters, field, stride) in PAPER.items():
        found = builtin_facts(name)
        assert (found.layers, found.stride) == (layers, stride)
        assert round(found.parameters / 1e6) == int(parameters[:-1])
        # 907 counts the 7x7 average pooling at stride 32 that the FCN has not.
        assert found.receptive_field == (field if name != "fcn-googlenet" else field - 6 * 32)


def test_every_definition_is_registered_and_described() -> None:
    assert set(DEFINITIONS) == set(ABOUT)


@pytest.mark.parametrize("trunk", [NARROW, SMALL_ALEXNET, SMALL_GOOGLENET], ids=["vgg16", "alexnet", "googlenet"])
def test_logits_have_the_pictures_size_for_every_side(trunk: Trunk) -> None:
    net = FCN(2, 32, trunk).eval()
    with torch.inference_mode():
        for side in range(1, 601):
            # The two axes are alike, so one of them may be short.
            assert net(torch.zeros(1, 3, side, 9)).shape == (1, 2, side, 9)


@pytest.mark.parametrize("trunk", [NARROW, SMALL_ALEXNET, SMALL_GOOGLENET], ids=["vgg16", "alexnet", "googlenet"])
def test_a_cell_sees_just_its_receptive_field(trunk: Trunk) -> None:
    """Which pixels a score depends on, by its gradient, against the geometry's word."""
    net = FCN(2, 32, trunk).double().eval()
    randomise(net, 0)
    with torch.no_grad():
        for value in net.parameters():
            if value.requires_grad and value.dim() > 1:
                value.abs_()  # no cancellation, no dead ReLU
    side, cell = 1300, 20
    picture = torch.rand(1, 3, side, 33, dtype=torch.float64, requires_grad=True)
    net.coarse_scores(picture)[0, :, cell].sum().backward()
    assert picture.grad is not None
    seen = picture.grad[0].abs().sum((0, 2)).nonzero().reshape(-1)
    grid = trunk.score_grid
    centre, half = float(grid.stride * cell + grid.start), float(grid.field - 1) / 2
    first, last = int(seen[0]), int(seen[-1])
    assert centre - half <= first
    assert last <= centre + half
    # A max pool passes its gradient on to one pixel only, so the very edge of the field may stay dark.
    assert last - first + 1 >= 0.85 * float(grid.field)


def test_late_fusion_averages_the_scores_of_two_trunks() -> None:
    both = FCN(5, 32, NARROW, streams=(Stream("color"), Stream("hha"))).eval()
    randomise(both, 0)
    picture = torch.randn(1, 6, 40, 50)
    single = []
    for suffix, part in (("color", picture[:, :3]), ("hha", picture[:, 3:])):
        net = FCN(5, 32, NARROW).eval()
        own = net.state_dict()
        net.load_state_dict({name: both.state_dict().get(renamed(name, suffix), own[name]) for name in own})
        with torch.inference_mode():
            single.append(net(part))
    with torch.inference_mode():
        torch.testing.assert_close(both(picture), (single[0] + single[1]) / 2)


def renamed(name: str, suffix: str, shared: Collection[str] = ("upscore",)) -> str:
    layer, _, part = name.rpartition(".")
    return name if layer in shared else f"{layer}{suffix}.{part}"


def test_two_heads_are_two_nets_on_one_trunk() -> None:
    both = FCN(5, 8, NARROW, suffix="_sem", more=(Head(3, "geo", "_geo"),)).eval()
    randomise(both, 0)
    picture = torch.randn(1, 3, 40, 50)
    with torch.inference_mode():
        answers = both(picture)
    assert list(answers) == ["out", "geo"]
    for key, suffix, classes in (("out", "_sem", 5), ("geo", "_geo", 3)):
        net = FCN(classes, 8, NARROW).eval()
        state = both.state_dict()
        net.load_state_dict({name: state.get(name, state.get(renamed(name, suffix, {}))) for name in net.state_dict()})
        with torch.inference_mode():
            torch.testing.assert_close(answers[key], net(picture))


def test_at_once_scales_the_pools() -> None:
    plain, scaled = FCN(5, 8, NARROW).eval(), FCN(5, 8, NARROW, scales={4: 0.01, 3: 0.0001}).eval()
    randomise(plain, 0)
    state = plain.state_dict()
    for pool, scale in ((4, 100), (3, 10_000)):
        state[f"score_pool{pool}.weight"] = state[f"score_pool{pool}.weight"] * scale
    scaled.load_state_dict(state)
    picture = torch.randn(1, 3, 40, 50)
    with torch.inference_mode():
        torch.testing.assert_close(scaled(picture), plain(picture), rtol=1e-4, atol=1e-4)


def test_alexnet_has_its_crop_of_18() -> None:
    assert FCN(21, 32, ALEXNET).crops == {"upscore": 18}
