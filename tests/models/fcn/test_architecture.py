"""Layers, parameters, receptive fields and strides against Table 1 of the CVPR paper."""

from __future__ import annotations

from fcnbench.models.fcn.architecture import PAPER, architecture_of


def test_the_architectures_are_those_of_the_papers_table_1() -> None:
    assert PAPER == {
        "fcn-alexnet": (8, "57M", 355, 32), "fcn32s": (16, "134M", 404, 32), "fcn-googlenet": (22, "6M", 907, 32),
    }  # fmt: skip
    for name, (layers, parameters, field, stride) in PAPER.items():
        architecture = architecture_of(name)
        assert (architecture.layers, architecture.stride) == (layers, stride)
        assert round(architecture.parameters / 1e6) == int(parameters[:-1])
        # 907 includes the 7x7 average pooling at stride 32, which the FCN does not have.
        assert architecture.receptive_field == (field if name != "fcn-googlenet" else field - 6 * 32)
        assert architecture.paper == f"{layers} layers, {parameters}, {field}, {stride}"


def test_a_net_that_is_not_in_the_table_has_no_numbers_of_the_paper() -> None:
    assert architecture_of("fcn8s").paper == ""
