"""Trains the pocket FCNs as the papers train theirs: the 32s net first, each finer net started from the coarser one.

    python -m fcnbench.training.pocket --out FOLDER [--epochs 20 8 10] [--pictures 1024]

writes `fcn32s-pocket.safetensors`, `fcn16s-pocket.safetensors` and `fcn8s-pocket.safetensors`. A skip's score layer
starts at zero, so a finer net starts with its parent's answer (CVPR 2015, section 4.3). Whole pictures, no resizing;
pictures of a batch are filled up to one size with the mean colour and void. Seeds are fixed; another machine or
another PyTorch sums in another order, so the weights are close to the shipped ones, not equal.
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

PICTURES = 1024
"""Pictures of `pocket-train` used: all of them."""

_BATCH = 8
_DECAY = 1e-4
_WARM_UP = 0.05
"""Share of the steps over which the learning rate rises."""


@dataclass(frozen=True)
class Stage:
    """One net of the chain: its stride, its largest learning rate, its passes over the pictures."""

    stride: int
    rate: float
    epochs: int


STAGES = (Stage(32, 2e-3, 20), Stage(16, 1e-3, 8), Stage(8, 1e-3, 10))


def train(stages: Sequence[Stage] = STAGES, pictures: int = PICTURES, seed: int = 0) -> dict[str, FCN]:
    """Train the chain of nets; returns them by name, in evaluation mode."""
    torch.manual_seed(seed)
    samples = [draw("train", index) for index in track(range(pictures), "draw pocket-train", "image")]
    inputs = [caffe_bgr(picture) for picture, _ in samples]
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
    """He initialisation of the trunk, scaled for inputs of 0..255; zero score layers and biases."""
    for name, layer in net.named_children():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if name == "conv1_1":
                layer.weight.data /= 64
            if name.startswith("score"):
                nn.init.zeros_(layer.weight)


def learned_parameters(net: FCN) -> dict[str, Tensor]:
    """The state of everything but the frozen up-sampling, contiguous, on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in net.named_parameters() if value.requires_grad}


def _fit(net: FCN, stage: Stage, inputs: list[Tensor], labels: list[Tensor], seed: int) -> None:
    net.train()
    steps = max(stage.epochs * math.ceil(len(inputs) / _BATCH), 1)
    optimiser = torch.optim.AdamW(
        [value for value in net.parameters() if value.requires_grad], lr=stage.rate, weight_decay=_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.rate, total_steps=steps, pct_start=_WARM_UP, cycle_momentum=False
    )
    order = np.random.Generator(np.random.PCG64(seed + stage.stride))
    with progress(steps, f"train fcn{stage.stride}s-pocket", "step") as bar:
        for epoch in range(stage.epochs):
            started, total = time.perf_counter(), 0.0
            for pictures, truth in _batches(inputs, labels, order):
                loss = nn.functional.cross_entropy(net(pictures), truth, ignore_index=IGNORE)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
                bar.update()
                total += loss.item() * len(pictures)
            seconds = time.perf_counter() - started
            note(f"{stage.stride}s epoch {epoch + 1}/{stage.epochs}: loss {total / len(inputs):.4f}, {seconds:.0f} s")


def _batches(inputs: list[Tensor], labels: list[Tensor], order: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Every picture once, shuffled, mirrored at random, a batch filled up to its largest height and width."""
    shuffled = order.permutation(len(inputs))
    for start in range(0, len(shuffled), _BATCH):
        chosen = [int(index) for index in shuffled[start : start + _BATCH]]
        height = max(labels[index].shape[0] for index in chosen)
        width = max(labels[index].shape[1] for index in chosen)
        pictures = torch.zeros(len(chosen), 3, height, width)
        truth = torch.full((len(chosen), height, width), IGNORE)
        for slot, index in enumerate(chosen):
            rows, columns = labels[index].shape
            pictures[slot, :, :rows, :columns] = inputs[index]
            truth[slot, :rows, :columns] = labels[index]
        if order.integers(2):
            pictures, truth = pictures.flip(3), truth.flip(2)
        yield pictures, truth


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write the weights: see the module's docstring."""
    parser = argparse.ArgumentParser(description="train the pocket FCNs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .safetensors files")
    parser.add_argument("--epochs", type=int, nargs=3, default=[stage.epochs for stage in STAGES])
    parser.add_argument("--pictures", type=int, default=PICTURES, help="how many pictures of pocket-train to use")
    options = parser.parse_args(arguments)
    from safetensors.torch import save_file

    stages = [Stage(stage.stride, stage.rate, epochs) for stage, epochs in zip(STAGES, options.epochs, strict=True)]
    options.out.mkdir(parents=True, exist_ok=True)
    for name, net in train(stages, options.pictures).items():
        save_file(learned_parameters(net), options.out / f"{name}.safetensors")
        note(f"wrote {options.out / name}.safetensors")


if __name__ == "__main__":
    main()
