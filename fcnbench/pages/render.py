"""The Jinja2 environment of all templates: it escapes everything, and formats numbers in one way."""

from __future__ import annotations

from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Any

from fcnbench.util.version import __version__

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: Any) -> str:
    """Return a page made from a template.

    Args:
        template: file name in `templates/`.
        values: the template's variables.

    Raises:
        jinja2.UndefinedError: the template uses a variable that is not given.
    """
    return _environment().get_template(template).render(version=__version__, **values)


def percent(value: float | None, digits: int = 2) -> str:
    """Format a fraction in percent; a dash stands for a missing value.

    >>> percent(0.62345), percent(None)
    ('62.34', '–')
    """
    return "–" if value is None or isnan(value) else f"{100 * value:.{digits}f}"


def count(value: float) -> str:
    """Format a count with thousands separators.

    >>> count(1234567)
    '1,234,567'
    """
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
