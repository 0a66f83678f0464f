"""Trains the pocket FCNs as the papers train theirs: first the 32s net, then each finer net from the coarser one.

    python -m fcnbench.training.pocket --out FOLDER [--epochs 20 8 10] [--images 1024]

writes `fcn32s-pocket.safetensors`, `fcn16s-pocket.safetensors` and `fcn8s-pocket.safetensors`. The score layer of a
skip starts at zero, so that a finer net starts with its parent's predictions (CVPR 2015, section 4.3). Images are not
resized; the images of a batch are padded to one size with the mean colour, and their labels with 255. Seeds are fixed.
Another machine or another PyTorch sums in another order, so its weights are close to the shipped ones, not equal.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.datasets.families.pocket.generator import POCKET, draw
from fcnbench.labelspace import IGNORE
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.pocket import POCKET_TRUNK
from fcnbench.models.preprocess import caffe_bgr
from fcnbench.util.console import note, progress, track

IMAGES = 1024
"""Number of images of `pocket-train`, all of which are used."""

_BATCH = 8
_DECAY = 1e-4
_WARM_UP = 0.05
"""Fraction of the steps over which the learning rate rises."""

_INPUT_SCALE = 64
"""Divisor of the first layer's initial weights: He initialisation assumes inputs of unit variance, not 0..255."""


@dataclass(frozen=True)
class Stage:
    """The training of one net.

    Attributes:
        stride: stride of the FCN: 32, 16 or 8.
        rate: largest learning rate.
        epochs: number of passes over the images.
    """

    stride: int
    rate: float
    epochs: int


STAGES = (Stage(32, 2e-3, 20), Stage(16, 1e-3, 8), Stage(8, 1e-3, 10))
"""The stages that gave the shipped weights."""


def train(stages: Sequence[Stage] = STAGES, images: int = IMAGES, seed: int = 0) -> dict[str, FCN]:
    """Train nets one after the other, each from its predecessor.

    Args:
        stages: the nets, coarse to fine.
        images: how many images of `pocket-train` to use.
        seed: seed of the initial weights and of the order of images.

    Returns:
        The trained nets by name, in evaluation mode.

    >>> net = train([Stage(32, 1e-3, epochs=0)], images=1)["fcn32s-pocket"]
    >>> net(torch.zeros(1, 3, 40, 50)).shape
    torch.Size([1, 8, 40, 50])
    """
    torch.manual_seed(seed)
    samples = [draw("train", index) for index in track(range(images), "draw pocket-train", "image")]
    inputs = [caffe_bgr(image) for image, _ in samples]
    labels = [torch.from_numpy(label.astype(np.int64)) for _, label in samples]
    nets: dict[str, FCN] = {}
    parent: FCN | None = None
    for stage in stages:
        net = FCN(POCKET.num_classes, stage.stride, POCKET_TRUNK)
        initialise(net)
        if parent is not None:
            net.load_state_dict({**net.state_dict(), **learned_parameters(parent)})
        _fit(net, stage, inputs, labels, seed)
        nets[f"fcn{stage.stride}s-pocket"] = net.eval()
        parent = net
    return nets


def initialise(net: FCN) -> None:
    """Initialise the trunk after He et al. (2015), for inputs of 0..255; score layers and biases become zero."""
    for name, layer in net.named_children():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if name == "conv1_1":
                layer.weight.data /= _INPUT_SCALE
            if name.startswith("score"):
                nn.init.zeros_(layer.weight)


def learned_parameters(net: FCN) -> dict[str, Tensor]:
    """Return the parameters by name without the frozen up-sampling layers, contiguous and on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in net.named_parameters() if value.requires_grad}


def _fit(net: FCN, stage: Stage, inputs: list[Tensor], labels: list[Tensor], seed: int) -> None:
    net.train()
    steps = max(stage.epochs * math.ceil(len(inputs) / _BATCH), 1)
    optimizer = torch.optim.AdamW(
        [value for value in net.parameters() if value.requires_grad], lr=stage.rate, weight_decay=_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.rate, total_steps=steps, pct_start=_WARM_UP, cycle_momentum=False
    )
    random = np.random.Generator(np.random.PCG64(seed + stage.stride))
    with progress(steps, f"train fcn{stage.stride}s-pocket", "step") as bar:
        for epoch in range(stage.epochs):
            start, total = time.perf_counter(), 0.0
            for batch, batch_labels in _batches(inputs, labels, random):
                loss = nn.functional.cross_entropy(net(batch), batch_labels, ignore_index=IGNORE)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
                total += loss.item() * len(batch)
            seconds = time.perf_counter() - start
            note(f"{stage.stride}s epoch {epoch + 1}/{stage.epochs}: loss {total / len(inputs):.4f}, {seconds:.0f} s")


def _batches(
    inputs: list[Tensor], labels: list[Tensor], random: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of all images in random order, mirrored at random, padded to the batch's largest sides."""
    order = random.permutation(len(inputs))
    for start in range(0, len(order), _BATCH):
        indices = [int(index) for index in order[start : start + _BATCH]]
        height = max(labels[index].shape[0] for index in indices)
        width = max(labels[index].shape[1] for index in indices)
        batch = torch.zeros(len(indices), 3, height, width)
        batch_labels = torch.full((len(indices), height, width), IGNORE)
        for slot, index in enumerate(indices):
            rows, columns = labels[index].shape
            batch[slot, :, :rows, :columns] = inputs[index]
            batch_labels[slot, :rows, :columns] = labels[index]
        if random.integers(2):
            batch, batch_labels = batch.flip(3), batch_labels.flip(2)
        yield batch, batch_labels


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the nets and write their weights; the module's docstring describes the options."""
    parser = argparse.ArgumentParser(description="train the pocket FCNs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .safetensors files")
    parser.add_argument(
        "--epochs", type=int, nargs=3, default=[stage.epochs for stage in STAGES], help="passes of the 32s, 16s, 8s net"
    )
    # The second name is the option's older one.
    parser.add_argument(
        "--images", "--pictures", type=int, default=IMAGES, help="how many images of pocket-train to use"
    )
    options = parser.parse_args(arguments)
    from safetensors.torch import save_file

    stages = [Stage(stage.stride, stage.rate, epochs) for stage, epochs in zip(STAGES, options.epochs, strict=True)]
    options.out.mkdir(parents=True, exist_ok=True)
    for name, net in train(stages, options.images).items():
        save_file(learned_parameters(net), options.out / f"{name}.safetensors")
        note(f"wrote {options.out / name}.safetensors")


if __name__ == "__main__":
    main()
