"""The count in docs/results.md, "Add a count", counts what the page says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fcnbench.labelspace import LabelSpace, voc_palette
from fcnbench.metrics.counts import ImageResult, LabelPair
from tests.conftest import REPOSITORY

SPACE = LabelSpace("two", ("background", "thing"), voc_palette(2))


def border_count() -> Any:
    """Return the count of the page."""
    page = (REPOSITORY / "docs/results.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n# fcnbench/metrics/border.py\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["BorderCount"](SPACE)


def test_the_count_of_the_page_holds_the_pixels_of_each_frame() -> None:
    truth = np.zeros((40, 50), np.uint8)
    truth[0, :10] = 255
    prediction = np.zeros_like(truth)
    prediction[8, 8] = prediction[7, 20] = 1  # the first is outside the narrowest frame
    count = border_count()
    counted = count.count(ImageResult({"labels": LabelPair(truth, prediction)}))
    pixels = [40 * 50 - 24 * 34 - 10, 40 * 50 - 8 * 18 - 10, 40 * 50 - 10]
    assert counted[:, 0].tolist() == [[pixels[0] - 1, 1], [pixels[1] - 2, 2], [pixels[2] - 2, 2]]
    assert not counted[:, 1].any()
    assert count.spec.derived(counted[None])["pixel_acc"][2] == (pixels[2] - 2) / pixels[2]
    assert count.count(ImageResult({})) is None
