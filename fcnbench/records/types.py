"""Types of the values in JSON files, with their limits: checked when a file is read, and part of its JSON Schema."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fcnbench.protocol import PRECISIONS

Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
"""A SHA-256 digest."""

RunName = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]+$")]
"""The name of a run: time and random digits; it is the name of a folder, too."""

Text = Annotated[str, Meta(min_length=1)]
"""Text that is not empty."""

Natural = Annotated[int, Meta(ge=0)]
"""A number of things."""

Positive = Annotated[int, Meta(ge=1)]
"""A number of things, at least one."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A metric."""

Interval = tuple[Fraction, Fraction]
"""The lower and the upper end of an interval of a metric."""

Milliseconds = Annotated[float, Meta(ge=0)]
"""A time."""

Duration = Annotated[float, Meta(gt=0)]
"""A time that was measured, or its multiple: it is not zero."""

Ratio = Annotated[float, Meta(ge=0)]
"""A number over another one, which may be above 1."""

PrecisionName = Annotated[str, Meta(pattern=f"^({'|'.join(PRECISIONS)})$")]
"""A precision that is not compiled."""
