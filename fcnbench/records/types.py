"""Types of the values in JSON files, with their limits: checked when a file is read, and part of its JSON Schema."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fcnbench.protocol import PRECISIONS

MOST = 2**63 - 1
"""The largest count: what int64 holds."""

Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
"""A SHA-256 digest. The length excludes a line break at the end, which `$` allows."""

RunName = Annotated[str, Meta(pattern="^[A-Za-z0-9_-][A-Za-z0-9._-]*$(?!\n)", max_length=100)]
"""The name of a run: time and random digits; it is the name of a folder, too, and neither `..` nor hidden."""

Time = Annotated[str, Meta(pattern="^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}[+]00:00$(?!\n)")]
"""A time in UTC, ISO 8601, in whole seconds."""

Text = Annotated[str, Meta(min_length=1)]
"""Text that is not empty."""

Natural = Annotated[int, Meta(ge=0, le=MOST)]
"""A number of things."""

Positive = Annotated[int, Meta(ge=1, le=MOST)]
"""A number of things, at least one."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A metric."""

Interval = tuple[Fraction, Fraction]
"""The lower and the upper end of an interval of a metric."""

Milliseconds = Annotated[float, Meta(ge=0, le=1e15)]
"""A time, at most 30,000 years: sums of times stay finite."""

Duration = Annotated[float, Meta(gt=0)]
"""A time that was measured, or its multiple: it is not zero."""

Ratio = Annotated[float, Meta(ge=0)]
"""A number over another one, which may be above 1."""

PrecisionName = Annotated[str, Meta(pattern=f"^({'|'.join(PRECISIONS)})$(?!\n)")]
"""A precision that is not compiled."""
