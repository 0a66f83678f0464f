"""The networks of a model: every `torch.nn.Module` that it holds, their mode, and a digest of the model's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from fcnbench.errors import ModelError
from fcnbench.models.reachable import is_instance, reachable_objects
from fcnbench.models.segmenter import in_evaluation_mode
from fcnbench.models.tensor_bytes import Part, number_parts
from fcnbench.util.digests import digest_bytes


def networks_in(model: object) -> list[nn.Module]:
    """Return the outermost networks that a model holds: itself, or those in its attributes and containers.

    Functions are followed to their closures and defaults, bound methods to their objects, partial calls to their
    arguments, and objects to the attributes of their classes.

    Args:
        model: what a factory returned.

    >>> layer = nn.Conv2d(3, 8, 1)
    >>> networks_in({"heads": [layer]}) == [layer]
    True
    """
    networks = [item for item in reachable_objects(model) if is_instance(item, (nn.Module,))]
    parts = {id(part) for network in networks for part in network.modules() if part is not network}
    return [network for network in networks if id(network) not in parts]


def set_evaluation_mode(model: object) -> None:
    """Search a model for networks, and switch those in training mode to evaluation mode."""
    keep_evaluation_mode(networks_in(model))


def keep_evaluation_mode(networks: Iterable[nn.Module]) -> None:
    """Switch those networks to evaluation mode that are in training mode; much quicker than to search a model."""
    for network in networks:
        if _in_training_mode(network):
            in_evaluation_mode(network)


@contextmanager
def layers_made() -> Iterator[list[bool]]:
    """Detect whether any network gets parameters or layers inside the block.

    Yields a list, which is not empty after some were made.

    >>> with layers_made() as made:
    ...     layer = nn.Conv2d(3, 8, 1)
    >>> bool(made)
    True
    """
    made: list[bool] = []

    def note(*_: object) -> None:
        made.append(True)

    handles = [register_module_parameter_registration_hook(note), register_module_module_registration_hook(note)]
    try:
        yield made
    finally:
        for handle in handles:
            handle.remove()


def refuse_training_mode(networks: Iterable[nn.Module], step: str) -> None:
    """Refuse networks in training mode: the model's code has switched it on.

    Args:
        networks: the networks of a model.
        step: which part of the model's code ran last, for the message, such as `the forward pass`.

    Raises:
        ModelError: a network, or a layer in it, is in training mode.
    """
    for network in networks:
        if _in_training_mode(network):
            raise ModelError(
                f"{step} leaves {type(network).__name__} or a layer in it in training mode",
                "do not change the mode; make layers in the factory, or call eval() on those that are made later",
            )


def _in_training_mode(network: nn.Module) -> bool:
    # A frozen TorchScript network has no attribute `training`.
    return any(getattr(part, "training", False) for part in network.modules())


def state_digest(model: object, known: nn.Module | None) -> str:
    """Return a digest of all numbers that a model holds, except those of a network whose digest is known.

    Args:
        model: what a factory returned.
        known: the network to skip.

    Returns:
        Digest of the parameters and buffers of its networks, and of all other tensors and numpy arrays.
    """
    skipped = {id(part) for part in known.modules()} if known is not None else set()
    parts: list[Part] = []
    for item in reachable_objects(model):
        values: list[tuple[str, Any]] = [("", item)]
        if is_instance(item, (nn.Module,)):
            values = [] if id(item) in skipped else [*item._parameters.items(), *item._buffers.items()]
        for name, value in values:
            if is_instance(value, (Tensor, np.ndarray)):
                parts += number_parts(name, value)
    return digest_bytes(*parts)
