"""The built-in models: parameter counts of the reference nets, and complete registration."""

from __future__ import annotations

import pytest
import torch

from fcnbench.models.fcn.zoo import DEFINITIONS
from fcnbench.models.registry import ABOUT

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
"""Numbers of learned and of fixed parameters, counted from the reference repository's net definitions."""

CONTEXT = {"fcn32s": (134_506_364, 14_745_600), "fcn16s": (134_537_144, 3_744_000), "fcn8s": (134_552_564, 1_036_800)}
"""The same with the 60 classes of PASCAL-Context."""


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
def test_parameter_counts_with_60_classes_are_the_reference_nets(name: str) -> None:
    assert counts(name, 60) == CONTEXT[name]


def test_every_definition_is_registered_and_described() -> None:
    assert set(DEFINITIONS) == set(ABOUT)


def test_the_layers_of_several_streams_and_heads_have_the_references_names() -> None:
    def names(model: str) -> set[str]:
        with torch.device("meta"):
            net = DEFINITIONS[model].net(DEFINITIONS[model].num_classes)
        return {name for name, _ in net.named_children()}

    assert {"conv1_1_bgrd", "conv1_2", "fc7", "score_fr", "upscore"} < names("fcn32s-nyud-depth")
    assert "conv1_1" not in names("fcn32s-nyud-depth")
    both = names("fcn32s-nyud-color-hha")
    assert {"conv1_1color", "conv1_1hha", "fc7hha", "score_frcolor", "score_frhha", "upscore"} < both
    assert {"conv1_1", "score_fr_sem", "score_fr_geo", "upscore_pool4_geo", "upscore8_sem"} < names("fcn8s-siftflow")
