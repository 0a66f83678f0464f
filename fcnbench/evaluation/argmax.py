"""From logits to label maps, found where the logits are: only labels come to the host."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation import device_argmax as devicelabels
from fcnbench.evaluation.device_argmax import begun_on_device, host_labels

Map = devicelabels.Map


def label_map(logits: Tensor) -> Map:
    """The class of the largest logit per pixel.

    Args:
        logits: floating point [C, H, W], on any device.

    Returns:
        uint8 [H, W]; the lowest class on a tie.

    Raises:
        PredictionError: some logit is NaN, or a pixel's logits are all minus infinity.
    """
    return begun(logits)()


def begun(logits: Tensor, *, owned: bool = True) -> Callable[[], Map]:
    """Begin to find a label map, where the logits' device works beside the host; the answer, called, waits for it.

    Args:
        logits: floating point [C, H, W], on any device.
        owned: whether they keep their values until the answer is called; a CPU finds the labels only then. Where they
            are not, because the model may use their memory again, the labels are found now.
    """
    if logits.device.type != "cpu":
        return begun_on_device(logits)
    return partial(_on_host, logits) if owned else _at_once(logits)


def _on_host(logits: Tensor) -> Map:
    return host_labels(logits.detach())


def _at_once(logits: Tensor) -> Callable[[], Map]:
    """The answer, found now; what is wrong with the logits is raised when it is asked for."""
    done: Future[Map] = Future()
    try:
        done.set_result(_on_host(logits))
    except PredictionError as error:
        done.set_exception(error)
    return done.result
