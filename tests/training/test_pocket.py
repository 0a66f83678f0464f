"""The training of the shipped weights: the nets, and what each takes from its parent."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.pocket import POCKET_TRUNK
from fcnbench.models.weights.load import read_state
from fcnbench.training.pocket import Stage, initialise, learned_parameters, main, train


def test_training_lowers_the_loss_and_leaves_upsampling_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    nets = train([Stage(32, 2e-3, 3)], images=8)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in capsys.readouterr().err.splitlines()]
    assert losses[2] < losses[0]
    net = nets["fcn32s-pocket"]
    assert not net.training
    torch.testing.assert_close(net.upscore.weight, FCN(8, 32, POCKET_TRUNK).upscore.weight, rtol=0, atol=0)


def test_a_finer_net_starts_with_its_parents_predictions() -> None:
    """With zero passes nothing is learned: the 16s net has its parent's weights and a skip that adds nothing."""
    nets = train([Stage(32, 1e-3, 1), Stage(16, 1e-3, 0)], images=1)
    parent, child = nets["fcn32s-pocket"], nets["fcn16s-pocket"]
    for name, value in learned_parameters(parent).items():
        torch.testing.assert_close(child.state_dict()[name], value, rtol=0, atol=0)
    assert not child.score_pool4.weight.any()
    assert not child.score_pool4.bias.any()


def test_training_twice_gives_the_same_weights() -> None:
    first, second = (learned_parameters(train([Stage(8, 1e-3, 1)], images=2)["fcn8s-pocket"]) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_initial_weights_keep_activations_in_range() -> None:
    net = FCN(8, 32, POCKET_TRUNK)
    torch.manual_seed(0)
    initialise(net)
    image = torch.from_numpy(np.random.default_rng(0).normal(0, 60, (1, 3, 64, 64)).astype(np.float32))
    x = torch.relu(net.conv2_1(torch.nn.functional.max_pool2d(torch.relu(net.conv1_1(image)), 2)))
    assert 0.1 < float(x.detach().std()) < 10
    assert not net.score_fr.weight.any()


def test_the_script_writes_files_that_the_models_load(tmp_path: Path) -> None:
    main(["--out", str(tmp_path / "out"), "--epochs", "1", "1", "1", "--images", "2"])
    for stride in (32, 16, 8):
        path = tmp_path / "out" / f"fcn{stride}s-pocket.safetensors"
        assert path.stat().st_size <= 1_500_000
        assert load_file(path).keys() == read_state(path).keys()
        assert not [name for name in load_file(path) if name.startswith("upscore")]
