"""One environment for all templates: everything is escaped, numbers are printed in one way."""

from __future__ import annotations

from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Any

from fcnbench.util.version import __version__

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: Any) -> str:
    """A page from its template."""
    return _environment().get_template(template).render(version=__version__, **values)


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction in percent, `-` where there is none."""
    return "–" if value is None or isnan(value) else f"{100 * value:.{digits}f}"


def count(value: float) -> str:
    """A whole number with thin groups."""
    return f"{int(value):,}"


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fcnbench.pages", encoding="utf-8-sig"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "count": count}
    return environment
